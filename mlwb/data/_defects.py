"""Faults put into a clean market on purpose, each with the rows it was put into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float2D, Int1D
from mlwb.core.errors import ParamsError
from mlwb.data._market import VALUE_FIELDS, RawBars

__all__ = ["DefectPlan", "Injected", "inject_defects"]

_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME, _BID, _ASK, *_ = range(len(VALUE_FIELDS))


@dataclass(frozen=True)
class DefectPlan:
    """How many faults of each kind; all 0 is a clean market.

    Scattered faults (``duplicates`` to ``wrong_unit``) fall on bars of their own, away
    from each other and from the halt, so that each can be counted.

    Parameters
    ----------
    frozen_bars, missing_bars : int
        One halt in the middle: bars without a trade at the last price, then none at all.
    page_keep, page_ask : int
        A paging bug: of every ``page_ask`` bars the first ``page_keep`` are there.
    duplicates, conflicting : int
        Rows that repeat the one before, with the same or with other values.
    crossed, locked : int
        Bars with ask below, or at, bid.
    spikes, non_finite, non_positive, ohlc_violations : int
        Bad prints, missing closes, closes of 0, highs below the low.
    swapped : int
        Neighbouring rows that change places.
    off_grid : int
        Stamps 17 s past the minute.
    wrong_unit : int
        Stamps a thousand times too small, as of ms taken for us. Such rows are no market:
        reading them is refused.
    is_newest_first : bool
        The whole file backwards.
    """

    frozen_bars: int = 0
    missing_bars: int = 0
    page_keep: int = 0
    page_ask: int = 0
    duplicates: int = 0
    conflicting: int = 0
    crossed: int = 0
    locked: int = 0
    spikes: int = 0
    non_finite: int = 0
    non_positive: int = 0
    ohlc_violations: int = 0
    swapped: int = 0
    off_grid: int = 0
    wrong_unit: int = 0
    is_newest_first: bool = False


@dataclass(frozen=True)
class Injected:
    """Rows with faults, and where they are.

    Parameters
    ----------
    raw : RawBars
    labels : mapping of str to ndarray
        Fault to the opens (ns since 1970 UTC) of the minutes it was put into.
    decisions : tuple of str
        One sentence a fault.
    """

    raw: RawBars
    labels: Mapping[str, Int1D]
    decisions: tuple[str, ...]


_SCATTERED = (
    "duplicates",
    "conflicting",
    "crossed",
    "locked",
    "spikes",
    "non_finite",
    "non_positive",
    "ohlc_violations",
    "swapped",
    "off_grid",
    "wrong_unit",
)
_OFF_GRID_NS = 17 * 10**9
_APART = 6
"""Rows between two faults, so that none hides another."""


def inject_defects(raw: RawBars, plan: DefectPlan, rng: np.random.Generator) -> Injected:
    """Put faults into clean rows.

    Parameters
    ----------
    raw : RawBars
        Sorted, unique, without faults.
    plan : DefectPlan
    rng : numpy.random.Generator
        Chooses the places.

    Returns
    -------
    Injected

    Raises
    ------
    ParamsError
        The plan does not fit the rows: too many faults, a negative count, quotes where there
        are none.
    """
    n = len(raw.ts_ns)
    halt = np.arange(n // 2, n // 2 + plan.frozen_bars + plan.missing_bars)
    _check(plan, n, has_quotes=bool(np.isfinite(raw.cells[:, _BID]).any()))
    values, ts_ns, places = raw.cells.copy(), raw.ts_ns.copy(), _places(plan, n, halt, rng)
    _freeze(values, halt[: plan.frozen_bars])
    for fault, rows in places.items():
        _spoil(values, fault, rows)
    ts_ns[places["off_grid"]] += _OFF_GRID_NS
    ts_ns[places["wrong_unit"]] //= 1000
    keep = np.ones(n, dtype=bool)
    keep[halt[plan.frozen_bars :]] = False
    if plan.page_ask:
        keep &= np.arange(n) % plan.page_ask < plan.page_keep
    order = _rows_written(np.flatnonzero(keep), places)
    rewritten = values[order]
    _contradict(rewritten, order, places["conflicting"])
    if plan.is_newest_first:
        order, rewritten = order[::-1], rewritten[::-1]
    labels = {
        "frozen_bars": raw.ts_ns[halt[: plan.frozen_bars]],
        "missing_bars": raw.ts_ns[~keep],
        **{fault: raw.ts_ns[rows] for fault, rows in places.items()},
    }
    said = tuple(f"injected: {len(at)} {fault}" for fault, at in labels.items() if len(at))
    return Injected(RawBars(ts_ns[order], np.ascontiguousarray(rewritten)), labels, said)


def _check(plan: DefectPlan, n: int, *, has_quotes: bool) -> None:
    counts = {fault: getattr(plan, fault) for fault in _SCATTERED}
    halt = (plan.frozen_bars, plan.missing_bars)
    if min((*counts.values(), *halt, plan.page_keep)) < 0:
        raise ParamsError("a defect plan counts below 0", got=repr(plan))
    if sum(halt) + _APART >= n // 2:
        raise ParamsError("the halt is longer than half the market", got=f"{sum(halt)} bars")
    if plan.page_ask and not 0 < plan.page_keep < plan.page_ask:
        raise ParamsError("a page keeps less than it asks for", got=repr(plan))
    if (plan.crossed or plan.locked) and not has_quotes:
        raise ParamsError("no quotes to cross or lock", todo="simulate with quotes=True")


def _places(plan: DefectPlan, n: int, halt: Int1D, rng: np.random.Generator) -> dict[str, Int1D]:
    """Rows for the scattered faults: a grid of slots, so that they stay apart."""
    slots = np.arange(_APART, n - _APART, _APART)
    if plan.page_ask:
        at = slots % plan.page_ask
        slots = slots[(at >= 2) & (at < plan.page_keep - 2)]
    if len(halt):
        slots = slots[(slots < halt[0] - _APART) | (slots > halt[-1] + _APART)]
    wanted = sum(getattr(plan, fault) for fault in _SCATTERED)
    if wanted > len(slots):
        raise ParamsError("more defects than the market holds", expected=f"<= {len(slots)}")
    chosen = rng.choice(slots, size=wanted, replace=False)
    places, used = {}, 0
    for fault in _SCATTERED:
        count = getattr(plan, fault)
        places[fault] = np.sort(chosen[used : used + count])
        used += count
    return places


def _freeze(values: Float2D, rows: Int1D) -> None:
    if not len(rows):
        return
    before = values[rows[0] - 1]
    values[rows] = before
    values[rows, :_CLOSE] = before[_CLOSE]
    values[rows, _VOLUME] = 0.0


def _spoil(values: Float2D, fault: str, rows: Int1D) -> None:
    if fault == "crossed":
        values[rows, _BID], values[rows, _ASK] = values[rows, _ASK], values[rows, _BID]
    elif fault == "locked":
        values[rows, _ASK] = values[rows, _BID]
    elif fault == "spikes":
        values[np.ix_(rows, np.array([_OPEN, _HIGH, _LOW, _CLOSE, _BID, _ASK]))] *= 1.5
    elif fault == "non_finite":
        values[rows, _CLOSE] = np.nan
    elif fault == "non_positive":
        values[np.ix_(rows, np.array([_LOW, _CLOSE]))] = 0.0
    elif fault == "ohlc_violations":
        values[rows, _HIGH] = values[rows, _LOW] * 0.999


def _rows_written(kept: Int1D, places: Mapping[str, Int1D]) -> Int1D:
    """Row numbers in the order the file holds them."""
    order = kept.copy()
    at = np.searchsorted(order, places["swapped"])
    order[at], order[at + 1] = order[at + 1], order[at].copy()
    again = np.concatenate([places["duplicates"], places["conflicting"]])
    after = np.flatnonzero(np.isin(order, again)) + 1
    return np.insert(order, after, order[after - 1])


def _contradict(rewritten: Float2D, order: Int1D, rows: Int1D) -> None:
    is_again = np.concatenate([[False], order[1:] == order[:-1]]) & np.isin(order, rows)
    rewritten[is_again, _VOLUME] += 1.0
