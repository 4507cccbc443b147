"""The parameters of every stage: types and ranges. The values live in ``params/<stage>.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlwb.core.bars import INTERVAL_S
from mlwb.core.errors import ParamsError
from mlwb.params._fields import between, may_be_empty, one_of, one_of_or_reference
from mlwb.params._rollout import RolloutParams
from mlwb.params._watching import CheckParams, DailyParams, ShadowLogParams, TradedMarketParams

__all__ = [
    "STAGES",
    "BacktestParams",
    "CanaryAnalysisParams",
    "CanaryRolloutParams",
    "CheckParams",
    "CostParams",
    "CvParams",
    "DailyParams",
    "DailyReportParams",
    "DataParams",
    "DriftCheckParams",
    "FeatureModuleParams",
    "FeatureParams",
    "FeatureStudyParams",
    "LabelParams",
    "LivePnlParams",
    "PsiParams",
    "PsiValidationParams",
    "ReleaseReviewParams",
    "ReplayParams",
    "ResampleParams",
    "RolloutParams",
    "RunParams",
    "SearchParams",
    "ShadowCompareParams",
    "ShadowLogParams",
    "TradedMarketParams",
    "TrafficParams",
    "TrainingParams",
    "WindowParams",
]


@dataclass(frozen=True)
class RunParams:
    """Where results go and what the model is called; empty means: find out.

    Parameters
    ----------
    home : str
        Root of ``outputs/``, ``artifacts/``, ``evidence/``; empty is ``MLWB_HOME`` or the
        checkout.
    model_version : str
        Version to train or to judge; empty is the next one, or the newest.
    policy : str
        File name below ``params/``, or a path.
    token : str
        Eight hex digits that the run ids of one run share; empty draws them.
    """

    home: str
    model_version: str
    policy: str
    token: str


@dataclass(frozen=True)
class DataParams:
    """What market to read.

    Parameters
    ----------
    source : tuple of str
        ``("synthetic",)``, one file, or the two files of a bid/ask pair.
    profile : str
        Source profile; ``auto`` sniffs and says why.
    symbol : str
        Empty is the file's name.
    days : int
        Length of the synthetic market.
    seed : int
        Of the synthetic market.
    """

    source: tuple[str, ...]
    profile: str
    symbol: str
    days: int = between(3, 3650)
    seed: int = between(0, None)


@dataclass(frozen=True)
class LabelParams:
    """What is predicted; see :func:`mlwb.features.labels.make_labels`.

    Parameters
    ----------
    kind : str
        ``volatility``, ``direction``, ``triple_barrier``.
    horizon_s : int
        Seconds from decision to resolution; the vertical barrier.
    theta : float
        Dead zone of ``direction``, log return.
    median_window_s : int
        Trailing window of the volatility threshold and of the barriers' sigma, seconds.
    upper_barrier, lower_barrier : float
        Distances of ``triple_barrier``, in ``barrier_unit``.
    barrier_unit : str
        ``sigma`` of the horizon, known at t; or ``bp``.
    at_horizon : str
        What a label that touched no barrier becomes: the ``sign`` of its return, or ``drop``.

    Raises
    ------
    ParamsError
        Barriers looked at once, at the horizon, whose label is the sign of the return: that is
        ``direction`` under another name, and its trials would be counted apart.
    """

    kind: str = one_of("volatility", "direction", "triple_barrier")
    horizon_s: int = between(60, 86_400, step=60)
    theta: float = between(0.0, 1.0)
    median_window_s: int = between(3_600, 30 * 86_400)
    upper_barrier: float = between(0.01, 10_000.0)
    lower_barrier: float = between(0.01, 10_000.0)
    barrier_unit: str = one_of("sigma", "bp")
    at_horizon: str = one_of("sign", "drop")

    def __post_init__(self) -> None:
        is_one_bar = self.horizon_s == INTERVAL_S and self.at_horizon == "sign"
        if self.kind == "triple_barrier" and is_one_bar:
            raise ParamsError(
                "barriers of a single bar are the direction label",
                expected=f"label.horizon_s above {INTERVAL_S}, for example 3600",
                got=f"{self.horizon_s}",
            )


@dataclass(frozen=True)
class FeatureParams:
    """Which features, in the order the server takes them.

    Parameters
    ----------
    names : tuple of str
        Features mlwb comes with, and those of the modules.
    modules : tuple of str
        Modules or ``.py`` files with features of one's own; may be empty.
    """

    names: tuple[str, ...]
    modules: tuple[str, ...] = may_be_empty()


@dataclass(frozen=True)
class FeatureModuleParams:
    """Where a version's features are found; which they are, the version says.

    Parameters
    ----------
    modules : tuple of str
        As for training.
    """

    modules: tuple[str, ...] = may_be_empty()


@dataclass(frozen=True)
class WindowParams:
    """How the bars are cut, as shares of their time span.

    Parameters
    ----------
    champion_end : float
        The bootstrap champion is trained on bars before this share.
    train_end : float
        The candidate is trained on bars before this share; the rest is held out.
    """

    champion_end: float = between(0.2, 0.95)
    train_end: float = between(0.3, 0.97)

    def __post_init__(self) -> None:
        if self.champion_end > self.train_end:
            raise ParamsError(
                "window.champion_end is after window.train_end",
                expected=f"<= {self.train_end}",
                got=str(self.champion_end),
                todo="a champion must not learn from bars held out from the candidate",
            )


@dataclass(frozen=True)
class CvParams:
    """Clock-purged cross-validation.

    Parameters
    ----------
    n_splits : int
        Folds that trials are chosen by.
    embargo_s : int
        Seconds kept free after a test block.
    n_segments : int
        Walk-forward segments.
    n_groups, n_test_groups : int
        Of the combinatorial scheme that puts whole out-of-sample histories together.
    """

    n_splits: int = between(2, 50)
    embargo_s: int = between(0, 7 * 86_400)
    n_segments: int = between(2, 100)
    n_groups: int = between(3, 12)
    n_test_groups: int = between(1, 6)


@dataclass(frozen=True)
class SearchParams:
    """What is tried.

    Parameters
    ----------
    families : tuple of str
        ``logistic``, ``boosting``, or ``package.module:NAME`` or ``file.py:NAME`` of another
        family; the first is the incumbent.
    c : tuple of float
        Inverse L2 strengths of the logistic family.
    challenger_margin : float
        AUC by which another family must beat the incumbent to be taken.
    seed : int
        Of everything random in a fit.
    """

    families: tuple[str, ...] = one_of_or_reference("logistic", "boosting")
    c: tuple[float, ...] = between(1e-9, 1e9)
    challenger_margin: float = between(0.0, 0.5)
    seed: int = between(0, None)


@dataclass(frozen=True)
class CostParams:
    """What a trade costs beside half the spread, bp one way."""

    fee_bp: float = between(0.0, 1_000.0)
    slippage_bp: float = between(0.0, 1_000.0)


@dataclass(frozen=True)
class BacktestParams:
    """How a score is traded on paper; see docs/backtest.md.

    Parameters
    ----------
    latency_bars : int
        From decision to fill; 0 fills at the price of the decision, an upper bound.
    max_position, max_exposure : float
        Largest absolute position, and its largest mean over 24 h, in units of equity.
    max_turnover : float
        Largest sum of position changes over 24 h, one way, in units of equity.
    max_daily_loss : float
        Net loss of a UTC day, as a share of equity, after which the book is flat until the next.
    half_life_bars : float
        Smoothing of the score by which exposure is timed (``volatility``).
    enter, leave : float
        Smoothed probability at which exposure falls, and at which it comes back.
    wild_exposure : float
        Share of ``max_position`` held while a large move is likely.
    """

    latency_bars: int = between(0, 60)
    max_position: float = between(0.0, 100.0)
    max_exposure: float = between(0.0, 100.0)
    max_turnover: float = between(0.0, 1e6)
    max_daily_loss: float = between(0.0001, 1.0)
    half_life_bars: float = between(0.01, 100_000.0)
    enter: float = between(0.0, 1.0)
    leave: float = between(0.0, 1.0)
    wild_exposure: float = between(0.0, 0.999)

    def __post_init__(self) -> None:
        if self.leave > self.enter:
            raise ParamsError(
                "backtest.leave is above backtest.enter",
                expected=f"<= {self.enter}",
                got=str(self.leave),
                todo="exposure comes back at a lower probability than it falls at",
            )


@dataclass(frozen=True)
class ResampleParams:
    """Block bootstrap."""

    n_resamples: int = between(99, 1_000_000)
    seed: int = between(0, None)


@dataclass(frozen=True)
class PsiParams:
    """Reference bins and the block null."""

    n_bins: int = between(3, 100)


@dataclass(frozen=True)
class TrafficParams:
    """What is sent to the server by the replay.

    Parameters
    ----------
    smoke_requests, shadow_requests : int
        Requests of each test.
    phases : tuple of float
        Shares of the canary phases, percent.
    observed_per_phase : int
        Shadowed requests each phase must reach.
    timeout_ms : float
        A request without an answer for this long is an error.
    """

    phases: tuple[float, ...] = between(0.1, 100.0)
    smoke_requests: int = between(100, 10_000_000)
    shadow_requests: int = between(100, 10_000_000)
    observed_per_phase: int = between(20, 10_000_000)
    timeout_ms: float = between(1.0, 60_000.0)


@dataclass(frozen=True)
class FeatureStudyParams:
    """Stage 01: what the features are and whether they know anything."""

    run: RunParams
    data: DataParams
    label: LabelParams
    features: FeatureParams
    window: WindowParams
    costs: CostParams
    resample: ResampleParams
    psi: PsiParams
    horizons_s: tuple[int, ...] = between(60, 86_400, step=60)


@dataclass(frozen=True)
class TrainingParams:
    """Stage 02: fit, validate, export, register."""

    run: RunParams
    data: DataParams
    label: LabelParams
    features: FeatureParams
    window: WindowParams
    cv: CvParams
    search: SearchParams
    costs: CostParams
    backtest: BacktestParams
    resample: ResampleParams
    psi: PsiParams


@dataclass(frozen=True)
class PsiValidationParams:
    """Stage 03: the held-out window against the frozen reference."""

    run: RunParams
    data: DataParams
    features: FeatureModuleParams
    window: WindowParams
    psi: PsiParams


@dataclass(frozen=True)
class ReplayParams:
    """Between 03 and 04: real HTTP traffic from held-out bars."""

    run: RunParams
    champion: str
    data: DataParams
    features: FeatureModuleParams
    window: WindowParams
    traffic: TrafficParams


@dataclass(frozen=True)
class DriftCheckParams:
    """Every day: the rows a server counted against the reference frozen with its version."""

    run: RunParams
    check: CheckParams


@dataclass(frozen=True)
class DailyReportParams:
    """Every day: what the logs of a server say about it, and about the validation window."""

    run: RunParams
    report: DailyParams


@dataclass(frozen=True)
class LivePnlParams:
    """Every day: what the scores a server gave would have earned, or what a desk says it did."""

    run: RunParams
    data: TradedMarketParams


@dataclass(frozen=True)
class ShadowCompareParams:
    """What a server's shadow log says about the candidate."""

    run: RunParams
    shadow: ShadowLogParams


@dataclass(frozen=True)
class CanaryAnalysisParams:
    """Stage 04: what the traffic showed."""

    run: RunParams
    traffic: TrafficParams


@dataclass(frozen=True)
class CanaryRolloutParams:
    """A canary on a running server."""

    run: RunParams
    rollout: RolloutParams


@dataclass(frozen=True)
class ReleaseReviewParams:
    """Stage 05: all verdicts on one page."""

    run: RunParams


STAGES: dict[str, type[Any]] = {
    "feature_study": FeatureStudyParams,
    "training": TrainingParams,
    "psi_validation": PsiValidationParams,
    "replay": ReplayParams,
    "drift_check": DriftCheckParams,
    "daily_report": DailyReportParams,
    "live_pnl": LivePnlParams,
    "shadow_compare": ShadowCompareParams,
    "canary_analysis": CanaryAnalysisParams,
    "canary_rollout": CanaryRolloutParams,
    "release_review": ReleaseReviewParams,
}
"""Stage name to its parameter class; ``params/<stage>.yml`` holds the values."""
