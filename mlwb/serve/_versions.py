"""Which versions answer: both channels, what is kept ready, and what is said when one changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from mlwb.core import fsops
from mlwb.core.clock import Clock
from mlwb.core.errors import MlwbError
from mlwb.serve._announced import UNAUDITED, Announced
from mlwb.serve._audit import AuditLog
from mlwb.serve._channel import Channel, Look
from mlwb.serve._drift import DriftWatch
from mlwb.serve._metrics import Metrics
from mlwb.serve._models import Live, Shelf
from mlwb.serve._observer import Observer
from mlwb.serve._settings import ServeSettings
from mlwb.serve._version_drift import VersionDrift

__all__ = ["Versions"]

_LOG = logging.getLogger("mlwb.serve")
_UNAUDITED = {"development": "report", "production": "refuse"}


class _Found(NamedTuple):
    """What a look at a channel brought; of a champion also its counts, and how it came there."""

    look: Look | None
    opened: VersionDrift | str | None = None
    move: str = ""


class LastReload(NamedTuple):
    """What the last look that brought news came to.

    Parameters
    ----------
    at : datetime
        UTC.
    link : str
        ``"latest"`` or ``"candidate"``.
    result : str
        ``"loaded"`` or ``"rejected"``.
    version : str or None
        What the channel answers with since.
    problem : str
        Empty, or the stable code of the refusal.
    """

    at: datetime
    link: str
    result: str
    version: str | None
    problem: str


class Versions:
    """Follows `latest` and `candidate`. Loads on any thread; changes on the event loop only.

    Parameters
    ----------
    settings : ServeSettings
        Of the server.
    clock : Clock
        Stamps and durations.
    metrics : Metrics
        Counted into.
    drift : DriftWatch
        Told which version answers.
    audit : AuditLog
        Told of every flip.
    observer : Observer
        Told of the features to compute.

    Attributes
    ----------
    changed : callable
        Called on the event loop with every change of a version, before the next request.
    """

    def __init__(
        self,
        settings: ServeSettings,
        clock: Clock,
        *,
        metrics: Metrics,
        drift: DriftWatch,
        audit: AuditLog,
        observer: Observer,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._metrics, self._drift, self._audit = metrics, drift, audit
        self._observer = observer
        self.announced = Announced(
            settings.models_dir,
            clock=clock,
            signer=settings.signer,
            refuse=(settings.unaudited or _UNAUDITED[settings.profile]) == "refuse",
        )
        self.shelf = Shelf(
            settings.models_dir,
            max_rows=settings.max_rows,
            clock=clock,
            kept=settings.kept_versions,
            signer=settings.signer,
        )
        self.champion = self._channel("latest", settings.champion, self.announced.admit)
        self.candidate = self._channel("candidate", settings.candidate)
        self.swap_ms = float("nan")
        self.last_reload: LastReload | None = None
        self.changed: Callable[[], None] = _nothing
        self._was_unaudited = False

    @property
    def troubles(self) -> tuple[tuple[str, str], ...]:
        """Link and stable word of what is wrong with it; the word is empty when nothing is."""
        is_said = self.champion.problem == UNAUDITED
        return (
            ("latest", self.champion.problem),
            ("latest", UNAUDITED if self.announced.is_unaudited and not is_said else ""),
            ("candidate", self.candidate.problem),
        )

    @property
    def readings(self) -> dict[str, float]:
        """For a scrape."""
        return {
            "ml_model_swap_ms": self.swap_ms,
            "ml_registry_unaudited": int(self.announced.is_unaudited),
        }

    def refresh(self) -> None:
        """Look at the links now, on this thread."""
        for channel in (self.champion, self.candidate):
            self._take(channel, self._look(channel))

    async def look(self) -> None:
        """Look at the links now; loading happens on another thread, taking over on this one."""
        await self.look_at_champion()
        self._take(self.candidate, await asyncio.to_thread(self._look, self.candidate))

    async def look_at_champion(self) -> None:
        """The same for `latest` alone, for whoever just moved it and waits."""
        self._take(self.champion, await asyncio.to_thread(self._look, self.champion))

    def keep_previous(self) -> None:
        """Load what a rollback goes back to before anybody asks; not on the event loop."""
        try:
            version = fsops.read_link(self._settings.models_dir / "previous")
            if version:
                self.shelf.load(version)
        except (MlwbError, OSError, UnicodeDecodeError) as error:
            _LOG.debug("the previous version cannot be kept ready: %s", error)

    def _channel(self, link: str, version: str, admit: Callable[[], str] | None = None) -> Channel:
        models_dir = self._settings.models_dir
        return Channel(models_dir, link, shelf=self.shelf, version=version, admit=admit)

    def _look(self, channel: Channel) -> _Found:
        """What is new; takes a while."""
        look = channel.look()
        if channel is not self.champion:
            return _Found(look)
        is_following = not self._settings.champion
        if is_following:
            self.announced.look()
        if look is None or look.live is None:
            return _Found(look)
        self._observer.open(look.live.predictor.sidecar)
        move = self.announced.move(look.live.version) if is_following else ""
        return _Found(look, self._drift.open(look.live), move)

    def _take(self, channel: Channel, found: _Found) -> None:
        is_champion = channel is self.champion
        if is_champion:
            self._note_announced()
        if found.look is None:
            return
        start, before = self._clock.monotonic_s(), channel.live
        result = channel.take(found.look, keep=is_champion)
        if not result:
            if channel.live is not before:
                self.changed()  # the candidate is gone
            return
        self._metrics.reloads[result if is_champion else f"candidate_{result}"] += 1
        version = None if channel.live is None else channel.live.version
        link = "latest" if is_champion else "candidate"
        self.last_reload = LastReload(self._clock.now(), link, result, version, channel.problem)
        self.changed()
        if not is_champion:
            return
        if result == "loaded" and found.opened is not None:
            self._drift.follow(found.opened)
        if channel.live is not None:
            self._metrics.follow(channel.live.version)
        self.swap_ms = (self._clock.monotonic_s() - start) * 1e3
        self._note_flip(before, found)

    def _note_flip(self, before: Live | None, found: _Found) -> None:
        problem, live, flips = self.champion.problem, self.champion.live, self._metrics.flips
        if problem:
            flips["unaudited"] += problem == UNAUDITED
            self._audit.record("flip", "refused", who="server", reason=problem)
        elif live is not None and before is not None and before.version != live.version:
            if found.move in flips:
                flips[found.move] += 1
            said = f"{before.version} -> {live.version}: {found.move or 'told to'}"
            self._audit.record("flip", "done", who="server", reason=said)

    def _note_announced(self) -> None:
        is_unaudited = self.announced.is_unaudited
        if is_unaudited == self._was_unaudited:
            return
        self._was_unaudited = is_unaudited
        self._audit.record("unaudited", "found" if is_unaudited else "ended", who="server")
        what = "is not where the registry's log says" if is_unaudited else "is announced again"
        _LOG.warning("`latest` %s", what)


def _nothing() -> None:
    """Nobody wants to know."""
