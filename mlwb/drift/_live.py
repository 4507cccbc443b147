"""Rows counted as they are served: one small table of integers for every clock hour.

Hours add up to the blocks, days and windows of everything else, whichever worker counted them and
however often it was started.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import TypeAlias

import numpy as np

from mlwb.core.arrays import Float2D, Int1D
from mlwb.drift._bins import N_SPECIAL, bin_counts
from mlwb.drift._blocks import BLOCK_S, HOUR_S, BlockCounts

__all__ = [
    "SCORE",
    "HourTable",
    "LiveCounts",
    "covered_share",
    "hours_to_blocks",
    "merge_hours",
    "window_counts",
]

SCORE = "prediction"
"""Name under which a model's own scores stand among its reference distributions."""
_HOURS, _BLOCK_HOURS = 24, BLOCK_S // HOUR_S
_KEPT_HOURS = 192
"""Eight days: the rolling week and a day to spare."""

HourTable: TypeAlias = list[list[int]]
"""Rows of one hour: for each column the count of each cell, bins first, then NaN, +inf, -inf."""


class LiveCounts:
    """Counts of served rows by clock hour; changed in place, by one thread.

    Parameters
    ----------
    edges : sequence of sequence of float
        Frozen right-closed inner edges of each column, increasing.
    kept_hours : int, default=192
        Hours held; the earliest are forgotten. Hours without a row take no room, and a clock
        that jumps ahead costs one of them and not all.

    Examples
    --------
    >>> counts = LiveCounts([[0.0], [0.5]])
    >>> counts.add((-1.0, 0.75), ts=7_260.0)
    >>> counts.hours
    {2: [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]}
    """

    __slots__ = ("_cells", "_edges", "_hour", "_kept_hours", "_tables", "_touched", "hours")

    def __init__(self, edges: Iterable[Sequence[float]], kept_hours: int = _KEPT_HOURS) -> None:
        self._edges = [[float(edge) for edge in column] for column in edges]
        self._tables = [np.array(column) for column in self._edges]
        self._kept_hours = kept_hours
        self._hour: int | None = None
        self._cells: HourTable = []
        self._touched: set[int] = set()
        self.hours: dict[int, HourTable] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells of each column."""
        return tuple(len(edges) + 1 + N_SPECIAL for edges in self._edges)

    def add(self, row: Iterable[float], ts: float) -> None:
        """Count one row.

        Parameters
        ----------
        row : iterable of float
            One value a column; NaN and infinities have cells of their own.
        ts : float
            Unix seconds; in any order.
        """
        hour = int(ts) // HOUR_S
        if hour != self._hour:
            self._open(hour)
        for edges, cells, value in zip(self._edges, self._cells, row, strict=True):
            if value - value == 0.0:  # finite; NaN and infinities give NaN
                cells[bisect_left(edges, value)] += 1
            else:
                cells[_special_cell(value)] += 1

    def add_rows(self, rows: Float2D, ts: float) -> None:
        """Count many rows of one moment.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns), float64
            As :meth:`add`.
        ts : float
            Unix seconds.
        """
        self._open(int(ts) // HOUR_S)
        # Of some hundred rows the calls cost more than the counting: one look for NaN and inf.
        is_plain = bool(np.isfinite(rows).all())
        for edges, cells, values in zip(self._tables, self._cells, rows.T, strict=True):
            if is_plain:
                found = np.bincount(edges.searchsorted(values), minlength=len(cells))
            else:
                found = bin_counts(edges, values)
            cells[:] = map(add, cells, found.tolist())

    def merge(self, hours: Mapping[int, HourTable]) -> None:
        """Add counts of before a restart: no change of themselves, but of what is held already."""
        self._touched |= set(self.hours)
        self.hours = merge_hours(self.hours, hours)
        self._hour = None
        self._forget()

    def take_changed(self) -> dict[int, HourTable]:
        """Copies of the hours that changed since the last call, whole, by hour."""
        changed = {hour: self.hours[hour] for hour in sorted(self._touched & set(self.hours))}
        self._touched = set()
        self._hour = None
        return {hour: [list(cells) for cells in table] for hour, table in changed.items()}

    def _open(self, hour: int) -> None:
        if hour not in self.hours:
            self.hours[hour] = [[0] * n_cells for n_cells in self.shape]
            self._forget()
        self._touched.add(hour)
        self._hour, self._cells = hour, self.hours.get(hour) or self._nowhere()

    def _nowhere(self) -> HourTable:
        """A table nobody reads, for an hour earlier than all that are held."""
        return [[0] * n_cells for n_cells in self.shape]

    def _forget(self) -> None:
        for hour in sorted(self.hours)[: max(0, len(self.hours) - self._kept_hours)]:
            del self.hours[hour]


def merge_hours(*parts: Mapping[int, HourTable]) -> dict[int, HourTable]:
    """Counts of several workers or files together, by hour; associative and commutative.

    Examples
    --------
    >>> merge_hours({1: [[1, 0]]}, {1: [[2, 3]], 2: [[0, 1]]})
    {1: [[3, 3]], 2: [[0, 1]]}
    """
    found: dict[int, HourTable] = {}
    for part in parts:
        for hour, table in part.items():
            before = found.get(hour)
            found[hour] = [
                list(cells) if before is None else list(map(add, before[column], cells))
                for column, cells in enumerate(table)
            ]
    return dict(sorted(found.items()))


def window_counts(parts: Iterable[Mapping[int, HourTable]], hours: range) -> list[Int1D]:
    """Rows of a window of hours in each cell, all parts together.

    Parameters
    ----------
    parts : iterable of mapping
        Counts by hour, of several workers.
    hours : range
        Clock hours since 1970.

    Returns
    -------
    list of ndarray of shape (n_cells,), int64
        One a column; empty where the window has no row.

    Examples
    --------
    >>> window_counts([{1: [[1, 0]], 9: [[5, 5]]}, {2: [[2, 3]]}], range(1, 3))
    [array([3, 3])]
    """
    total: HourTable = []
    for part in parts:
        for hour in hours:
            table = part.get(hour)
            if table is None:
                continue
            if not total:
                total = [list(cells) for cells in table]
                continue
            for column, cells in enumerate(table):
                total[column] = list(map(add, total[column], cells))
    return [np.array(cells, dtype=np.int64) for cells in total]


def hours_to_blocks(hours: Mapping[int, HourTable], column: int) -> BlockCounts:
    """Counts of one column by block and hour of the day, as ``count_blocks`` gives them.

    Parameters
    ----------
    hours : mapping of int to HourTable
        At least one hour.
    column : int
        Place of the feature.

    Returns
    -------
    BlockCounts
        The same integers as :func:`mlwb.drift.count_blocks` on all rows at once.
    """
    table = np.array([hours[hour][column] for hour in hours], dtype=np.int64)
    at = np.array(list(hours), dtype=np.int64)
    used = table.any(axis=1)
    starts, place = np.unique(at[used] // _BLOCK_HOURS * BLOCK_S, return_inverse=True)
    counts = np.zeros((len(starts), table.shape[1]), dtype=np.int64)
    by_hour = np.zeros((_HOURS, table.shape[1]), dtype=np.int64)
    np.add.at(counts, place, table[used])
    np.add.at(by_hour, at[used] % _HOURS, table[used])
    return BlockCounts(np.asarray(starts, dtype=np.int64), counts, by_hour)


def covered_share(reference: BlockCounts, hours: Iterable[int]) -> float:
    """How much of the reference's day a window has seen.

    Parameters
    ----------
    reference : BlockCounts
        Of the training window.
    hours : iterable of int
        Clock hours with rows, since 1970 or of the day.

    Returns
    -------
    float
        Share of the reference's rows that fell into those hours of the day, in [0, 1].

    Examples
    --------
    >>> day = np.zeros((24, 4), dtype=np.int64)
    >>> day[[9, 10], 0] = 30, 10
    >>> covered_share(BlockCounts(np.array([0]), day.sum(axis=0)[None], day), [24 + 9, 48 + 9])
    0.75
    """
    rows = reference.by_hour.sum(axis=1)
    seen = sorted({hour % _HOURS for hour in hours})
    return float(rows[seen].sum() / max(int(rows.sum()), 1))


def _special_cell(value: float) -> int:
    """Place from the end: NaN, +inf, -inf are the last three cells."""
    return -3 if math.isnan(value) else -2 if value > 0 else -1
