"""A score traded on paper, by the rule of its label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mlwb.backtest import (
    MINUTES_A_YEAR,
    Activity,
    Book,
    Caps,
    CostCell,
    Identity,
    Ledger,
    RegimeMoney,
    Risk,
    Tape,
    TimingEffect,
    Trips,
    Versus,
    VolatilityTiming,
    activity,
    against_constant,
    backtest,
    barrier_targets,
    by_regime,
    cap_breaches,
    check_book,
    cost_curve,
    half_spread_cost,
    resample_hours,
    risk,
    round_trips,
    sign_targets,
    timed_exposure,
    timing_effect,
)
from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.bars import INTERVAL_S, MID
from mlwb.data import CALENDARS, open_minutes
from mlwb.features import specs
from mlwb.features.batch import compute
from mlwb.features.regimes import REGIMES, fit_regimes, regime_inputs, regime_of
from mlwb.model import Dataset, OutOfFold
from mlwb.params import TrainingParams
from mlwb.stages.market import Prepared
from mlwb.stats import BlockMeans

__all__ = ["MEANINGS", "RULES", "Paper", "caps_of", "one_way_cost", "paper_trade", "targets_of"]

RULES = {
    "volatility": "volatility timing",
    "direction": "sign of the score",
    "triple_barrier": "sign until the barrier",
}
"""Label kind to the rule that trades it."""

MEANINGS = {
    "volatility": "timed minus constant exposure of the same mean, after costs: what holding less "
    "before large moves cost or earned; no forecast of direction",
    "direction": "long above one half and short below, decided anew at every bar, after costs",
    "triple_barrier": "long above one half and short below, held until the barrier is touched or "
    "the horizon ends, after costs",
}
"""Label kind to what its money means."""


@dataclass(frozen=True)
class Paper:
    """What the rule earned out of sample.

    Parameters
    ----------
    rule, meaning : str
        What was traded, and what its returns mean.
    spread : str
        Whether the spread that was paid half of is ``quoted`` or ``estimated`` from bars.
    ts : ndarray of shape (n_steps,), int64
        Bars, seconds since 1970.
    ledger : Ledger
        Step by step; for volatility timing the difference to constant exposure.
    risk : Risk
        In one look.
    activity : Activity
        What was held and traded, by the rule itself.
    trips : Trips
        Round trips of ``ledger``.
    drawn : BlockMeans
        Block bootstrap of its hours.
    regimes : tuple of RegimeMoney
        The same money by market regime.
    curve : tuple of CostCell
        At 0, 1 and 2 times the costs, 0, 1 and 2 bars after the decision.
    identities : tuple of Identity
        What was found to add up.
    clips : mapping of str to int
        Orders cut, by cap.
    breaches : int
        Steps beyond a cap, counted from the ledger of the rule.
    effect : TimingEffect or None
        What timing did to risk; None for a rule that bets on the sign.
    versus : Versus or None
        The two books behind it.
    """

    rule: str
    meaning: str
    spread: str
    ts: Int1D
    ledger: Ledger
    risk: Risk
    activity: Activity
    trips: Trips
    drawn: BlockMeans
    regimes: tuple[RegimeMoney, ...]
    curve: tuple[CostCell, ...]
    identities: tuple[Identity, ...]
    clips: dict[str, int]
    breaches: int
    effect: TimingEffect | None
    versus: Versus | None

    @property
    def is_bet(self) -> bool:
        """Whether the rule bets on the sign of a return."""
        return self.effect is None


@dataclass(frozen=True)
class _Scored:
    """The traded stretch: from the first score to the bar after the last."""

    tape: Tape
    target: Float1D
    regime: Int1D
    is_decision: Bool1D


def paper_trade(prepared: Prepared, data: Dataset, oof: OutOfFold, params: TrainingParams) -> Paper:
    """Trade the walk-forward scores by the rule of their label; see docs/backtest.md.

    Parameters
    ----------
    prepared : Prepared
        Bars and features.
    data : Dataset
        Training rows.
    oof : OutOfFold
        Scores of models that saw only what came before.
    params : TrainingParams
        Label kind, costs, caps and rule.

    Returns
    -------
    Paper

    Raises
    ------
    AccountingError
        The book does not add up.
    """
    scored = _scored(prepared, data, oof, params)
    kind, chosen = params.label.kind, params.backtest
    caps = caps_of(params)
    book = backtest(scored.target, scored.tape, caps, latency_bars=chosen.latency_bars)
    versus = _versus(book, scored.tape, params) if kind == "volatility" else None
    ledger = versus.overlay if versus else book.ledger
    trips, draws = round_trips(ledger), vars(params.resample)
    regimes = _regimes(ledger, scored, params)
    cost = scored.tape.one_way_cost
    per_year = MINUTES_A_YEAR * _open_share(prepared, book.ts)
    return Paper(
        rule=RULES[kind],
        meaning=MEANINGS[kind],
        spread="quoted" if prepared.market.has_quotes else "estimated",
        ts=book.ts,
        ledger=ledger,
        risk=risk(ledger.net, book.ts, bars_per_year=per_year),
        activity=activity(book.ledger, book.ts),
        trips=trips,
        drawn=resample_hours(ledger.net, book.ts, **draws),
        regimes=regimes,
        curve=cost_curve(lambda tape, lag: _run(scored, params, tape, lag), scored.tape),
        identities=check_book(ledger, book.ts, cost, trips=trips, regimes=regimes),
        clips=dict(sorted(Counter(clip.reason for clip in book.clips).items())),
        breaches=cap_breaches(book.ledger, book.ts, caps),
        effect=timing_effect(versus, **draws) if versus else None,
        versus=versus,
    )


def caps_of(params: TrainingParams) -> Caps:
    """The caps a book is kept within."""
    chosen = params.backtest
    return Caps(
        position=chosen.max_position,
        exposure=chosen.max_exposure,
        turnover=chosen.max_turnover,
        daily_loss=chosen.max_daily_loss,
    )


def _scored(prepared: Prepared, data: Dataset, oof: OutOfFold, params: TrainingParams) -> _Scored:
    rows = np.searchsorted(prepared.ts, data.t0[oof.index] - INTERVAL_S)
    first, stop = int(rows.min()), min(int(rows.max()) + 2, len(prepared.bars))
    probability = np.full(len(prepared.bars), np.nan)
    probability[rows] = oof.probability
    closes = prepared.ts + INTERVAL_S
    until = closes.copy()
    until[rows] = data.t1[oof.index]
    inputs = regime_inputs(prepared.bars)
    regime = regime_of(inputs, fit_regimes(inputs, np.arange(first)))
    used = slice(first, stop)
    tape = Tape(prepared.ts[used], prepared.bars[used, MID], one_way_cost(prepared, params)[used])
    target, is_decision = targets_of(probability[used], closes[used], until[used], params)
    return _Scored(tape, target, regime[used], is_decision)


def targets_of(
    probability: Float1D, closes: Int1D, until: Int1D, params: TrainingParams
) -> tuple[Float1D, Bool1D]:
    """Position wanted at each bar, and the bars at which a score decided it."""
    chosen, kind = params.backtest, params.label.kind
    if kind == "triple_barrier":
        return barrier_targets(probability, closes, until, size=chosen.max_position)
    scored = np.isfinite(probability)
    if kind == "direction":
        return sign_targets(probability, size=chosen.max_position), scored
    rule = VolatilityTiming(
        half_life_bars=chosen.half_life_bars,
        enter=chosen.enter,
        leave=chosen.leave,
        calm=chosen.max_position,
        wild=chosen.max_position * chosen.wild_exposure,
    )
    return timed_exposure(probability, rule), scored


def _versus(book: Book, tape: Tape, params: TrainingParams) -> Versus:
    latency = params.backtest.latency_bars
    return against_constant(book, tape, caps_of(params), latency_bars=latency)


def _run(scored: _Scored, params: TrainingParams, tape: Tape, latency: int) -> Ledger:
    """The judged ledger at another cost and latency."""
    caps = caps_of(params)
    book = backtest(scored.target, tape, caps, latency_bars=latency)
    if params.label.kind != "volatility":
        return book.ledger
    return against_constant(book, tape, caps, latency_bars=latency).overlay


def _regimes(ledger: Ledger, scored: _Scored, params: TrainingParams) -> tuple[RegimeMoney, ...]:
    """By the regime of the bar a step was decided at."""
    steps = np.arange(len(ledger.net))
    decided_at = np.maximum(steps - params.backtest.latency_bars, 0)
    return by_regime(
        ledger,
        scored.tape.ts[:-1],
        scored.regime[decided_at],
        names=REGIMES,
        is_decision=scored.is_decision[decided_at],
        n_resamples=params.resample.n_resamples,
        seed=params.resample.seed,
    )


def one_way_cost(prepared: Prepared, params: TrainingParams) -> Float1D:
    """Half the last known spread, fee and slippage, as a fraction of the amount."""
    spread = compute(specs(["spread_bp"], quoted=prepared.market.has_quotes), prepared.bars)[:, 0]
    costs = params.costs
    return half_spread_cost(spread, fee_bp=costs.fee_bp, slippage_bp=costs.slippage_bp)


def _open_share(prepared: Prepared, ts: Int1D) -> float:
    """Share of all minutes of the traded stretch in which the market's calendar is open."""
    minutes = np.arange(ts[0] // INTERVAL_S, ts[-1] // INTERVAL_S + 1)
    calendar = CALENDARS[prepared.market.source.calendar]
    return float(open_minutes(calendar, minutes).mean())
