"""A sample of pairs that does not depend on the order they came in."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from mlwb.core.arrays import Float1D

__all__ = ["PairSample"]

_MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


class PairSample:
    """At most ``size`` pairs, chosen by the hash of their names: all of them while they fit.

    The same rows give the same sample whichever server wrote them first, and reading them again
    gives it again. Memory is that of ``2 * size`` pairs.

    Parameters
    ----------
    size : int, default=20000
        The standard error of a rank correlation of 0.95 is then 0.0007.

    Examples
    --------
    >>> sample = PairSample()
    >>> sample.add("r1", 0, 0.25, 0.5)
    >>> [side.tolist() for side in sample.sides()]
    [[0.25], [0.5]]
    """

    __slots__ = ("_kept", "_size", "_threshold", "n")

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._kept: list[tuple[int, float, float]] = []
        self._threshold = _WORD
        self.n = 0

    def add(self, name: str, row: int, first: float, second: float) -> None:
        """Offer one pair.

        Parameters
        ----------
        name : str
            Id of its request.
        row : int
            Place within it.
        first, second : float
            The pair.
        """
        self.n += 1
        key = ((crc32(name.encode()) + (row << 32) + 1) * _MIX) & _WORD
        key ^= key >> 29  # the low bits of a product are its poorest
        if key <= self._threshold:
            self._kept.append((key, first, second))
            if len(self._kept) >= 2 * self._size:
                self._cut()

    def sides(self) -> tuple[Float1D, Float1D]:
        """First and second of the pairs kept."""
        self._cut()
        table = np.array([pair[1:] for pair in self._kept], dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def _cut(self) -> None:
        self._kept.sort()
        if len(self._kept) > self._size:
            self._threshold = self._kept[self._size - 1][0]
            del self._kept[self._size :]
