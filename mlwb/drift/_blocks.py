"""Counts by block of time: what a null, a sequence of tests and a live server all add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Int1D, Int2D
from mlwb.core.clock import DAY_S
from mlwb.drift._bins import cells_of

__all__ = ["BLOCK_S", "FULL_SHARE", "HOUR_S", "BlockCounts", "count_blocks", "in_full_blocks"]

BLOCK_S = 21_600
"""Length of a block: six hours, so that a window shorter than a day meets its own time of day."""
HOUR_S = 3_600
_HOURS = 24
FULL_SHARE = 0.75
"""Of what is usual, for a day or block to count as whole: a Friday of currencies (22 of 24 hours)
is, their Sunday (2 or 3 hours) is not; a part of a day is another mixture."""


@dataclass(frozen=True)
class BlockCounts:
    """Rows of one feature in frozen bins, by block of time and by hour of the day.

    Parameters
    ----------
    starts : ndarray of shape (n_blocks,), int64
        Unix seconds at which each block begins, increasing, multiples of ``BLOCK_S``; blocks
        without a row are absent.
    counts : ndarray of shape (n_blocks, n_cells), int64
        Rows of each block in each cell: the bins, then NaN, +inf and -inf.
    by_hour : ndarray of shape (24, n_cells), int64
        The same rows by UTC hour of the day.
    """

    starts: Int1D
    counts: Int2D
    by_hour: Int2D

    @property
    def total(self) -> Int1D:
        """Rows in each cell, all blocks together; shape (n_cells,)."""
        return np.asarray(self.counts.sum(axis=0), dtype=np.int64)

    @property
    def days(self) -> Int1D:
        """UTC day numbers with at least one row, increasing; shape (n_days,)."""
        return np.unique(self.starts // DAY_S)

    @property
    def daily(self) -> Int2D:
        """Rows of each of those days; shape (n_days, n_cells)."""
        days, place = np.unique(self.starts // DAY_S, return_inverse=True)
        out = np.zeros((len(days), self.counts.shape[1]), dtype=np.int64)
        np.add.at(out, place, self.counts)
        return out

    def __add__(self, other: BlockCounts) -> BlockCounts:
        """Both together: associative and commutative, equal to counting all rows at once."""
        starts, place = np.unique(np.concatenate([self.starts, other.starts]), return_inverse=True)
        counts = np.zeros((len(starts), self.counts.shape[1]), dtype=np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        return BlockCounts(starts, counts, self.by_hour + other.by_hour)


def count_blocks(edges: Float1D, values: Float1D, ts: Int1D) -> BlockCounts:
    """Count values into frozen bins by block of time, in one pass.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,), float64
        Right-closed inner edges, increasing.
    values : ndarray of shape (n_obs,), float64
        Any float; NaN and infinities have cells of their own.
    ts : ndarray of shape (n_obs,), int64
        Unix seconds of each row, in any order.

    Returns
    -------
    BlockCounts

    Examples
    --------
    >>> found = count_blocks(np.array([0.0]), np.array([-1.0, 1.0, 1.0]), np.array([0, 60, 21600]))
    >>> found.starts.tolist(), found.counts.tolist()
    ([0, 21600], [[1, 1, 0, 0, 0], [0, 1, 0, 0, 0]])
    """
    cells, n_cells = cells_of(edges, values), len(edges) + 4
    starts, place = _numbered(ts // BLOCK_S)
    hours = ts // HOUR_S % _HOURS
    return BlockCounts(
        np.asarray(starts * BLOCK_S, dtype=np.int64),
        _table(place, cells, len(starts), n_cells),
        _table(hours, cells, _HOURS, n_cells),
    )


def in_full_blocks(blocks: Int1D) -> Bool1D:
    """Rows of blocks that have at least three quarters of the usual rows, the median block's.

    A part of a day is another mixture of hours, and would pass for chance or for a change.

    Parameters
    ----------
    blocks : ndarray of shape (n_obs,), int64
        Block number of each row, for example the UTC day.

    Returns
    -------
    ndarray of shape (n_obs,), bool

    Examples
    --------
    >>> in_full_blocks(np.array([0, 0, 1, 1, 1, 2, 2, 2])).tolist()
    [False, False, True, True, True, True, True, True]
    """
    _, place, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    least = FULL_SHARE * float(np.median(sizes)) if len(sizes) else 0.0
    return np.asarray(sizes[place] >= least)


def _numbered(blocks: Int1D) -> tuple[Int1D, Int1D]:
    """Distinct blocks in order, and which of them each row is in; no sort where rows are sorted."""
    steps = np.diff(blocks)
    if len(blocks) == 0 or (steps < 0).any():
        distinct, place = np.unique(blocks, return_inverse=True)
        return distinct, np.asarray(place, dtype=np.int64)
    begins = np.concatenate([[0], np.flatnonzero(steps) + 1])
    sizes = np.diff(begins, append=len(blocks))
    return blocks[begins], np.repeat(np.arange(len(begins)), sizes)


def _table(rows: Int1D, cells: Int1D, n_rows: int, n_cells: int) -> Int2D:
    flat = np.bincount(rows * n_cells + cells, minlength=n_rows * n_cells)
    return np.asarray(flat.reshape(n_rows, n_cells), dtype=np.int64)
