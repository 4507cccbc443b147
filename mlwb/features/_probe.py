"""The comparison behind every probe: change what comes after a row, and see what happens to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import AnyArray, Bool1D, Float1D, Float2D, Int1D
from mlwb.core.bars import TS
from mlwb.core.errors import EmptyWindowError

__all__ = ["Probe", "Violation", "columns_of", "probe_values"]

Values = Callable[[Float2D], AnyArray]
_KINDS = ("cut", "spoiled")
_ELSEWHERE_S = 37 * 60
"""No time of day, no day of the week stays the same."""


@dataclass(frozen=True)
class Violation:
    """The first bar whose value changed with its future.

    Parameters
    ----------
    row : int
        Position of the bar.
    change : str
        What was done to the bars after it: ``cut`` or ``spoiled``; or ``elsewhere``, where the
        value stayed although every bar was another one: it comes from somewhere else.
    value, other : float
        On the whole market, and on the changed one.
    reach : int
        Bars further than allowed that must stay for the value to stay.
    """

    row: int
    change: str
    value: float
    other: float
    reach: int


@dataclass(frozen=True)
class Probe:
    """What was probed, and what came of it.

    Parameters
    ----------
    what : str
        Name of the value.
    n_points : int
        Bars up to which it was compared, each with its future cut off and spoiled.
    n_known : int
        Those of them at which there was a number. Without one nothing has been shown.
    violation : Violation or None
        The first; None where nothing read the future.
    """

    what: str
    n_points: int
    n_known: int
    violation: Violation | None

    @property
    def is_clean(self) -> bool:
        """True where no compared value changed."""
        return self.violation is None


def probe_values(
    names: Sequence[str],
    values: Values,
    rows: Float2D,
    *,
    ends: Int1D | None = None,
    n_fixed: int = 1,
    n_points: int = 32,
    seed: int = 0,
) -> tuple[Probe, ...]:
    """Probe the columns of any function of rows in time order.

    Parameters
    ----------
    names : sequence of str
        What the columns are called.
    values : callable
        From rows, shape (n, k), to one value a row, shape (n,) or (n, len(names)); deterministic.
    rows : ndarray of shape (n, k), float64
        Bars, or features.
    ends : ndarray of shape (n,), int64, optional
        Last row each value may read; by default its own.
    n_fixed : int, default=1
        First columns that are never spoiled: the time of a bar.
    n_points : int, default=32
        Rows after which the future is changed, for each column, spread over the market; half of
        them at gaps and missing fields, where fills look ahead. Each time all rows that may read
        no further are compared.
    seed : int, default=0
        Of points and spoiling.

    Returns
    -------
    tuple of Probe
        One a column.

    Raises
    ------
    EmptyWindowError
        No value has a future that could be changed.
    """
    n = len(rows)
    ends = np.arange(n) if ends is None else ends
    rng = np.random.default_rng(seed)
    whole = columns_of(values(rows))
    has_future = ends < n - 1
    if not has_future.any():
        raise EmptyWindowError("no bar has a future to change", got=f"{n} bars")
    rough = _rough(rows)
    points = [
        _points(has_future, np.isfinite(column), rough, (rng, n_points)) for column in whole.T
    ]
    spoiled = _spoiled(rows, n_fixed, rng)
    found: list[Violation | None] = [None] * len(names)
    for row in np.unique(np.concatenate(points)).tolist():
        end = int(ends[row])
        settled = np.flatnonzero(ends[: end + 1] <= end)
        changed = (rows[: end + 1], np.concatenate([rows[: end + 1], spoiled[end + 1 :]]))
        for change, other in zip(_KINDS, changed, strict=True):
            got = columns_of(values(other))
            differs = ~_same(whole[settled], got[settled])
            for column in np.flatnonzero(differs.any(axis=0)).tolist():
                if found[column] is None:
                    at = int(settled[np.flatnonzero(differs[:, column])[-1]])
                    value = float(whole[at, column])
                    reach = _reach(values, rows, (at, int(ends[at]), column), value)
                    found[column] = Violation(at, change, value, float(got[at, column]), reach)
    for column in _remembered(values, whole, spoiled, n_fixed):
        if found[column] is None:
            at = int(np.flatnonzero(np.isfinite(whole[:, column]))[0])
            value = float(whole[at, column])
            found[column] = Violation(at, "elsewhere", value, value, n - 1 - at)
    n_known = [int(np.isfinite(c[at]).sum()) for c, at in zip(whole.T, points, strict=True)]
    return tuple(
        Probe(name, len(at), known, violation)
        for name, at, known, violation in zip(names, points, n_known, found, strict=True)
    )


def _remembered(values: Values, whole: Float2D, spoiled: Float2D, n_fixed: int) -> list[int]:
    """Columns that vary, and stay what they were on another market at another time."""
    elsewhere = spoiled.copy()
    elsewhere[:, :n_fixed] += _ELSEWHERE_S
    got = columns_of(values(elsewhere))
    known = [np.isfinite(column) for column in whole.T]
    return [
        i
        for i, at in enumerate(known)
        if at.any() and np.ptp(whole[at, i]) > 0.0 and _same(whole[at, i], got[at, i]).all()
    ]


def columns_of(values: AnyArray) -> Float2D:
    """Values as one column each."""
    return values.reshape(len(values), -1).astype(np.float64, copy=False)


def _same(left: Float1D, right: Float1D) -> Bool1D:
    both_nan = np.isnan(left) & np.isnan(right)
    return np.asarray((left.view(np.int64) == right.view(np.int64)) | both_nan)


def _rough(rows: Float2D) -> Bool1D:
    """Rows with a field missing that others have, and rows before a gap."""
    missing = np.isnan(rows)
    rough: Bool1D = np.asarray(missing[:, ~missing.all(axis=0)].any(axis=1))
    step = np.diff(rows[:, TS])
    if len(step):
        rough[:-1] |= step > np.nanmedian(step)
    return rough


def _points(
    allowed: Bool1D, known: Bool1D, rough: Bool1D, how: tuple[np.random.Generator, int]
) -> Int1D:
    """Rows to compare: half rough, half spread over the known ones."""
    rng, n_points = how
    some = np.flatnonzero(allowed & rough)
    at = rng.choice(some, min(n_points // 2, len(some)), replace=False)
    plain = np.flatnonzero(allowed & known)
    plain = plain if len(plain) else np.flatnonzero(allowed)
    bins = np.array_split(plain, min(n_points - len(at), len(plain)))
    return np.unique(np.concatenate([at, [rng.choice(part) for part in bins]])).astype(np.int64)


def _spoiled(rows: Float2D, n_fixed: int, rng: np.random.Generator) -> Float2D:
    """The rows with other values everywhere: rescaled, and here and there missing."""
    out = rows.copy()
    out[:, n_fixed:] *= np.exp(rng.normal(0.5, 0.5, (len(rows), 1)))
    out[:, n_fixed:] += rng.random((len(rows), 1))
    out[rng.random(len(rows)) < 0.1, n_fixed:] = np.nan
    return out


def _reach(values: Values, rows: Float2D, where: tuple[int, int, int], value: float) -> int:
    """Fewest further rows with which the value is what it is on the whole, by bisection."""
    row, end, column = where
    low, high = 0, len(rows) - 1 - end
    while high - low > 1:
        middle = (low + high) // 2
        got = columns_of(values(rows[: end + 1 + middle]))[row, column : column + 1]
        if _same(np.array([value]), got)[0]:
            high = middle
        else:
            low = middle
    return high
