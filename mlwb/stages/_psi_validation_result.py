"""What PSI validation reads and what it measured, as values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import (
    N_SPECIAL,
    BinnedReference,
    BlockCounts,
    FeatureReference,
    MissingSplit,
    PsiResult,
    psi_of_counts,
)
from mlwb.drift.battery import Opinion
from mlwb.drift.calibration import BlockNull, Calibrated, Reading, is_gateable
from mlwb.drift.multivariate import ClassifierTest, PcaTest
from mlwb.drift.planning import Plan
from mlwb.drift.recent import Recent
from mlwb.stages._psi_validation_inputs import Inputs
from mlwb.stages._psi_validation_losses import Realised

__all__ = ["AllAtOnce", "Drifted", "Missing", "Result", "Rolling", "Whole"]


@dataclass(frozen=True)
class Missing:
    """Bars on which a feature is not known, on the days that are compared.

    The model does not score them, so that they are no part of the index.

    Parameters
    ----------
    reference, current : ndarray of shape (n_cells,), int64
        All bars of those days, with those that have no value.
    split : MissingSplit
        What an index that counted them would say, in two parts.
    below, above : int
        Held-out rows outside everything the training window held.
    """

    reference: Int1D
    current: Int1D
    split: MissingSplit
    below: int
    above: int

    @property
    def shares(self) -> tuple[float, float]:
        """Share of bars without a value, before and now."""
        first, second = (
            float(side[-N_SPECIAL:].sum() / side.sum()) for side in (self.reference, self.current)
        )
        return first, second


class _Flat:
    """The numbers of a calibrated PSI by name, as the reports read them."""

    calibrated: Calibrated

    @property
    def value(self) -> float:
        """Plain PSI, nats."""
        return self.calibrated.psi.value

    @property
    def lower(self) -> float | None:
        """Lower bound of the population PSI."""
        return None if self.calibrated.bounds is None else self.calibrated.bounds.lower

    @property
    def upper(self) -> float | None:
        """Upper bound of the population PSI."""
        return None if self.calibrated.bounds is None else self.calibrated.bounds.upper

    @property
    def null95(self) -> float | None:
        """What the reference's own windows reach in one case of twenty."""
        return None if self.calibrated.null is None else self.calibrated.null.limit95

    @property
    def n_eff(self) -> float | None:
        """Independent rows that the held-out window is worth."""
        return self.calibrated.n_eff


@dataclass(frozen=True)
class Drifted(_Flat):
    """One feature, or the score, against its reference.

    Parameters
    ----------
    frozen : FeatureReference
        What the held-out rows are compared with.
    blocks : BlockCounts
        Held-out counts by block of time.
    calibrated : Calibrated
        PSI, what chance gives, bounds of the population PSI.
    limit : float
        Number of the policy that ``reading`` is held against, nats.
    reading : str
        ``"pass"``, ``"fail"``, ``"insufficient"``, ``"not_gateable"``.
    p_holm : float or None
        p adjusted over the features that can be judged; None for one that cannot.
    q_bh : float or None
        p adjusted for the rate of false discoveries over all features with a null.
    gateable_days : int or None
        Shortest window that could judge it; None where none tried could.
    plan : Plan or None
        What a window of this length can show of it at all; None without a null.
    recent : Recent or None
        Against the window before; None where the reference is shorter than this window.
    q_recent : float or None
        Its p value, adjusted as ``q_bh`` is.
    others : tuple of Opinion
        Other statistics of the same counts.
    missing : Missing or None
        Bars without a value; None for the score.
    """

    frozen: FeatureReference
    blocks: BlockCounts
    calibrated: Calibrated
    limit: float
    reading: Reading
    p_holm: float | None
    q_bh: float | None
    gateable_days: int | None
    plan: Plan | None
    recent: Recent | None
    q_recent: float | None
    others: tuple[Opinion, ...]
    missing: Missing | None

    @property
    def name(self) -> str:
        """Feature name."""
        return self.frozen.name

    @property
    def psi(self) -> PsiResult:
        """Plain statistic on all held-out rows."""
        return self.calibrated.psi

    @property
    def null(self) -> BlockNull | None:
        """Windows of the reference against the rest of it."""
        return self.calibrated.null

    @property
    def reference(self) -> BinnedReference:
        """Frozen bins."""
        return self.frozen.bins

    @property
    def current(self) -> Int1D:
        """Held-out counts of all days together."""
        return self.blocks.total

    @property
    def is_gateable(self) -> bool:
        """Chance alone stays below the limit in 95 of 100 windows of this length."""
        return is_gateable(self.calibrated, self.limit)

    @property
    def p_value(self) -> float | None:
        """Of the report: adjusted for the rate of false discoveries."""
        return self.q_bh

    @property
    def p_recent(self) -> float | None:
        """Of the report, against the window before; adjusted as well."""
        return self.q_recent

    @property
    def by_hour(self) -> Float1D:
        """PSI of each UTC hour against the same hour of the reference; NaN without rows."""
        found = np.full(24, np.nan)
        for hour, sides in enumerate(zip(self.frozen.blocks.by_hour, self.blocks.by_hour,
                                         strict=True)):  # fmt: skip
            try:
                found[hour] = psi_of_counts(self.name, *sides).value
            except EmptyWindowError:
                continue
        return found


@dataclass(frozen=True)
class Whole(_Flat):
    """The mean over features, the requirements' overall PSI.

    Parameters
    ----------
    calibrated : Calibrated
        With the null of the mean.
    limit : float
        Of the policy, nats.
    reading : str
        As for one feature.
    averaged : tuple of str
        Features in the mean: those that vary and are no function of the clock.
    """

    calibrated: Calibrated
    limit: float
    reading: Reading
    averaged: tuple[str, ...]
    name: str = "the overall mean"
    p_recent: float | None = None
    gateable_days: int | None = None

    @property
    def p_value(self) -> float | None:
        """Against the mean of the reference's own windows."""
        return self.calibrated.p_value


@dataclass(frozen=True)
class Rolling:
    """Overall PSI of several days in a row, one window a day.

    Parameters
    ----------
    days : int
        Length of a window.
    ends : ndarray of shape (n_windows,), int64
        Unix second at which each window ends.
    values : ndarray of shape (n_windows,), float64
        Mean PSI over the averaged features, nats; empty where fewer days are held out.
    null : BlockNull or None
        The same of the reference's own windows.
    """

    days: int
    ends: Int1D
    values: Float1D
    null: BlockNull | None


@dataclass(frozen=True)
class AllAtOnce:
    """All features at once, each test over windows of the reference.

    Parameters
    ----------
    classifier : ClassifierTest
        Whether the held-out rows can be told from training's.
    pca : PcaTest
        Whether features go together as they did.
    """

    classifier: ClassifierTest
    pca: PcaTest


@dataclass(frozen=True)
class Result:
    """What PSI validation measured.

    Parameters
    ----------
    inputs : Inputs
        What it read.
    features : tuple of Drifted
        In column order.
    prediction : Drifted
        The candidate's own score.
    overall : Whole
        Mean over features.
    rolling : Rolling
        The mean week by week.
    together : AllAtOnce or None
        Features not one by one but all at once; None where the training window is too short.
    realised : Realised or None
        What matured predictions were worth; None where no label is known.
    """

    inputs: Inputs
    features: tuple[Drifted, ...]
    prediction: Drifted
    overall: Whole
    rolling: Rolling
    together: AllAtOnce | None
    realised: Realised | None

    @property
    def ks(self) -> Opinion:
        """Two-sample KS of the score at the frozen edges."""
        return next(item for item in self.prediction.others if item.name == "ks")

    @property
    def days(self) -> int:
        """Held-out days that are judged."""
        return len(self.prediction.blocks.days)

    @property
    def whole_rows(self) -> tuple[ClassifierTest | None, PcaTest | None]:
        """The two tests on whole rows."""
        found = self.together
        return (None, None) if found is None else (found.classifier, found.pca)

    @property
    def plans(self) -> tuple[Plan | None, ...]:
        """What this window can show of each feature."""
        return tuple(item.plan for item in self.features)

    @property
    def worst(self) -> Drifted:
        """The feature with the largest plain index."""
        return max(self.features, key=lambda item: item.psi.value)
