"""What PSI chance alone gives on dependent data, and what a value then says.

Minutes of a market are not independent, so the reference is cut into days, and windows of days are
compared with the rest of it: those scores are the null of a window as long as the current one.
Offline only (scipy).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._bins import N_SPECIAL, bin_counts
from mlwb.drift._blocks import BlockCounts
from mlwb.drift._bounds import Bounds, bounds
from mlwb.drift._direction import day_swings
from mlwb.drift._distances import ks_at_edges
from mlwb.drift._null import BlockNull, block_null
from mlwb.drift._psi import PsiResult, psi_of_counts
from mlwb.drift._reference import FeatureReference
from mlwb.drift._sweep import WINDOWS_DAYS, WindowNull, first_quiet, gateable_days, window_nulls
from mlwb.drift._tails import kolmogorov_tail
from mlwb.drift._windows import Matched, matched

__all__ = [
    "WINDOWS_DAYS",
    "BlockNull",
    "Bounds",
    "Calibrated",
    "Reading",
    "WindowNull",
    "block_counts",
    "block_null",
    "bounds",
    "calibrate",
    "first_quiet",
    "gateable_days",
    "is_gateable",
    "ks_of_counts",
    "overall",
    "reading",
    "window_nulls",
]

Reading = Literal["pass", "fail", "insufficient", "not_gateable"]
"""What a statistic says about a number it is held against."""


@dataclass(frozen=True)
class Calibrated:
    """PSI of a window with what chance alone would have given.

    Parameters
    ----------
    psi : PsiResult
        Plain statistic, against the same hours of the reference.
    null : BlockNull or None
        Its null for a window of the same length; None where the reference is too short for one.
    bounds : Bounds or None
        Of the population PSI, from that null.
    swings : ndarray of shape (n_days,), float64
        What each reference day would have moved PSI by, along the change that was found, scaled to
        the window: their standard deviation is that of PSI. Empty without a null.
    """

    psi: PsiResult
    null: BlockNull | None
    bounds: Bounds | None
    swings: Float1D

    @property
    def name(self) -> str:
        """Feature name."""
        return self.psi.name

    @property
    def corrected(self) -> float:
        """PSI less what chance gives on average, nats; without a null, of independent rows."""
        chance = self.psi.noise_floor if self.null is None else self.null.mean
        return self.psi.value - chance

    @property
    def p_value(self) -> float | None:
        """Probability of a window at least this far off without any change."""
        return None if self.null is None else self.null.p_value(self.psi.value)

    @property
    def design_effect(self) -> float | None:
        """What chance gives over what it would give if rows were independent, >= 1.

        None without a null, and where all rows are in one cell.
        """
        if self.null is None or self.psi.noise_floor <= 0.0:
            return None
        return max(self.null.mean / self.psi.noise_floor, 1.0)

    @property
    def n_eff(self) -> float | None:
        """Independent rows that the current window is worth."""
        effect = self.design_effect
        return None if effect is None else self.psi.n_obs / effect


def calibrate(frozen: FeatureReference, current: BlockCounts, *, level: float = 0.95) -> Calibrated:
    """Hold a window against the reference, knowing what chance alone gives.

    Parameters
    ----------
    frozen : FeatureReference
        Frozen in training, from full days.
    current : BlockCounts
        Finished blocks in the same bins. Cut back to whole days; where it is shorter than a day,
        it is compared with the same hours of every reference day.
    level : float, default=0.95
        One-sided coverage of each bound.

    Returns
    -------
    Calibrated

    Raises
    ------
    EmptyWindowError
        No current row, or no reference day with its hours.
    """
    window = matched(frozen.blocks, current)
    found = psi_of_counts(frozen.name, window.reference, window.current)
    try:
        null = block_null(frozen.name, window.days, window_blocks=window.window)
    except EmptyWindowError:
        return _calibrated(found, None, np.empty(0), level)
    return _calibrated(found, null, _swings(window, null), level)


def overall(items: Sequence[Calibrated], *, level: float = 0.95) -> Calibrated:
    """Mean PSI of several features, calibrated as they are: window by window together.

    Features move together, so the null of the mean is the mean of the nulls over the same windows.

    Parameters
    ----------
    items : sequence of Calibrated
        Of one window, each feature against the same reference days.
    level : float, default=0.95
        One-sided coverage of each bound.

    Returns
    -------
    Calibrated
        ``psi.per_bin`` holds each feature's part of the mean. Without a null where one feature
        has none, or where they stand on different windows.

    Raises
    ------
    EmptyWindowError
        No feature.
    """
    if not items:
        raise EmptyWindowError("no feature to average")
    parts = np.array([item.psi.value for item in items]) / len(items)
    found = PsiResult(
        name="overall",
        value=float(parts.sum()),
        raw=float(np.mean([item.psi.raw for item in items])),
        per_bin=parts,
        noise_floor=float(np.mean([item.psi.noise_floor for item in items])),
        n_ref=min(item.psi.n_ref for item in items),
        n_obs=min(item.psi.n_obs for item in items),
    )
    nulls = [item.null for item in items if item.null is not None]
    kinds = {(null.window_blocks, null.n_blocks) for null in nulls}
    if len(nulls) < len(items) or len(kinds) > 1:
        return _calibrated(found, None, np.empty(0), level)
    null = replace(
        nulls[0],
        scores=np.mean([null.scores for null in nulls], axis=0),
        memory=float(np.mean([null.memory for null in nulls])),
    )
    return _calibrated(found, null, np.mean([item.swings for item in items], axis=0), level)


def is_gateable(found: Calibrated, limit: float) -> bool:
    """Whether chance alone stays below a number in 95 of 100 windows of this length."""
    return found.null is not None and found.bounds is not None and found.null.limit95 < limit


def reading(
    found: Calibrated,
    limit: float,
    p_adjusted: float | None = None,
    level: float = 0.05,
    *,
    sure: float = 0.001,
) -> Reading:
    """What a calibrated PSI says about a number: a reading, not a verdict.

    Parameters
    ----------
    found : Calibrated
        Of one feature, or the mean.
    limit : float
        Number it is held against, nats.
    p_adjusted : float, optional
        p value after the adjustment for several features; default: its own.
    level : float, default=0.05
        p values up to this one speak for a change.
    sure : float, default=0.001
        The same where chance alone reaches the number: only what it almost never gives, such as a
        wrong unit, is called a change there.

    Returns
    -------
    {"pass", "fail", "insufficient", "not_gateable"}
        ``"not_gateable"``: there is no null, or chance alone reaches the number in one window of
        twenty. ``"pass"``: the population PSI is shown to be below it. ``"fail"``: it is shown not
        to be, or the window is beyond chance and its corrected PSI is no smaller than the number.
        ``"insufficient"``: the window is too short to tell.
    """
    if found.null is None or found.bounds is None:
        return "not_gateable"
    p_value = found.null.p_value(found.psi.value) if p_adjusted is None else p_adjusted
    is_large = found.corrected >= limit
    if not is_gateable(found, limit):
        return "fail" if p_value <= sure and is_large else "not_gateable"
    if found.bounds.upper < limit:
        return "pass"
    changed = p_value <= level and is_large
    return "fail" if changed or found.bounds.lower >= limit else "insufficient"


def _calibrated(
    found: PsiResult, null: BlockNull | None, swings: Float1D, level: float
) -> Calibrated:
    if null is None:
        return Calibrated(found, None, None, swings)
    # d sqrt(PSI) = d PSI / (2 sqrt(PSI)); a PSI of 0 has no direction
    root = 2.0 * math.sqrt(found.value)
    error = float(swings.std(ddof=1)) / root if root > 0.0 else 0.0
    return Calibrated(found, null, bounds(found.value, null, level=level, root_error=error), swings)


def _swings(window: Matched, null: BlockNull) -> Float1D:
    """Swings of reference days along the change found, scaled to a window that remembers."""
    moved = day_swings(window.reference[None], window.current[None], window.days)[0]
    return np.asarray(moved * math.sqrt(null.spread), dtype=np.float64)


def block_counts(edges: Float1D, values: Float1D, blocks: Int1D) -> list[Int1D]:
    """Count values into frozen bins, block by block in order.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,), float64
        Frozen inner edges.
    values : ndarray of shape (n_obs,), float64
        In time order.
    blocks : ndarray of shape (n_obs,), int64
        Block number of each row, for example the UTC day.

    Returns
    -------
    list of ndarray
    """
    return [bin_counts(edges, values[blocks == block]) for block in np.unique(blocks)]


def ks_of_counts(reference: Int1D, current: Int1D) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov statistic at frozen edges, with its asymptotic p value.

    Parameters
    ----------
    reference, current : ndarray of shape (n_bins + 3,), int64
        Counts as :func:`mlwb.drift.bin_counts` gives them; the special cells are left out.

    Returns
    -------
    tuple of float
        Largest difference of the two distribution functions over the edges, in [0, 1], which is
        at most the statistic of the raw values; and its p value for independent rows.

    Raises
    ------
    EmptyWindowError
        One side is empty.
    """
    gap = ks_at_edges(reference, current)
    n, m = (int(side[:-N_SPECIAL].sum()) for side in (reference, current))
    return gap, kolmogorov_tail(gap * math.sqrt(n * m / (n + m)))
