"""The state of one server: what answers, what is switched off, what was counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mlwb.core.clock import Clock
from mlwb.registry import Registry
from mlwb.serve._audit import AuditLog
from mlwb.serve._canary import Canary
from mlwb.serve._drift import DriftWatch
from mlwb.serve._exposition import exposition
from mlwb.serve._gather import Gathered
from mlwb.serve._key_watch import KeyWatch
from mlwb.serve._limits import local_limits
from mlwb.serve._log import LineLog
from mlwb.serve._metrics import Metrics, Samples
from mlwb.serve._models import Live
from mlwb.serve._observer import Observer
from mlwb.serve._problems import problem_error
from mlwb.serve._replicas import join_replicas, limit_samples
from mlwb.serve._settings import ServeSettings
from mlwb.serve._shadow_watch import ShadowWatch
from mlwb.serve._switches import Switches
from mlwb.serve._versions import Versions
from mlwb.serve._window import ScoredWindow
from mlwb.serve._worker import Worker

__all__ = ["State"]

_LOG = logging.getLogger("mlwb.serve")
_T = TypeVar("_T")


class State:
    """Shared by the routes; changed on the event loop only.

    Parameters
    ----------
    settings : ServeSettings
        Of this server.
    clock : Clock
        Stamps and durations.
    worker : Worker, optional
        Where there are others: what they counted is shown too, and limits hold for all.
    """

    def __init__(self, settings: ServeSettings, clock: Clock, worker: Worker | None = None) -> None:
        self.settings, self.clock, self.metrics = settings, clock, Metrics()
        self.tally = worker and worker.tally
        own = worker.limits if worker else local_limits(settings)
        self.replicas = join_replicas(settings, own, clock)
        self.limits = self.replicas.limits if self.replicas else own
        self.gathered: list[Gathered[Any]] = []
        if self.tally is not None:
            self.tally.adopt(self.metrics)
        self.shadow = ShadowWatch(settings, clock)
        self.drift = DriftWatch(settings.models_dir, settings.drift_dir, clock)
        self.window = ScoredWindow(settings.stats_window)
        self.keys = KeyWatch(settings.keys_file, settings.audit_log)
        self.is_draining = False
        self._failed: set[str] = set()
        self.audit = _audit(settings, clock)
        self.switches = Switches(settings, clock)
        self.observer = Observer(settings, clock)
        self.versions = Versions(
            settings,
            clock,
            metrics=self.metrics,
            drift=self.drift,
            audit=self.audit,
            observer=self.observer,
        )
        self.canary = Canary(
            settings, clock, versions=self.versions, metrics=self.metrics, audit=self.audit
        )
        self.versions.changed = self.canary.check
        self.champion, self.candidate = self.versions.champion, self.versions.candidate
        self.log = _log(settings, settings.prediction_log, clock)
        self.shadow_log = _log(settings, settings.shadow_log, clock)
        self.feature_log = _log(
            settings, settings.feature_log, clock, files=settings.feature_log_files
        )
        self.access_log = _log(settings, settings.access_log, clock)
        self.versions.refresh()
        self.canary.resume()

    @property
    def logs(self) -> tuple[LineLog, ...]:
        """The logs that are switched on."""
        logs = (self.log, self.shadow_log, self.feature_log, self.access_log)
        return tuple(log for log in logs if log is not None)

    @property
    def is_killed(self) -> bool:
        """Whether the kill switch is on, as of now."""
        return self.switches.is_killed

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why predictions are refused: stable words, empty when they are answered."""
        mode = self.switches.mode.mode
        found = {
            "no_model": self.champion.live is None,
            "killed": self.is_killed,
            f"mode_{mode}": mode != "inference",
            "draining": self.is_draining,
        }
        return tuple(reason for reason, holds in found.items() if holds)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong though predictions are answered: ``"<part>:<stable word>"``."""
        found = (
            *self.versions.troubles,
            ("candidate", self.shadow.problem(self._candidate_version)),
            ("mode", "unreadable" if self.switches.is_mode_unreadable else ""),
            ("audit", self.audit.problem or self.audit.tampered),
            ("log", next((log.problem for log in self.logs if log.problem), "")),
            ("keys", self.keys.problem),
            ("limits", self.replicas.problem if self.replicas else ""),
            ("watch", "failed" if self._failed else ""),
        )
        return tuple(f"{part}:{problem}" for part, problem in found if problem)

    async def need_audit(self) -> None:
        """Asked before what makes answers begin or change; never before what ends them.

        Raises
        ------
        ServeError
            503: no line about it could be written now.
        """
        if not await asyncio.to_thread(self.audit.can_write):
            raise problem_error("storage", "the audit log cannot be written; nothing was changed")

    def answering(self) -> Live:
        """The version that answers predictions now; every route that scores asks here.

        Raises
        ------
        ServeError
            503: the kill switch is on, the mode is another, or there is no model.
        """
        if self.switches.is_killed:
            raise problem_error("killed", "the kill switch is on")
        mode = self.switches.mode.mode
        if mode != "inference":
            raise problem_error(f"mode_{mode}", f"the server is in {mode} mode")
        if self.champion.live is None:
            raise problem_error("no_model", "no verified version is in `latest`")
        return self.champion.live

    def metrics_text(self) -> str:
        """What a scrape shows: of all workers where there are several."""
        samples, versions = self._samples(), self.metrics.versions
        if self.tally is not None:
            samples = self.tally.merged(samples, versions)
        return exposition(samples, versions)

    def write_tally(self) -> None:
        """Show other workers what was counted here."""
        if self.tally is not None:
            self.tally.write(self._samples(), self.metrics.versions)

    def gather(self, work: Callable[[list[_T]], None]) -> Gathered[_T]:
        """A place for what waits until requests are answered; settled before anything is shown."""
        gathered = Gathered(work)
        self.gathered.append(gathered)
        return gathered

    def settle(self) -> None:
        """Count, log and compare what was answered so far."""
        for gathered in self.gathered:
            gathered.settle()

    def _samples(self) -> Samples:
        self.settle()
        readings = {
            "ml_ready": int(not self.reasons),
            "ml_killed": int(self.is_killed),
            "ml_mode": self.switches.mode_number,
            **self.versions.readings,
            **self.canary.readings,
            **self.shadow.readings,
            "ml_log_dropped_total": sum(log.dropped for log in self.logs),
            "ml_audit_lost_total": self.audit.lost,
        }
        return {
            **self.metrics.samples(readings, self.drift.gauges),
            **self.observer.samples,
            **limit_samples(self.replicas),
        }

    @property
    def _candidate_version(self) -> str | None:
        return None if self.candidate.live is None else self.candidate.live.version

    def registry(self, caller: str = "") -> Registry:
        """The registry of the models that are served; not for the event loop.

        Parameters
        ----------
        caller : str, default=""
            The key for whom something is changed, as the log names it.
        """
        settings, actor = self.settings, f"serve:{caller}" if caller else "serve"
        return Registry(settings.models_dir, clock=self.clock, actor=actor, signer=settings.signer)

    def refresh(self) -> None:
        """Look at links and switches now, on this thread."""
        self.switches.look()
        self.versions.refresh()
        self.canary.take(self.canary.look())

    async def watch(self) -> None:
        """Look at links and switches again and again; nothing that one look meets ends the others.

        Whoever stopped looking would go on with keys that were taken back.
        """
        looks = (self._look_at_switches, self._look_at_keys, self._look_at_versions)
        while True:
            await asyncio.sleep(self.settings.reload_s)
            failed = set()
            for look in looks:
                try:
                    await look()
                except Exception as error:  # noqa: BLE001 - said in log and health
                    failed.add(repr(error))
                    if repr(error) not in self._failed:
                        _LOG.exception("a look at the files of the server failed")
            self._failed = failed

    async def _look_at_switches(self) -> None:
        await asyncio.to_thread(self.switches.look)

    async def _look_at_keys(self) -> None:
        self.keys.take(await asyncio.to_thread(self.keys.look))

    async def _look_at_versions(self) -> None:
        await self.versions.look()
        self.canary.take(await asyncio.to_thread(self.canary.look))
        await asyncio.to_thread(self.versions.keep_previous)


def _audit(settings: ServeSettings, clock: Clock) -> AuditLog:
    return AuditLog(
        settings.audit_log,
        clock,
        limit=settings.log_limit,
        signer=settings.signer,
        promotions=settings.models_dir.parent / "promotions.log",
    )


def _log(
    settings: ServeSettings, path: Path | None, clock: Clock, *, files: int = 0
) -> LineLog | None:
    if path is None:
        return None
    return LineLog(
        path,
        settings.log_limit,
        hours=settings.log_hours,
        files=files or settings.log_files,
        clock=clock,
    )
