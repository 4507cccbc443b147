"""All features at once: can a classifier tell the windows apart, does their correlation hold.

Both statistics come with a null from windows of the reference, relabelled and treated like the
current one, so that days which remember do not raise alarms. Offline (scipy): whole matrices,
not counters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import stats

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.core.clock import DAY_S
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._bins import N_SPECIAL, cells_of, fit_reference
from mlwb.drift._blocks import HOUR_S

__all__ = ["ClassifierTest", "PcaTest", "Sample", "classifier_test", "pca_test"]

Sample: TypeAlias = tuple[Float2D, Int1D]
"""Rows of shape (n_rows, n_features) and the Unix second of each, full days."""

_FOLDS = 4
_RIDGE = 1e-3
"""Share of the mean variance added to every direction, so that none is divided by nothing."""
_MIN_WINDOWS = 5
_KEPT_VARIANCE = 0.65
"""Share that the components keep (nannyml's default)."""
_CLIP = (0.005, 0.995)
"""Quantiles of the reference beyond which a value counts as the quantile, as in the model."""


@dataclass(frozen=True)
class ClassifierTest:
    """How well a classifier tells current rows from the reference's.

    Parameters
    ----------
    auc : float
        Area under the curve on rows it was not fitted on, in [0, 1]; about 0.5 without drift.
    null : ndarray of shape (n_windows,), float64
        The same of windows of the reference against all other rows.
    p_value : float
        Probability of an area at least this large without any change: the larger of its rank
        among the windows and of Student's tail on ``n_disjoint - 1`` degrees.
    n_disjoint : int
        Windows that share no day: what the null is worth as a sample.
    features : tuple of (str, float)
        Area with each feature alone, largest first.
    """

    auc: float
    null: Float1D
    p_value: float
    n_disjoint: int
    features: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PcaTest:
    """How well the reference's principal components describe the current rows.

    Parameters
    ----------
    error : float
        Mean distance of a row from its reconstruction, in standard deviations.
    null : ndarray of shape (n_windows,), float64
        The same of windows of the reference, components fitted on all other rows.
    p_value : float
        Probability of an error at least this far off, both ways: as for the classifier, of the
        distance from the median of all windows.
    n_disjoint : int
        Windows that share no day.
    n_components : int
        Components that keep 65 % of the reference's variance.
    """

    error: float
    null: Float1D
    p_value: float
    n_disjoint: int
    n_components: int


@dataclass(frozen=True)
class _Hours:
    """Rows of both sides, and the hours they fall into; a window is a run of reference days."""

    values: Float2D
    of_row: Int1D
    day: Int1D
    clock: Int1D
    is_current: Bool1D
    width: int

    @property
    def days(self) -> Int1D:
        """Days of the reference."""
        return np.unique(self.day[~self.is_current])

    @property
    def reference(self) -> Float2D:
        """Rows of the reference."""
        return self.values[~self.is_current[self.of_row]]

    @property
    def n_disjoint(self) -> int:
        """Windows that share no day."""
        return len(self.days) // self.width

    def windows(self) -> list[Bool1D]:
        """Hours of each run of reference days as long as the current window."""
        days = self.days
        starts = range(len(days) - self.width + 1)
        inside = [np.isin(self.day, days[start : start + self.width]) for start in starts]
        return [hours & ~self.is_current for hours in inside]


_Score: TypeAlias = Callable[[Bool1D], float]
"""Statistic of the hours labelled current, (n_hours,), against all others."""


def classifier_test(
    reference: Sample,
    current: Sample,
    names: Sequence[str],
    *,
    n_bins: int = 10,
    max_rows: int = 20_000,
) -> ClassifierTest:
    """Classifier two-sample test with folds of whole days and a null from the reference's windows.

    The classifier is Fisher's linear discriminant on the bins of every feature (NaN and
    infinities are cells like any other) and the products of the ranks of every pair: it sees
    any change of one feature, and a change in how two go together. Bins and whitening are of
    both sides together and know no label, so that they serve every relabelled window alike.

    Parameters
    ----------
    reference, current : Sample
        Rows and times of both sides; columns as in ``names``.
    names : sequence of str
        Features.
    n_bins : int, default=10
        Bins at quantiles of both sides together.
    max_rows : int, default=20_000
        Where both sides hold more, every k-th row is kept, with one k for both.

    Returns
    -------
    ClassifierTest

    Raises
    ------
    EmptyWindowError
        No row on a side, or the reference has fewer than five windows of the current length or
        is not twice as long.

    Notes
    -----
    Four folds: runs of days where the current window has at least four, else runs of hours of
    the day, the same on both sides. Alarm rates: ``docs/drift-measured.md``. A regime of weeks
    widens the null, or, where the reference has only seen one, is drift.

    References
    ----------
    Lopez-Paz, D. and Oquab, M. (2017). Revisiting classifier two-sample tests. ICLR.
    """
    hours = _hours(reference, current, max_rows)
    alone, ranks = [], []
    for name, column in zip(names, hours.values.T, strict=True):
        edges = fit_reference(name, column, n_bins=n_bins).edges
        cells, n_finite = cells_of(edges, column), len(edges) + 1
        alone.append(np.eye(n_finite + N_SPECIAL)[cells])
        ranks.append(np.where(cells < n_finite, 2.0 * cells / max(n_finite - 1, 1) - 1.0, 0.0))
    first, second = np.triu_indices(len(ranks), 1)
    pairs = np.stack(ranks)[first] * np.stack(ranks)[second]
    value, null = _against_windows(hours, _auc(hours, np.hstack([*alone, pairs.T])))
    by_feature = [_auc(hours, part)(hours.is_current) for part in alone]
    ranking = sorted(zip(names, by_feature, strict=True), key=lambda item: -item[1])
    p_value = max(_rank(value, null), _tail(value, null, hours.n_disjoint))
    return ClassifierTest(value, null, p_value, hours.n_disjoint, tuple(ranking))


def pca_test(reference: Sample, current: Sample, *, max_rows: int = 20_000) -> PcaTest:
    """Reconstruction error under the reference's principal components, two-sided.

    Features that no longer go together as they did leave the components; features that go
    together more than they did come closer to them. Values are clipped to the reference's 0.5 %
    and 99.5 % quantiles and standardised; what is missing stands at the mean.

    Parameters
    ----------
    reference, current : Sample
        Rows and times of both sides.
    max_rows : int, default=20_000
        Where both sides hold more, every k-th row is kept, with one k for both.

    Returns
    -------
    PcaTest

    Raises
    ------
    EmptyWindowError
        No row on a side, no finite value of a feature, or too few windows, as for
        :func:`classifier_test`.
    """
    hours = _hours(reference, current, max_rows)
    rows = _standardised(hours)
    n_components = _components(rows[~hours.is_current[hours.of_row]]).shape[1]

    def error(is_labelled: Bool1D) -> float:
        judged, others = rows[is_labelled[hours.of_row]], rows[~is_labelled[hours.of_row]]
        axes, judged = _components(others), judged - others.mean(axis=0)
        return float(np.linalg.norm(judged - judged @ axes @ axes.T, axis=1).mean())

    value, null = _against_windows(hours, error)
    middle, tail = float(np.median([*null, value])), _tail(value, null, hours.n_disjoint)
    p_value = max(_rank(abs(value - middle), np.abs(null - middle)), 2.0 * min(tail, 1.0 - tail))
    return PcaTest(value, null, p_value, hours.n_disjoint, n_components)


def _hours(reference: Sample, current: Sample, max_rows: int) -> _Hours:
    n_rows = len(reference[1]) + len(current[1])
    step = max(1, -(-n_rows // max_rows))
    values = np.concatenate([reference[0][::step], current[0][::step]])
    ts = np.concatenate([reference[1][::step], current[1][::step]])
    is_new = np.arange(len(ts)) >= len(reference[1][::step])
    hour, of_row = np.unique(2 * (ts // HOUR_S) + is_new, return_inverse=True)
    day, clock = hour // 2 * HOUR_S // DAY_S, hour // 2 % 24
    is_current = hour % 2 == 1
    width, length = len(np.unique(day[is_current])), len(np.unique(day[~is_current]))
    if width == 0 or length < max(2 * width, width + _MIN_WINDOWS - 1):
        raise EmptyWindowError(
            "the reference is too short for its own null",
            expected=f"at least {max(2 * width, width + _MIN_WINDOWS - 1)} days and a current one",
            got=f"{length} days for a window of {width}",
        )
    return _Hours(values, of_row, day, clock, is_current, width)


def _against_windows(hours: _Hours, score: _Score) -> tuple[float, Float1D]:
    """Score of the current window, and of each window of the reference, against all other rows.

    The current rows stay among those others: only then has no window a part that the rest lacks,
    and where nothing changed every window is as likely as the current one to be the largest.
    """
    return score(hours.is_current), np.array([score(window) for window in hours.windows()])


def _auc(hours: _Hours, basis: Float2D) -> _Score:
    """Cross-fitted area under the curve of Fisher's discriminant on a basis."""
    white = _whitened(basis)
    sizes = np.bincount(hours.of_row).astype(np.float64)
    order = np.argsort(hours.of_row, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    sums = np.add.reduceat(white[order], starts, axis=0)

    def mean(chosen: Bool1D) -> Float1D:
        if not chosen.any():
            raise EmptyWindowError("a window with rows in one fold only", expected="full days")
        return np.asarray(sums[chosen].sum(axis=0) / sizes[chosen].sum())

    def score(is_labelled: Bool1D) -> float:
        fold = _folds(hours, is_labelled)
        held = np.unique(fold[is_labelled])
        away = [fold != k for k in held]
        towards = np.stack([mean(is_labelled & out) - mean(~is_labelled & out) for out in away])
        scores, is_ours = white @ towards.T, is_labelled[hours.of_row]
        found = []
        for k, out in enumerate(away):
            judged = ~out[hours.of_row]
            ours, theirs = judged & is_ours, judged & ~is_ours
            found.append(_area(scores[theirs, k], scores[ours, k]))
        return float(np.mean(found))

    return score


def _folds(hours: _Hours, is_labelled: Bool1D) -> Int1D:
    """Fold of each hour: runs of days of each side, in short windows runs of hours of the day."""
    if hours.width < _FOLDS:
        return _runs(hours.clock)
    fold = np.zeros(len(hours.day), dtype=np.int64)
    for side in (is_labelled, ~is_labelled):
        fold[side] = _runs(hours.day[side])
    return fold


def _runs(values: Int1D) -> Int1D:
    """Four runs of distinct values, in order and of equal length."""
    distinct, place = np.unique(values, return_inverse=True)
    return np.asarray(place * _FOLDS // len(distinct), dtype=np.int64)


def _whitened(basis: Float2D) -> Float2D:
    centred = basis - basis.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    floor = _RIDGE * variances.mean() or 1.0  # a basis that never varies has nothing to divide
    return np.asarray(centred @ (axes / np.sqrt(np.maximum(variances, 0.0) + floor)))


def _area(lower: Float1D, upper: Float1D) -> float:
    """Probability that a value of the second sample exceeds one of the first, ties half."""
    lower = np.sort(lower)
    below = np.searchsorted(lower, upper, side="left") + np.searchsorted(lower, upper, side="right")
    return float(below.mean() / (2.0 * len(lower)))


def _standardised(hours: _Hours) -> Float2D:
    inner = np.where(np.isfinite(hours.reference), hours.reference, np.nan)
    if np.isnan(inner).all(axis=0).any():
        raise EmptyWindowError("a feature has no finite value in the reference")
    # by powers of two, which round nothing: squares of 1e160 and of 1e-170 are no numbers
    power = -np.frexp(np.nanmax(np.abs(inner), axis=0))[1]
    inside = np.clip(hours.values, np.nanmin(inner, axis=0), np.nanmax(inner, axis=0))
    inner, values = np.ldexp(inner, power), np.ldexp(inside, power)
    low, high = np.nanquantile(inner, _CLIP, axis=0)
    inner = np.clip(inner, low, high)
    mean, scale = np.nanmean(inner, axis=0), np.nanstd(inner, axis=0)
    moved = (np.clip(values, low, high) - mean) / np.where(scale > 0.0, scale, 1.0)
    return np.where(np.isnan(moved), 0.0, moved)


def _components(rows: Float2D) -> Float2D:
    """Axes that keep 65 % of the variance, as columns."""
    variances, axes = np.linalg.eigh(np.cov(rows, rowvar=False, ddof=0).reshape(rows.shape[1], -1))
    kept = np.cumsum(variances[::-1]) / max(variances.sum(), np.finfo(float).tiny)
    n_components = int(np.searchsorted(kept, _KEPT_VARIANCE)) + 1
    return np.asarray(axes[:, ::-1][:, :n_components])


def _rank(value: float, null: Float1D) -> float:
    return float((1 + int((null >= value).sum())) / (len(null) + 1))


def _tail(value: float, null: Float1D, n_disjoint: int) -> float:
    """Student's upper tail of a value beside so many independent ones.

    Windows that overlap are nearly copies of each other, and to be beyond all of them is less
    rare than their number says; the tail counts only those that share no day.
    """
    spread = float(null.std(ddof=1)) * np.sqrt(1.0 + 1.0 / n_disjoint)
    if spread == 0.0:
        return float(value <= null[0])
    return float(stats.t.sf((value - null.mean()) / spread, n_disjoint - 1))
