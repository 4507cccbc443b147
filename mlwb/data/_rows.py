"""Rows put in order: sorted, repeats judged, one row a minute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.data._market import RawBars

__all__ = ["INTERVAL_NS", "OrderedRows", "order_rows"]

INTERVAL_NS = INTERVAL_S * 10**9


@dataclass(frozen=True)
class OrderedRows:
    """How the rows of a source become one bar a minute.

    Parameters
    ----------
    kept : ndarray of shape (n_bars,), int64
        Row of the source each bar is taken from: the last one read of its minute.
    repeats : ndarray of shape (n_bars,), int64
        Rows the minute had, 1 where it stood once.
    conflicting : ndarray of shape (n_bars,), bool
        Whether those rows differed.
    n_identical, n_conflicting : int
        Rows left out because they repeat the row before them of the same minute, or differ
        from it.
    n_off_grid : int
        Rows left out because their stamp is no full minute.
    n_out_of_order : int
        Rows that step back in time; counted from the end in a newest-first file.
    is_newest_first : bool
    """

    kept: Int1D
    repeats: Int1D
    conflicting: Bool1D
    n_identical: int
    n_conflicting: int
    n_off_grid: int
    n_out_of_order: int
    is_newest_first: bool


def order_rows(raw: RawBars) -> OrderedRows:
    """Sort the rows of a source by time and judge the minutes that stand more than once.

    Parameters
    ----------
    raw : RawBars

    Returns
    -------
    OrderedRows
    """
    steps = np.diff(raw.ts_ns)
    n_back, n_ahead = int(np.count_nonzero(steps < 0)), int(np.count_nonzero(steps > 0))
    is_newest_first = n_back > n_ahead
    rows = np.flatnonzero(raw.ts_ns % INTERVAL_NS == 0)
    if n_back or len(rows) < len(raw.ts_ns):
        rows = rows[np.argsort(raw.ts_ns[rows], kind="stable")]
    ts_ns = raw.ts_ns[rows]
    is_repeat = np.zeros(len(rows), dtype=bool)
    is_repeat[1:] = ts_ns[1:] == ts_ns[:-1]
    differs = np.zeros(len(rows), dtype=bool)
    at = np.flatnonzero(is_repeat)
    here, before = raw.cells[rows[at]], raw.cells[rows[at - 1]]
    differs[at] = ~np.all((here == before) | (np.isnan(here) & np.isnan(before)), axis=1)
    starts = np.flatnonzero(~is_repeat)
    repeats = np.diff(np.append(starts, len(rows)))
    conflicting = np.add.reduceat(differs, starts) > 0 if len(starts) else differs
    return OrderedRows(
        kept=rows[starts + repeats - 1],
        repeats=repeats,
        conflicting=conflicting,
        n_identical=len(at) - int(differs.sum()),
        n_conflicting=int(differs.sum()),
        n_off_grid=len(raw.ts_ns) - len(rows),
        n_out_of_order=n_ahead if is_newest_first else n_back,
        is_newest_first=is_newest_first,
    )
