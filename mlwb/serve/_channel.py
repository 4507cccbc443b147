"""Which version answers: a link followed by looking at it.

A version is read, verified and warmed beside the one that answers, then taken over by one
assignment. Requests that began on the old one finish on it.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mlwb.core import fsops
from mlwb.core.errors import ArtifactNotFoundError, MlwbError
from mlwb.serve._models import Live, Shelf

__all__ = ["Channel", "Look"]

_LOG = logging.getLogger("mlwb.serve")
_TRIES = 5


class Look(NamedTuple):
    """What a channel was found to point at, when that is news.

    Parameters
    ----------
    order : int
        Looks are numbered as they begin.
    seen : tuple
        Link target, what admission said and file stamps; the next look compares with it.
    live : Live, optional
        The version, loaded; None when there is none or it was refused.
    problem : str
        Empty, or the stable code of the refusal.
    why : str
        The same in a sentence.
    """

    order: int
    seen: tuple[object, ...]
    live: Live | None
    problem: str
    why: str = ""


class Channel:
    """A link below the models directory, or one fixed version.

    Parameters
    ----------
    models_dir : Path
        Holds versions and links.
    link : str
        ``"latest"`` or ``"candidate"``.
    shelf : Shelf
        Loads and keeps versions.
    version : str, default=""
        Follow this version instead of the link.
    admit : callable, optional
        Asked about what the link points at: empty, or the code of a refusal.
    """

    def __init__(
        self,
        models_dir: Path,
        link: str,
        *,
        shelf: Shelf,
        version: str = "",
        admit: Callable[[], str] | None = None,
    ) -> None:
        self.live: Live | None = None
        self.problem = self.why = ""
        self._models_dir, self._link, self._version = models_dir, link, version
        self._shelf, self._admit = shelf, admit
        self._seen: tuple[object, ...] = ("never",)
        self._orders, self._taken = itertools.count(1), 0

    def look(self) -> Look | None:
        """Read the link and load what is new; None when nothing changed. Changes nothing itself.

        Whatever is wrong with a version becomes the ``problem`` of the look, never an exception.
        Looks may be made from several threads at a time.
        """
        order = next(self._orders)
        seen: tuple[object, ...] = ("unreadable",)
        try:
            target, problem = self._target()
            stamps = self._shelf.stamps(target) if target else ()
            seen = (target, problem, *stamps)
            if seen == self._seen:
                return None
            live = self._shelf.load(target).live if target and not problem else None
            why = f"{self._link} points at {target}, which is refused" if problem else ""
            return Look(order, seen, live, problem, why)
        except Exception as error:  # noqa: BLE001 - whatever it raises, the last good one goes on
            return self._refused(order, seen, error)

    def take(self, look: Look, *, keep: bool) -> str:
        """Make a look the state of the channel.

        Parameters
        ----------
        look : Look
            From :meth:`look`. One that began before a look already taken is passed over.
        keep : bool
            Keep the version that answers when the new one was refused or the link is gone.

        Returns
        -------
        str
            ``"loaded"``, ``"rejected"``, or empty when a link that may be absent is absent, and
            when the look was passed over.
        """
        if look.order < self._taken:
            return ""
        self._taken, self._seen = look.order, look.seen
        self.problem, self.why = look.problem, look.why
        if look.live is not None:
            self.live = look.live
            return "loaded"
        if not keep:
            self.live = None
        elif not look.problem:
            self.problem = ArtifactNotFoundError.code
        return "rejected" if look.problem else ""

    def _refused(self, order: int, seen: tuple[object, ...], error: Exception) -> Look | None:
        """A refusal, once; what the disk did not give is asked for again with every look."""
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
            seen = ("unread", *seen)
        if seen == self._seen:
            return None
        if isinstance(error, MlwbError):
            _LOG.warning("%s refused: %s", self._link, error)
            return Look(order, seen, None, error.code, str(error))
        _LOG.error("%s cannot be loaded", self._link, exc_info=error)
        return Look(order, seen, None, "unreadable")

    def _target(self) -> tuple[str | None, str]:
        """Where the link points, and what admission says of exactly that."""
        if self._version:
            return self._version, ""
        for _ in range(_TRIES):
            target = fsops.read_link(self._models_dir / self._link)
            problem = self._admit() if self._admit is not None and target else ""
            if fsops.read_link(self._models_dir / self._link) == target:
                break
        return target, problem
