"""What a window will be able to show, before it is collected.

Offline only (scipy). Everything is read off the frozen reference: PSI of a window with population
PSI ``Psi`` is taken as ``g * noncentral_chi2(h, Psi / g)``, g and h of the window's null.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from scipy import special, stats

from mlwb.core.errors import EmptyWindowError
from mlwb.drift._null import BlockNull, block_null
from mlwb.drift._reference import FeatureReference
from mlwb.drift._sweep import WINDOWS_DAYS

__all__ = ["Plan", "plan", "rows_needed"]


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
        Probability that a window without any change is shown to be below the limit.
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
    """
    null = block_null(frozen.name, frozen.blocks.daily, window_blocks=days)
    sweep = list(_nulls(frozen))
    provable = _provable(null, limit, level)
    return Plan(
        name=frozen.name,
        days=days,
        limit=limit,
        level=level,
        power=power,
        detectable=_detectable(null, level, power),
        provable=provable,
        passes=_passes(null, limit, level),
        detects=_detects(null, limit, level),
        days_to_prove=_first([n for n in sweep if _passes(n, limit, level) >= power]),
        days_to_detect=_first([n for n in sweep if _detects(n, limit, level) >= power]),
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


def _detectable(null: BlockNull, level: float, power: float) -> float:
    if null.mean <= 0.0:
        return 0.0
    critical = null.quantile(1.0 - level) / null.scale
    return null.scale * float(special.chndtrinc(critical, null.degrees, 1.0 - power))


def _detects(null: BlockNull, psi: float, level: float) -> float:
    if null.mean <= 0.0:
        return 1.0
    critical = null.quantile(1.0 - level) / null.scale
    return 1.0 - float(special.chndtr(critical, null.degrees, psi / null.scale))


def _provable(null: BlockNull, limit: float, level: float) -> float:
    """Both bounds of :func:`mlwb.drift.calibration.bounds`, solved for the value.

    No direction is known yet, so each is as uncertain as their average, the null's scale.
    """
    if null.mean <= 0.0:
        return limit
    scale, degrees = null.scale, null.degrees
    everywhere = scale * float(special.chndtrix(level, degrees, limit / scale))
    reach = float(stats.t.ppf(1.0 - level, null.n_blocks - 1)) * math.sqrt(scale)
    if reach >= math.sqrt(limit):
        return 0.0
    along = (math.sqrt(limit) - reach) ** 2 + max(null.mean - scale, 0.0)
    return min(everywhere, along, limit)


def _passes(null: BlockNull, limit: float, level: float) -> float:
    """A pass needs a gateable window as well as an upper bound below the limit."""
    if null.limit95 >= limit:
        return 0.0
    if null.mean <= 0.0:
        return 1.0
    return float(special.chdtr(null.degrees, _provable(null, limit, level) / null.scale))


def _nulls(frozen: FeatureReference) -> Iterator[BlockNull]:
    table = frozen.blocks.daily
    for width in WINDOWS_DAYS:
        try:
            yield block_null(frozen.name, table, window_blocks=width)
        except EmptyWindowError:
            return


def _first(nulls: list[BlockNull]) -> int | None:
    return nulls[0].window_blocks if nulls else None
