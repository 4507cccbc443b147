"""The state of one server: what answers, what is switched off, what was counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mlwb.core.clock import Clock
from mlwb.core.signing import Signer
from mlwb.serve._audit import AuditLog
from mlwb.serve._drift import DriftWatch
from mlwb.serve._exposition import exposition
from mlwb.serve._log import LineLog
from mlwb.serve._metrics import Metrics, Samples
from mlwb.serve._models import Channel, Look
from mlwb.serve._settings import ServeSettings
from mlwb.serve._tally import Tally
from mlwb.serve._version_drift import VersionDrift

__all__ = ["State"]


class State:
    """Shared by the routes; changed on the event loop only.

    Parameters
    ----------
    settings : ServeSettings
        Of this server.
    clock : Clock
        Stamps and durations.
    tally : Tally, optional
        Where there are other workers: what they counted is shown too.
    """

    def __init__(self, settings: ServeSettings, clock: Clock, tally: Tally | None = None) -> None:
        self.settings, self.clock, self.tally = settings, clock, tally
        self.metrics = Metrics()
        if tally is not None:
            tally.adopt(self.metrics)
        self.drift = DriftWatch(settings.models_dir, settings.drift_dir, clock)
        signer = Signer(public_keys=settings.public_keys)
        self.champion = Channel(
            settings.models_dir,
            "latest",
            max_rows=settings.max_rows,
            clock=clock,
            version=settings.champion,
            signer=signer,
        )
        self.candidate = Channel(
            settings.models_dir,
            "candidate",
            max_rows=settings.max_rows,
            clock=clock,
            version=settings.candidate,
            signer=signer,
        )
        self.is_killed = False
        self.is_draining = False
        self.audit = AuditLog(settings.audit_log, clock, limit=settings.log_limit)
        self.log = _log(settings, settings.prediction_log, clock)
        self.shadow_log = _log(settings, settings.shadow_log, clock)
        self.refresh()

    @property
    def logs(self) -> tuple[LineLog, ...]:
        """The logs that are switched on."""
        return tuple(log for log in (self.log, self.shadow_log) if log is not None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why predictions are refused: stable words, empty when they are answered."""
        found = {
            "no_model": self.champion.live is None,
            "killed": self.is_killed,
            "draining": self.is_draining,
        }
        return tuple(reason for reason, holds in found.items() if holds)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong though predictions are answered: ``"<part>:<stable word>"``."""
        found = {
            "latest": self.champion.problem,
            "candidate": self.candidate.problem,
            "audit": self.audit.problem,
        }
        return tuple(f"{part}:{problem}" for part, problem in found.items() if problem)

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

    def _samples(self) -> Samples:
        readings = {
            "ml_ready": int(not self.reasons),
            "ml_killed": int(self.is_killed),
            "ml_prediction_log_dropped_total": sum(log.dropped for log in self.logs),
            "ml_audit_lost_total": self.audit.lost,
        }
        return self.metrics.samples(readings, self.drift.gauges)

    def refresh(self) -> None:
        """Look at links and kill file now."""
        self.is_killed = self._killed()
        for channel in (self.champion, self.candidate):
            self._take(channel, *self._look(channel))

    async def watch(self) -> None:
        """Look again and again; loading happens on another thread, taking over on this one."""
        while True:
            await asyncio.sleep(self.settings.reload_s)
            self.is_killed = await asyncio.to_thread(self._killed)
            for channel in (self.champion, self.candidate):
                self._take(channel, *await asyncio.to_thread(self._look, channel))

    def _killed(self) -> bool:
        file = self.settings.kill_file
        try:
            return self.settings.killed or (file is not None and file.exists())
        except OSError:
            return True  # a switch that cannot be read counts as thrown

    def _look(self, channel: Channel) -> tuple[Look | None, VersionDrift | str | None]:
        """What is new, and for a champion the counts to go on with; takes a while."""
        look = channel.look()
        if look is None or look.live is None or channel is not self.champion:
            return look, None
        return look, self.drift.open(look.live)

    def _take(self, channel: Channel, look: Look | None, opened: VersionDrift | str | None) -> None:
        if look is None:
            return
        is_champion = channel is self.champion
        result = channel.take(look, keep=is_champion)
        if opened is not None:
            self.drift.follow(opened)
        if result:
            self.metrics.reloads[result if is_champion else f"candidate_{result}"] += 1
        if is_champion and channel.live is not None:
            self.metrics.follow(channel.live.version)


def _log(settings: ServeSettings, path: Path | None, clock: Clock) -> LineLog | None:
    if path is None:
        return None
    return LineLog(
        path,
        settings.log_limit,
        hours=settings.log_hours,
        files=settings.log_files,
        clock=clock,
    )
