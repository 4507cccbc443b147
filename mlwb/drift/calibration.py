"""What PSI chance alone gives on dependent data, and what a value then says.

Minutes of a market are not independent, so the reference is cut into days and windows of it are
compared with the rest: those scores are the null distribution of a window as long as the current
one. Offline only (scipy).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from mlwb.core.arrays import Float1D, Int1D, Int2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._bins import N_SPECIAL, bin_counts
from mlwb.drift._blocks import BlockCounts
from mlwb.drift._bounds import Bounds, bounds
from mlwb.drift._null import BlockNull, block_null
from mlwb.drift._psi import PsiResult, psi_of_counts
from mlwb.drift._reference import FeatureReference
from mlwb.drift._windows import matched

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
    "ks_of_counts",
    "overall",
    "reading",
    "window_nulls",
]

Reading = Literal["pass", "fail", "insufficient", "not_gateable"]
"""What a statistic says about a number it is held against."""
WINDOWS_DAYS = (1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 84)
"""Window lengths tried, as far as the reference is at least twice as long."""


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
    """

    psi: PsiResult
    null: BlockNull | None
    bounds: Bounds | None

    @property
    def name(self) -> str:
        """Feature name."""
        return self.psi.name

    @property
    def corrected(self) -> float:
        """PSI less what chance gives on average, nats; without a null, of independent rows."""
        chance = self.psi.noise_floor if self.null is None else float(self.null.scores.mean())
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
        return max(float(self.null.scores.mean()) / self.psi.noise_floor, 1.0)

    @property
    def n_eff(self) -> float | None:
        """Independent rows that the current window is worth."""
        effect = self.design_effect
        return None if effect is None else self.psi.n_obs / effect


@dataclass(frozen=True)
class WindowNull:
    """What chance alone gives in a window of some days.

    Parameters
    ----------
    days : int
        Length of the window.
    limit95 : float
        95 % quantile of the PSI without any change, nats.
    n_eff : float
        Independent rows the window is worth: rows over the design effect, which is the mean of
        those PSIs over the mean they would have if rows were independent.
    n_disjoint : int
        Windows that share no day: what the quantile rests on.
    """

    days: int
    limit95: float
    n_eff: float
    n_disjoint: int


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
        null = block_null(frozen.name, list(window.days), window_blocks=window.window)
    except EmptyWindowError:
        return Calibrated(found, None, None)
    return Calibrated(found, null, bounds(found.value, null, level=level))


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
    if len(nulls) < len(items) or len({(n.window_blocks, len(n.scores)) for n in nulls}) > 1:
        return Calibrated(found, None, None)
    scores: Float1D = np.mean([null.scores for null in nulls], axis=0)
    null = BlockNull(scores, nulls[0].window_blocks)
    return Calibrated(found, null, bounds(found.value, null, level=level))


def reading(
    found: Calibrated, limit: float, p_adjusted: float | None = None, level: float = 0.05
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

    Returns
    -------
    {"pass", "fail", "insufficient", "not_gateable"}
        ``"not_gateable"``: there is no null, or chance alone reaches the number in one window of
        twenty. ``"pass"``: the population PSI is shown to be below it. ``"fail"``: it is shown not
        to be, or the window is beyond chance and its corrected PSI is no smaller than the number.
        ``"insufficient"``: the window is too short to tell.
    """
    if found.null is None or found.bounds is None or found.null.limit95 >= limit:
        return "not_gateable"
    if found.bounds.upper < limit:
        return "pass"
    p_value = found.null.p_value(found.psi.value) if p_adjusted is None else p_adjusted
    changed = p_value <= level and found.corrected >= limit
    return "fail" if changed or found.bounds.lower >= limit else "insufficient"


def window_nulls(name: str, days: Int2D) -> tuple[WindowNull, ...]:
    """What chance alone gives, by length of the window.

    Parameters
    ----------
    name : str
        Feature name.
    days : ndarray of shape (n_days, n_cells), int64
        Reference counts of each full day, in time order.

    Returns
    -------
    tuple of WindowNull
        One a length of ``WINDOWS_DAYS`` that the reference is long enough for.
    """
    n, n_cells = int(days.sum()), int((days.sum(axis=0) > 0).sum())
    found = []
    for width in WINDOWS_DAYS:
        try:
            null = block_null(name, list(days), window_blocks=width)
        except EmptyWindowError:
            break
        rows = n * width / len(days)
        independent = (n_cells - 1) * (1.0 / rows + 1.0 / n)
        effect = max(float(null.scores.mean()) / independent, 1.0) if n_cells > 1 else 1.0
        found.append(WindowNull(width, null.limit95, rows / effect, null.n_disjoint))
    return tuple(found)


def gateable_days(frozen: FeatureReference, limit: float) -> int | None:
    """Shortest window that a gate with this limit can judge.

    Parameters
    ----------
    frozen : FeatureReference
        Frozen in training.
    limit : float
        PSI the gate allows, nats.

    Returns
    -------
    int or None
        Days, from which on every longer window tried keeps the 95 % quantile of its null below
        the limit; None where none does, or where the reference is too short for a null.
    """
    return first_quiet(window_nulls(frozen.name, frozen.blocks.daily), limit)


def first_quiet(nulls: Sequence[WindowNull], limit: float) -> int | None:
    """Days of the shortest window from which on no longer one reaches the limit by chance."""
    loud = max((item.days for item in nulls if item.limit95 >= limit), default=0)
    return next((item.days for item in nulls if item.days > loud), None)


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
    first, second = reference[:-N_SPECIAL], current[:-N_SPECIAL]
    n, m = int(first.sum()), int(second.sum())
    if n == 0 or m == 0:
        raise EmptyWindowError("no rows to compare", got=f"{n} and {m}")
    gap = float(np.abs(np.cumsum(first) / n - np.cumsum(second) / m).max())
    return gap, float(stats.kstwobign.sf(gap * np.sqrt(n * m / (n + m))))
