"""What results must look like to be shown: stages measure them, and report cannot import stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mlwb.core.arrays import Int1D
from mlwb.drift import PsiResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlwb.backtest import CostCell, Ledger, RegimeMoney, Risk, TimingEffect, Versus
    from mlwb.drift.calibration import BlockNull, Bounds
    from mlwb.model import AucInterval, Comparison, Importance, Paths, Skill
    from mlwb.stats import Overfitting, Superiority

__all__ = ["Chosen", "Drift", "Proven", "Traded"]


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


class Drift(Protocol):
    """One feature against its reference, as PSI validation measures it."""

    @property
    def name(self) -> str:
        """Feature name."""
        ...

    @property
    def psi(self) -> PsiResult:
        """Plain statistic."""
        ...

    @property
    def null(self) -> BlockNull | None:
        """What the reference's own windows give; None where it is too short."""
        ...

    @property
    def bounds(self) -> Bounds | None:
        """Of the population PSI; None without a null."""
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
