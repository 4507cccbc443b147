"""What choosing among trials is worth, given every trial and every look ever made."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.bars import MID
from mlwb.core.canonical import digest, digest_bytes
from mlwb.core.clock import DAY_S, Clock
from mlwb.core.errors import DegenerateModelError, EmptyWindowError
from mlwb.evidence import Kinship, LoggedTrial, TrialLedger
from mlwb.features import spec_digest
from mlwb.model import Dataset, TrialResult, daily_skill, family_digest, trial_contributions
from mlwb.params import TrainingParams, params_values
from mlwb.stages.common import home_of
from mlwb.stages.market import Prepared
from mlwb.stats import (
    Overfitting,
    SharpeRatio,
    Superiority,
    block_length,
    dsr,
    overfitting,
    sharpe_ratio,
    superior,
)

__all__ = [
    "Configuration",
    "Selection",
    "configuration_of",
    "log_trials",
    "note_look",
    "select",
    "trials_head",
]

_SETTINGS = ("label", "features", "window", "cv")
"""Parameters that can be tuned, beside the list of trials."""
_MOST_BLOCKS = 16
"""As the authors of the overfitting test use."""


@dataclass(frozen=True)
class Configuration:
    """What was chosen before the held-out window was looked at, and that window.

    Parameters
    ----------
    kinship : Kinship
        Market, label and horizon: tries at the same thing.
    settings, features : str
        Digests of the settings that a trial shares with its run, and of the feature code.
    candidate : str
        Digest of everything that was chosen, the list of trials included.
    train_window : str
        Digest of the bars that were searched on.
    days : tuple of str
        Digest of each UTC day that is held out; a window that was moved by a day still shares
        the others.
    window_reuses : int, default=0
        Other candidates that had been measured on one of these days before this one first was.
    """

    kinship: Kinship
    settings: str
    features: str
    candidate: str
    train_window: str
    days: tuple[str, ...]
    window_reuses: int = 0


@dataclass(frozen=True)
class Selection:
    """What choosing among the trials is worth.

    Parameters
    ----------
    daily : tuple of SharpeRatio or None
        Mean over standard deviation of the daily mean rank contribution, a trial each; None where
        a trial scores all rows alike.
    n_days : int
        Days.
    overfitting : Overfitting or None
        Of the choice; None for a single trial.
    superiority : Superiority
        Of the best trial over no skill, given how many there were.
    n_tried : int
        Distinct configurations tried at this market, label and horizon, ever.
    dsr : float
        Deflated probability that the chosen trial's daily ratio is above what the best of that
        many reaches by luck.
    window_reuses : int
        Other candidates that had been measured on a day of the held-out window before.
    """

    daily: tuple[SharpeRatio | None, ...]
    n_days: int
    overfitting: Overfitting | None
    superiority: Superiority
    n_tried: int
    dsr: float
    window_reuses: int


def configuration_of(prepared: Prepared, params: TrainingParams) -> Configuration:
    """What is chosen, tried at what, and held out."""
    values = params_values(params)
    window = prepared.windows
    held = prepared.ts >= window.train_end
    kinship = Kinship(prepared.market.symbol, params.label.kind, params.label.horizon_s)
    settings = {name: values[name] for name in _SETTINGS} | {"seed": params.search.seed}
    features = spec_digest(prepared.specs)
    families = [family_digest(name) for name in params.search.families]
    return Configuration(
        kinship=kinship,
        settings=digest(settings),
        features=features,
        candidate=digest([settings, values["search"], features, families]),
        train_window=digest_bytes(prepared.bars[~held].tobytes()),
        days=_days_of(prepared, params.label.kind),
    )


def _days_of(prepared: Prepared, label: str) -> tuple[str, ...]:
    """Digests of the held-out days, by what nobody changes without making up a market.

    The whole day counts, not the part of it that is held out, and of a bar its time and its mid
    in units of the day's first: another name, unit, horizon, column or cut is the same test.
    """
    ts, mid = prepared.ts, prepared.bars[:, MID]
    days = ts // DAY_S
    found = []
    for day in np.unique(days[ts >= prepared.windows.train_end]):
        known = (days == day) & np.isfinite(mid)
        path = (mid[known] / mid[known][:1]).astype(np.float32)
        found.append(digest([label, digest_bytes(ts[known].tobytes() + path.tobytes())]))
    return tuple(found)


def select(
    results: tuple[TrialResult, ...],
    chosen: TrialResult,
    data: Dataset,
    *,
    configuration: Configuration,
    params: TrainingParams,
) -> Selection:
    """Judge the choice among trials, with every earlier trial of the ledger.

    Parameters
    ----------
    results : tuple of TrialResult
        Everything that was tried on these rows.
    chosen : TrialResult
        One of them.
    data : Dataset
        The rows.
    configuration : Configuration
        What the ledger knows them by.
    params : TrainingParams
        Label and resampling.

    Returns
    -------
    Selection
    """
    rows = trial_contributions(results, data.target)
    per_day = daily_skill(rows, data.t0[chosen.out_of_fold.index])
    daily = tuple(_ratio(column) for column in per_day.T)
    own = daily[results.index(chosen)]
    if own is None:
        raise DegenerateModelError(
            "the chosen trial has no skill that varies by day",
            expected="two days and scores that differ",
            got=chosen.trial.name,
        )
    varying = per_day[:, [ratio is not None for ratio in daily]]
    span = max(math.ceil(params.label.horizon_s / DAY_S), 1)
    earlier = TrialLedger(home_of(params.run).evidence).tried(configuration.kinship).newest
    trials = (*earlier, *_entries(results, daily, configuration, run=""))
    tried = {trial.configuration: trial.daily_sharpe for trial in trials}
    return Selection(
        daily=daily,
        n_days=len(per_day),
        overfitting=_overfitting(per_day),
        superiority=superior(
            varying,
            block=max(block_length(days, least=span) for days in varying.T),
            n_resamples=params.resample.n_resamples,
            seed=params.resample.seed,
        ),
        n_tried=len(tried),
        dsr=dsr(
            own.ratio,
            own.n_obs,
            skew=own.skew,
            kurtosis=own.kurtosis,
            trial_ratios=np.array([ratio for ratio in tried.values() if ratio is not None]),
        ),
        window_reuses=configuration.window_reuses,
    )


def log_trials(
    results: tuple[TrialResult, ...],
    selection: Selection,
    *,
    configuration: Configuration,
    params: TrainingParams,
    clock: Clock,
) -> None:
    """Count the trials, losers too, for every later judgement."""
    ledger = TrialLedger(home_of(params.run).evidence)
    ledger.note(_entries(results, selection.daily, configuration, run=params.run.token), clock)


def note_look(configuration: Configuration, params: TrainingParams, clock: Clock) -> Configuration:
    """Note that the held-out window is about to be looked at; before it is, so no look is lost.

    Returns
    -------
    Configuration
        With the number of other candidates that looked before.
    """
    ledger = TrialLedger(home_of(params.run).evidence)
    reuses = ledger.note_use(configuration.days, configuration.candidate, clock)
    return replace(configuration, window_reuses=reuses)


def trials_head(params: TrainingParams) -> str:
    """Digest of the ledger's last line, for a record to cite; empty before there is one."""
    head = TrialLedger(home_of(params.run).evidence).head()
    return head.sha256 if head else ""


def _overfitting(per_day: Float2D) -> Overfitting | None:
    """Of the choice, on sixteen blocks of days, fewer where days are few; None without a choice."""
    if per_day.shape[1] == 1:
        return None
    n_blocks = min(_MOST_BLOCKS, max(len(per_day) // 4 * 2, 2))
    return overfitting(per_day, n_blocks=n_blocks)


def _ratio(days: Float1D) -> SharpeRatio | None:
    try:
        return sharpe_ratio(days)
    except EmptyWindowError:
        return None


def _settings_of(found: TrialResult, configuration: Configuration) -> str:
    """Settings of a trial; the code of a family of one's own is one of them."""
    code = family_digest(found.trial.family)
    return digest([configuration.settings, code]) if code else configuration.settings


def _entries(
    results: tuple[TrialResult, ...],
    daily: tuple[SharpeRatio | None, ...],
    configuration: Configuration,
    *,
    run: str,
) -> list[LoggedTrial]:
    return [
        LoggedTrial(
            kinship=configuration.kinship,
            name=found.trial.name,
            params=_settings_of(found, configuration),
            features=configuration.features,
            window=configuration.train_window,
            run=run,
            score=found.out_of_fold.mean_auc,
            daily_sharpe=ratio.ratio if ratio else None,
        )
        for found, ratio in zip(results, daily, strict=True)
    ]
