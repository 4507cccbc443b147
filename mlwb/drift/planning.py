"""What a window will be able to show, before it is collected.

Offline only (scipy). Everything is read off the frozen reference: its own windows say how often an
unchanged one is shown to be so, and its days how far they swing along two changes that a feature
may undergo, a shift of its level and a change of its spread. Plans are for the one that is harder
to see.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from mlwb.core.arrays import Float1D, Int2D
from mlwb.core.errors import EmptyWindowError, ParamsError
from mlwb.drift._bins import N_SPECIAL
from mlwb.drift._chance import windows_of
from mlwb.drift._direction import day_swings
from mlwb.drift._null import BlockNull, block_null
from mlwb.drift._reference import FeatureReference
from mlwb.drift._sweep import WINDOWS_DAYS

__all__ = ["Plan", "plan", "rows_needed"]

_NODES = 400
_TINY = 1e-15
_SURE = 1e5
"""Degrees from which chance hardly varies (a clock); the noncentral law takes minutes there."""


@dataclass(frozen=True)
class Plan:
    """What a window of some days can show of one feature.

    Parameters
    ----------
    name : str
        Feature name.
    days : int
        Length of the window.
    limit : float
        PSI the gate allows, nats.
    level, power : float
        Of the test; each bound covers ``1 - level``.
    detectable : float
        Smallest population PSI, nats, that the p value finds with this power.
    provable : float
        Largest observed PSI, nats, whose upper bound is still below the limit; 0 where none is.
    passes : float
        Share of the reference's own windows that are shown to be below the limit.
    detects : float
        Probability that the p value finds a population PSI equal to the limit.
    days_to_prove, days_to_detect : int or None
        Shortest window tried that passes, or detects, with this power; None where the reference is
        too short to hold such a window.
    """

    name: str
    days: int
    limit: float
    level: float
    power: float
    detectable: float
    provable: float
    passes: float
    detects: float
    days_to_prove: int | None
    days_to_detect: int | None


def plan(
    frozen: FeatureReference, *, days: int, limit: float, power: float = 0.8, level: float = 0.05
) -> Plan:
    """What a window will be able to show.

    Parameters
    ----------
    frozen : FeatureReference
        Frozen in training, from full days.
    days : int
        Length of the window, full days, at most half of the reference's.
    limit : float
        PSI the gate allows, nats, > 0.
    power : float, default=0.8
        Probability wanted, in (level, 1).
    level : float, default=0.05
        Of the p value, and of what each bound may miss, in (0, 0.5).

    Returns
    -------
    Plan

    Raises
    ------
    EmptyWindowError
        The reference is too short for a null of this window.
    ParamsError
        A number is outside its range.
    """
    if not (days >= 1 and 0.0 < limit < math.inf and 0.0 < level < 0.5 and level < power < 1.0):
        raise ParamsError(
            "that cannot be planned for",
            expected="days >= 1, limit > 0, level in (0, 0.5), power in (level, 1)",
            got=f"days {days}, limit {limit:g}, level {level:g}, power {power:g}",
        )
    table = frozen.blocks.daily
    here = _chance(frozen.name, table, days)
    sweep = list(_sweep(frozen.name, table))
    return Plan(
        name=frozen.name,
        days=days,
        limit=limit,
        level=level,
        power=power,
        detectable=_detectable(here, level, power),
        provable=_provable(here, limit, level),
        passes=_passes(here, limit, level),
        detects=_detects(here, limit, level),
        days_to_prove=_first([c for c in sweep if _passes(c, limit, level) >= power]),
        days_to_detect=_first([c for c in sweep if _detects(c, limit, level) >= power]),
    )


def rows_needed(psi: float, *, n_cells: int, level: float = 0.05, power: float = 0.8) -> float:
    """Independent rows that find a population PSI: ``n * m / (n + m) >= lambda / psi``.

    Parameters
    ----------
    psi : float
        Population PSI to find, nats, > 0.
    n_cells : int
        Cells that hold rows, at least 2.
    level, power : float, default=0.05, 0.8
        Of the test.

    Returns
    -------
    float
        ``n * m / (n + m)`` of n reference and m current rows. Rows of a market are worth less;
        divide by the design effect of :func:`mlwb.drift.calibration.calibrate`.

    Examples
    --------
    >>> round(rows_needed(0.02, n_cells=10, level=0.01, power=0.95))
    1515
    """
    critical = special.chdtri(n_cells - 1, level)
    return float(special.chndtrinc(critical, n_cells - 1, 1.0 - power)) / psi


@dataclass(frozen=True)
class _Chance:
    """A null with what its days do along a change.

    Parameters
    ----------
    null : BlockNull
        Of the window.
    errors : ndarray of shape (n_windows,), float64
        Standard error of the root of PSI in each of the null's windows.
    along : float
        Variance of the root of PSI along the planned change that is harder to see, nats.
    """

    null: BlockNull
    errors: Float1D
    along: float


def _chance(name: str, table: Int2D, days: int) -> _Chance:
    null = block_null(name, table, window_blocks=days)
    windows, total = windows_of(table, days), table.sum(axis=0)
    swings = day_swings(total - windows, windows, table)
    # scores are scaled by the memory as squares, so a drawn window swings as its root
    moved = swings.var(axis=1, ddof=1) * null.spread * null.memory
    errors = np.sqrt(moved / (4.0 * np.maximum(null.scores, _TINY)))
    return _Chance(null, errors, _along(table) * null.spread)


def _along(table: Int2D) -> float:
    """Variance of days along a shift of the level and a change of the spread, the larger one."""
    shares = table / table.sum(axis=1, keepdims=True)
    mean = shares.mean(axis=0)
    finite = np.where(np.arange(len(mean)) < len(mean) - N_SPECIAL, mean, 0.0)
    if not finite.any():
        return 0.0
    scores = special.ndtri((np.cumsum(finite) - finite / 2.0) / finite.sum())
    scores[finite <= 0.0] = 0.0
    found = 0.0
    for score in (scores, scores**2):
        change = finite * (score - (finite @ score) / finite.sum())
        size = float((change**2 / np.maximum(mean, _TINY)).sum())
        along = (shares - mean) / np.maximum(mean, _TINY) @ change
        found = max(found, float(along.var(ddof=1)) / size if size > 0.0 else 0.0)
    return found


def _sweep(name: str, table: Int2D) -> Iterator[_Chance]:
    for width in WINDOWS_DAYS:
        try:
            yield _chance(name, table, width)
        except EmptyWindowError:
            return


def _first(chances: list[_Chance]) -> int | None:
    return chances[0].null.window_blocks if chances else None


def _detects(chance: _Chance, psi: float, level: float) -> float:
    """Power: the planned direction is off by its change, the others by chance alone."""
    null = chance.null
    if null.mean <= 0.0:
        return 1.0
    own = min(chance.along, null.mean)
    rest = null.mean - own
    degrees = rest**2 / max(null.mean * null.scale - own**2, _TINY) if rest > 0.0 else 0.0
    noise = math.sqrt(own) * special.ndtri((np.arange(_NODES) + 0.5) / _NODES)
    left = null.quantile(1.0 - level) - (math.sqrt(psi) + noise) ** 2
    if rest <= _TINY:
        return float(np.mean(left <= 0.0))
    return float(np.mean(special.chdtrc(degrees, np.maximum(left, 0.0) * degrees / rest)))


def _detectable(chance: _Chance, level: float, power: float) -> float:
    if chance.null.mean <= 0.0:
        return 0.0

    def missing(psi: float) -> float:
        return power - _detects(chance, psi, level)

    top = chance.null.quantile(1.0 - level)
    while missing(top) > 0.0:
        top *= 2.0
    return float(optimize.brentq(missing, 0.0, top, xtol=1e-6 * top))


def _provable(chance: _Chance, limit: float, level: float) -> float:
    """Both bounds of :func:`mlwb.drift.calibration.bounds`, solved for the value."""
    reach = _reach(chance.null, level) * math.sqrt(chance.along)
    if reach >= math.sqrt(limit):
        return 0.0
    along = (math.sqrt(limit) - reach) ** 2 + max(chance.null.mean - chance.along, 0.0)
    return min(_everywhere(chance.null, limit, level), along, limit)


def _passes(chance: _Chance, limit: float, level: float) -> float:
    """A pass needs a gateable window as well as an upper bound below the limit."""
    null, errors = chance.null, chance.errors
    if null.limit95 >= limit:
        return 0.0
    elsewhere = np.maximum(null.mean - errors**2, 0.0)
    centre = np.sqrt(np.maximum(null.scores - elsewhere, 0.0))
    along = (centre + _reach(null, level) * errors) ** 2 < limit
    return float(np.mean(along & (null.scores < min(_everywhere(null, limit, level), limit))))


def _reach(null: BlockNull, level: float) -> float:
    return float(stats.t.ppf(1.0 - level, null.n_blocks - 1))


def _everywhere(null: BlockNull, limit: float, level: float) -> float:
    """Value whose bound is the limit if every direction were as uncertain as the average."""
    if null.mean <= 0.0 or null.degrees > _SURE:
        return limit
    return null.scale * float(special.chndtrix(level, null.degrees, limit / null.scale))
