"""What results must look like to be shown: stages measure them, and report cannot import stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mlwb.core.arrays import Float1D, Int1D
from mlwb.drift import BinnedReference, LossDays, PsiResult, Reliability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlwb.backtest import CostCell, Ledger, RegimeMoney, Risk, TimingEffect, Versus
    from mlwb.drift.calibration import BlockNull
    from mlwb.model import AucInterval, Comparison, Importance, Paths, Skill
    from mlwb.stats import Overfitting, Superiority

__all__ = [
    "Chosen",
    "Distance",
    "Drift",
    "Judged",
    "Losses",
    "Measured",
    "Proven",
    "Traded",
    "Weeks",
]


class Chosen(Protocol):
    """What choosing among trials is worth, as training measures it."""

    @property
    def overfitting(self) -> Overfitting | None:
        """Of the choice; None for a single trial."""
        ...

    @property
    def superiority(self) -> Superiority:
        """Of the best trial, given how many there were."""
        ...

    @property
    def n_tried(self) -> int:
        """Distinct configurations, ever."""
        ...

    @property
    def dsr(self) -> float:
        """Deflated probability of skill."""
        ...

    @property
    def window_reuses(self) -> int:
        """Other candidates measured on the held-out days before."""
        ...


class Proven(Protocol):
    """A chosen trial looked at from every side, as training measures it."""

    @property
    def auc(self) -> AucInterval:
        """Over purged folds."""
        ...

    @property
    def auc_holdout(self) -> AucInterval:
        """Of the exported graph on the held-out rows."""
        ...

    @property
    def paths(self) -> Paths:
        """Whole out-of-sample histories."""
        ...

    @property
    def held_out(self) -> Skill:
        """Against no skill, on the held-out rows."""
        ...

    @property
    def beyond_rule(self) -> Skill | None:
        """Beyond the rule that needs no model; None where there is none."""
        ...

    @property
    def challenge(self) -> Comparison:
        """Against the champion, on the held-out rows."""
        ...

    @property
    def importance(self) -> Importance:
        """Of feature groups, by fold."""
        ...

    @property
    def selection(self) -> Chosen:
        """What choosing is worth."""
        ...


class Losses(Protocol):
    """What matured predictions were worth, before and now."""

    @property
    def before(self) -> LossDays:
        """Training rows that the model had not been fitted on."""
        ...

    @property
    def now(self) -> LossDays:
        """Held-out rows whose labels are known."""
        ...

    @property
    def brier(self) -> tuple[float, float]:
        """Mean Brier loss a row, before and now."""
        ...

    @property
    def expected(self) -> float:
        """What the held-out probabilities themselves lead to expect."""
        ...

    @property
    def tolerance(self) -> float:
        """Rise of the daily loss that is accepted."""
        ...

    @property
    def e_value(self) -> float | None:
        """Evidence for harm; None where nothing could be ranked."""
        ...

    @property
    def limit(self) -> float:
        """Evidence it is held against."""
        ...

    @property
    def calibration(self) -> Reliability:
        """Of the held-out probabilities."""
        ...


class Judged(Protocol):
    """One feature's drift in numbers, measured or read from evidence."""

    @property
    def name(self) -> str:
        """Feature name."""
        ...

    @property
    def value(self) -> float:
        """Plain PSI, nats."""
        ...

    @property
    def lower(self) -> float | None:
        """Lower 95 % bound of the population PSI; None without a null."""
        ...

    @property
    def upper(self) -> float | None:
        """Upper 95 % bound."""
        ...

    @property
    def null95(self) -> float | None:
        """What the reference's own windows reach in one case of twenty."""
        ...

    @property
    def limit(self) -> float:
        """PSI it is held against."""
        ...

    @property
    def reading(self) -> str:
        """``pass``, ``fail``, ``insufficient``, ``not_gateable``."""
        ...

    @property
    def p_value(self) -> float | None:
        """Against its own windows; adjusted (Benjamini-Hochberg) where it is one of several."""
        ...

    @property
    def p_recent(self) -> float | None:
        """Against the window before, adjusted likewise."""
        ...

    @property
    def n_eff(self) -> float | None:
        """Independent rows it is worth."""
        ...

    @property
    def gateable_days(self) -> int | None:
        """Shortest window that could judge it."""
        ...


class Drift(Judged, Protocol):
    """One feature against its reference, as PSI validation measures it."""

    @property
    def psi(self) -> PsiResult:
        """Plain statistic with its cells."""
        ...

    @property
    def reference(self) -> BinnedReference:
        """Frozen bins."""
        ...

    @property
    def current(self) -> Int1D:
        """Counts of the rows judged."""
        ...

    @property
    def by_hour(self) -> Float1D:
        """PSI of each UTC hour; NaN without rows."""
        ...


class Distance(Protocol):
    """A statistic of two samples, over what chance gives it."""

    @property
    def name(self) -> str:
        """As evidence calls it."""
        ...

    @property
    def value(self) -> float:
        """In its own unit."""
        ...

    @property
    def p_value(self) -> float | None:
        """Against the reference's own windows; None without a null."""
        ...


class Measured(Protocol):
    """One feature by several statistics."""

    @property
    def name(self) -> str:
        """Feature name."""
        ...

    @property
    def others(self) -> Sequence[Distance]:
        """In the same order for every feature."""
        ...


class Weeks(Protocol):
    """Overall PSI of several days in a row."""

    @property
    def days(self) -> int:
        """Length of a window."""
        ...

    @property
    def ends(self) -> Int1D:
        """Unix second at which each window ends."""
        ...

    @property
    def values(self) -> Float1D:
        """Mean PSI, nats."""
        ...

    @property
    def null(self) -> BlockNull | None:
        """Of the reference's own windows."""
        ...


class Traded(Protocol):
    """A rule traded on paper, as training measures it."""

    @property
    def rule(self) -> str:
        """What was traded."""
        ...

    @property
    def ts(self) -> Int1D:
        """Bars, seconds since 1970."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Step by step."""
        ...

    @property
    def risk(self) -> Risk:
        """In one look."""
        ...

    @property
    def curve(self) -> Sequence[CostCell]:
        """At several costs and latencies."""
        ...

    @property
    def regimes(self) -> Sequence[RegimeMoney]:
        """The same money by market regime."""
        ...

    @property
    def effect(self) -> TimingEffect | None:
        """What timing exposure did to risk; None for a rule that bets on the sign."""
        ...

    @property
    def versus(self) -> Versus | None:
        """The timed and the constant book behind it."""
        ...
