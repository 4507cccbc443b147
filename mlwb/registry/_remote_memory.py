"""What a machine has read of a remote log: read once, remembered against whoever rewrites it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.chain import Chain, Link

__all__ = ["LogMemory"]


class LogMemory:
    """A file in the form of ``promotions.log``; replaced in one step, so it needs no lock.

    Parameters
    ----------
    path : Path
        Need not exist. Removing it forgets, and costs nothing but reading the log again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._n_kept = 0

    def links(self) -> tuple[Link, ...]:
        """The lines read before.

        Raises
        ------
        BrokenChainError
            The file was edited.
        """
        links = Chain(self._path).links()
        self._n_kept = len(links)
        return links

    def keep(self, links: Sequence[Link]) -> None:
        """Remember all lines of a log, where there are more than before."""
        if len(links) > self._n_kept:
            fsops.write_atomic(self._path, b"".join(link.line + b"\n" for link in links))
            self._n_kept = len(links)
