"""What a worker has in common with the others of its server."""

from __future__ import annotations

from typing import NamedTuple

from mlwb.core.clock import Clock
from mlwb.serve._board import Board
from mlwb.serve._limits import Limits, limit_tables, shared_limits
from mlwb.serve._settings import ServeSettings
from mlwb.serve._tally import Tally

__all__ = ["InCommon", "Worker"]


class Worker(NamedTuple):
    """A worker's place among the others.

    Parameters
    ----------
    tally : Tally
        What all have counted.
    limits : Limits
        Of all workers together.
    """

    tally: Tally
    limits: Limits


class InCommon:
    """The memory that workers share; made before they are forked.

    Parameters
    ----------
    settings : ServeSettings
        Of the server.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._board, self._tables = Board(settings.workers), limit_tables(settings)

    def worker(self, slot: int, clock: Clock) -> Worker:
        """The place of the worker of one slot; no other living one has it."""
        limits = shared_limits(self._settings, self._tables, slot)
        return Worker(Tally(self._board, slot, clock), limits)
