"""Whether `latest` stands where the registry's log says, asked again whenever either changed."""

from __future__ import annotations

import time
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.clock import Clock
from mlwb.core.errors import MlwbError
from mlwb.core.signing import Signer
from mlwb.registry import Registry
from mlwb.serve._file_stamp import file_stamp

__all__ = ["UNAUDITED", "Announced"]

UNAUDITED = "unaudited_flip"
"""Code of a `latest` that the log does not announce."""

_TRIES = 5
_SETTLE_S = 0.05
_MOVES = {"promote": "promoted", "bootstrap": "promoted", "rollback": "rolled_back"}


class Announced:
    """The registry's word on `latest`; reads its log, so not on the event loop.

    Without a log, and before there was one, there is nobody to ask: a plain directory of versions
    is not held against anybody, unless every flip has to be announced.

    Parameters
    ----------
    models_dir : Path
        Holds versions and links; the log stands beside it.
    clock : Clock
        For the registry.
    signer : Signer
        Keys of this process.
    refuse : bool
        Whether what is not announced is refused.
    """

    def __init__(self, models_dir: Path, *, clock: Clock, signer: Signer, refuse: bool) -> None:
        self.is_unaudited = False
        self._link, self._log = models_dir / "latest", models_dir.parent / "promotions.log"
        self._registry = Registry(models_dir, clock=clock, actor="serve", signer=signer)
        self._refuse, self._had_log = refuse, False
        self._known: tuple[object, ...] = ()

    @property
    def has_log(self) -> bool:
        """Whether there is a log, or was one since this process looked."""
        return self._had_log

    def look(self) -> bool:
        """Ask when link or log changed since the last time; whether `latest` is unannounced."""
        for _ in range(_TRIES):
            key = self._key()
            if key == self._known:
                return self.is_unaudited
            # Once more when something moved meanwhile: a flip under way is no unannounced one. A
            # mirror brings the log over first and moves the link a moment later.
            try:
                is_audited = self._is_silent() or self._registry.is_audited()
            except OSError:  # a log that the disk does not give now may be given later
                is_audited, key = False, ()
                break
            if is_audited:
                break
            time.sleep(_SETTLE_S)
            if self._key() == key:
                break
        self.is_unaudited, self._known = not is_audited, key
        return self.is_unaudited

    def admit(self) -> str:
        """Empty, or why what `latest` points at must not be served."""
        return UNAUDITED if self.look() and self._refuse else ""

    def move(self, version: str) -> str:
        """How a version came to be `latest`.

        Parameters
        ----------
        version : str
            Where `latest` points.

        Returns
        -------
        str
            ``"promoted"``, ``"rolled_back"``, ``"unaudited"``; ``"unlogged"`` without a log.
        """
        if self.look():
            return "unaudited"
        if self._is_silent():
            return "unlogged"
        try:
            state = self._registry.state()
        except (MlwbError, OSError):
            return "unaudited"
        intent = state.intent
        action = intent["action"] if intent and intent["version"] == version else state.moved
        return _MOVES.get(action, "rolled_back")

    def _is_silent(self) -> bool:
        self._had_log = self._had_log or self._log.exists()
        return not self._had_log and not self._refuse

    def _key(self) -> tuple[object, ...]:
        return self._target(), file_stamp(self._log)

    def _target(self) -> str | None:
        try:
            return fsops.read_link(self._link)
        except (OSError, UnicodeDecodeError):
            return None
