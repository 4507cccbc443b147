"""What several workers have counted, side by side in memory that they share.

Each worker writes into a slot of its own and reads all of them, so whichever answers a scrape
shows the whole server. Nobody waits for anybody: a slot has two halves, the newer one counts, and
a reader that finds a half being written takes another look.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final
from zlib import crc32

__all__ = ["Board"]

_HALF_BYTES: Final = 64 * 1024
_TURN = struct.Struct("<Q")
_HEAD = struct.Struct("<II")
_SLOT_BYTES: Final = _TURN.size + 2 * _HALF_BYTES
_LOOKS: Final = 8


class Board:
    """Slots of bytes that outlive the process that wrote them; made before workers are forked.

    Parameters
    ----------
    n_slots : int
        One a worker.

    Examples
    --------
    >>> board = Board(2)
    >>> board.write(1, b"counted")
    >>> board.read(0), board.read(1)
    (b'', b'counted')
    """

    capacity: Final = _HALF_BYTES - _HEAD.size
    """Bytes a slot takes."""

    def __init__(self, n_slots: int) -> None:
        self.n_slots = n_slots
        self._memory = mmap.mmap(-1, n_slots * _SLOT_BYTES)

    def write(self, slot: int, data: bytes) -> None:
        """Replace what stands in a slot; a writer killed half way leaves what stood before.

        Raises
        ------
        ValueError
            More than :attr:`capacity`.
        """
        if len(data) > self.capacity:
            raise ValueError(f"{len(data)} bytes in a slot of {self.capacity}")
        start = slot * _SLOT_BYTES
        (turn,) = _TURN.unpack_from(self._memory, start)
        place = start + _TURN.size + (turn + 1) % 2 * _HALF_BYTES
        head = _HEAD.pack(len(data), crc32(data))
        self._memory[place : place + len(head) + len(data)] = head + data
        _TURN.pack_into(self._memory, start, turn + 1)

    def read(self, slot: int) -> bytes:
        """What was written last; empty when nothing was, or a writer is faster than any reader."""
        start = slot * _SLOT_BYTES
        for _ in range(_LOOKS):
            (turn,) = _TURN.unpack_from(self._memory, start)
            place = start + _TURN.size + turn % 2 * _HALF_BYTES
            length, checksum = _HEAD.unpack_from(self._memory, place)
            body = place + _HEAD.size
            data = self._memory[body : body + min(length, self.capacity)]
            if crc32(data) == checksum:
                return data
        return b""
