"""One worker's place among the others: it shows what it counted and reads what they did.

A worker that takes the place of a dead one goes on from the numbers left there, so that no counter
ever goes back. Lost is only what a worker that was killed had counted since it last wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from mlwb.core.clock import Clock
from mlwb.serve._board import Board
from mlwb.serve._exposition import counted, merge
from mlwb.serve._metrics import Metrics, Samples

__all__ = ["Tally"]

_WRITE_S = 0.5
_GONE_S = 3.0
"""A worker that has not written for so long does not answer."""


class _Page(msgspec.Struct):
    at_s: float
    versions: list[str]
    samples: Samples


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Page).decode


class Tally:
    """A slot of the board, and the sum of all.

    Parameters
    ----------
    board : Board
        Shared by the workers.
    slot : int
        Of this worker; no other living one has it.
    clock : Clock
        Its monotonic seconds are those of the other workers too.
    """

    def __init__(self, board: Board, slot: int, clock: Clock) -> None:
        self._board, self._slot, self._clock = board, slot, clock
        before = self._read(slot)
        self._before = {} if before is None else counted(before.samples, before.versions)
        self._versions = [] if before is None else before.versions

    def adopt(self, metrics: Metrics) -> None:
        """Let the worker remember which versions answered before it was there."""
        earlier = [name for name in self._versions if name not in metrics.versions]
        metrics.versions = [*earlier, *metrics.versions]

    def write(self, own: Samples, versions: list[str]) -> None:
        """Show the others what was counted here."""
        whole = merge(own, [self._before, own], [own]) if self._before else own
        self._board.write(self._slot, _encode(_Page(self._clock.monotonic_s(), versions, whole)))

    def merged(self, own: Samples, versions: list[str]) -> Samples:
        """The sum of all workers: of this one as of now, of the others as they last wrote."""
        self.write(own, versions)
        now_s = self._clock.monotonic_s()
        pages = [page for slot in range(self._board.n_slots) if (page := self._read(slot))]
        living = [page.samples for page in pages if now_s - page.at_s < _GONE_S]
        return merge(own, [page.samples for page in pages], living)

    async def run(self, write: Callable[[], None]) -> None:
        """Call again and again."""
        while True:
            write()
            await asyncio.sleep(_WRITE_S)

    def _read(self, slot: int) -> _Page | None:
        data = self._board.read(slot)
        return _decode(data) if data else None
