"""Updates of the book's top folded to minutes."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.data._market import VALUE_FIELDS, RawBars
from mlwb.data._rows import INTERVAL_NS

__all__ = ["fold_minutes", "join_minutes", "minutes_of_quotes"]

_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME, _BID, _ASK, *_ = range(len(VALUE_FIELDS))
_MAX_SKEWS = 100_000
"""Of one file; a p99 is steady long before."""


def fold_minutes(ts_ns: Int1D, cells: Float2D) -> tuple[Int1D, Float2D]:
    """One row a minute: first open, highest high, lowest low, and the last of all else.

    A minute is ``[open, open + 60 s)``: an update at 10:01:00.000 is not known to the bar of
    10:00. Volumes add up. A minute without a row gives none. Folding what is folded changes
    nothing, so that the minutes of several files can be folded again where they meet.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_rows,), int64
        Nanoseconds since 1970 UTC in any order; equal stamps keep theirs.
    cells : ndarray of shape (n_rows, 9), float64
        :data:`VALUE_FIELDS`; NaN where unknown.

    Returns
    -------
    ts_ns : ndarray of shape (n_minutes,), int64
        Opens, ascending.
    cells : ndarray of shape (n_minutes, 9), float64

    Examples
    --------
    >>> rows = np.full((3, 9), np.nan)
    >>> rows[:, :4] = np.array([[5.0], [9.0], [7.0]])
    >>> opens, bars = fold_minutes(np.array([0, 1, 60]) * 10**9, rows)
    >>> opens // 10**9, bars[:, :4].tolist()
    (array([ 0, 60]), [[5.0, 9.0, 5.0, 9.0], [7.0, 7.0, 7.0, 7.0]])
    """
    if np.any(np.diff(ts_ns) < 0):
        order = np.argsort(ts_ns, kind="stable")
        ts_ns, cells = ts_ns[order], cells[order]
    minute = ts_ns // INTERVAL_NS
    starts = np.flatnonzero(np.diff(minute, prepend=minute[0] - 1))
    folded = cells[np.append(starts[1:], len(cells)) - 1]
    folded[:, _OPEN] = cells[starts, _OPEN]
    folded[:, _HIGH] = np.fmax.reduceat(cells[:, _HIGH], starts)
    folded[:, _LOW] = np.fmin.reduceat(cells[:, _LOW], starts)
    folded[:, _VOLUME] = np.add.reduceat(cells[:, _VOLUME], starts)
    return minute[starts] * INTERVAL_NS, folded


def minutes_of_quotes(ts_ns: Int1D, cells: Float2D, received_ns: Int1D | None) -> RawBars:
    """Minutes of one file's quotes.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_updates,), int64
        The exchange's time of each update, in file order.
    cells : ndarray of shape (n_updates, 9), float64
        ``bid ask bid_size ask_size``; the prices of the bar are those of the mid.
    received_ns : ndarray of shape (n_updates,), int64, optional
        The receiver's time.

    Returns
    -------
    RawBars
        Steps back are counted on the clock the file is ordered by: the receiver's if there is
        one, since messages overtake each other on the exchange's.
    """
    cells[:, : _CLOSE + 1] = ((cells[:, _BID] + cells[:, _ASK]) / 2.0)[:, None]
    order_ns = ts_ns if received_ns is None else received_ns
    minutes, folded = fold_minutes(ts_ns, cells)
    return RawBars(
        ts_ns=minutes,
        cells=folded,
        n_updates=len(ts_ns),
        n_updates_back=int(np.count_nonzero(np.diff(order_ns) < 0)),
        skew_ms=None if received_ns is None else _thinned((received_ns - ts_ns) / 1e6),
    )


def join_minutes(parts: list[RawBars]) -> RawBars:
    """Minutes of several files as one; where two files share a minute they are folded.

    Parameters
    ----------
    parts : list of RawBars
        From :func:`minutes_of_quotes`, in any order.

    Returns
    -------
    RawBars
    """
    ordered = sorted(parts, key=lambda part: int(part.ts_ns[0]))
    minutes, cells = fold_minutes(
        np.concatenate([part.ts_ns for part in ordered]),
        np.concatenate([part.cells for part in ordered]),
    )
    skews = [part.skew_ms for part in ordered if part.skew_ms is not None]
    return RawBars(
        ts_ns=minutes,
        cells=cells,
        n_updates=sum(part.n_updates for part in ordered),
        n_updates_back=sum(part.n_updates_back for part in ordered),
        skew_ms=np.concatenate(skews) if skews else None,
    )


def _thinned(values: Float1D) -> Float1D:
    return values[:: -(-len(values) // _MAX_SKEWS)]
