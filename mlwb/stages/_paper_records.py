"""What a rule earned, as numbers with their definitions."""

from __future__ import annotations

import math
from typing import Any

from mlwb.backtest import DEFINITIONS, break_even_bp, daily_trips, paid_bp
from mlwb.evidence import Interval, Metric, rate
from mlwb.params import TrainingParams
from mlwb.stages._paper import Paper
from mlwb.stats import p_against, wilson

__all__ = ["no_win_rate", "pnl_details", "pnl_metrics", "win_rates"]

_RATIOS = (
    "sharpe", "sharpe_se", "sharpe_bars", "sharpe_lo", "psr", "min_track_record",
    "max_drawdown", "calmar",
)  # fmt: skip
_LEVEL = 0.95


def pnl_metrics(paper: Paper) -> list[Metric]:
    """Every number of the judged book, each with its definition; null with a reason."""
    found, steps = paper.risk, len(paper.ts)
    hours = paper.drawn.n_obs
    low, high = (hours * end for end in paper.drawn.interval(_LEVEL))
    interval = Interval(_LEVEL, low, high, "circular block bootstrap of hours")
    return [
        _metric(paper, "net_return", found.net_return, n=steps, ci=interval),
        _metric(paper, "gross_return", float(paper.ledger.gross.sum()), n=steps),
        _metric(paper, "net_p", p_against(paper.drawn), n=hours),
        *(_metric(paper, name, getattr(found, name), n=found.n_days) for name in _RATIOS),
        _metric(paper, "sharpe_upper", found.sharpe_bound(_LEVEL), n=found.n_days),
        _metric(paper, "days", found.n_days),
        *_win_rate(paper),
        *(_metric(paper, name, value, n=steps) for name, value in vars(paper.activity).items()),
        _metric(paper, "break_even_bp", break_even_bp(paper.ledger)),
        _metric(paper, "paid_bp", paid_bp(paper.ledger)),
        _metric(paper, "cap_breaches", paper.breaches, n=steps),
        *(_metric(paper, "clips", n, segment=reason) for reason, n in paper.clips.items()),
        *_effect(paper),
        *_regimes(paper),
        *(
            _metric(
                paper, "cost_net", cell.net_return, segment=_cell(cell.factor, cell.latency_bars)
            )
            for cell in paper.curve
        ),
        *(_metric(paper, "identity_error", i.error, segment=i.name) for i in paper.identities),
    ]


def pnl_details(paper: Paper, params: TrainingParams) -> dict[str, Any]:
    """What was traded, under which caps, and the closed trips of each day."""
    daily = daily_trips(paper.trips, paper.ts)
    days = zip(daily.day.tolist(), daily.wins.tolist(), daily.trips.tolist(), strict=True)
    return {
        "label": {"kind": params.label.kind},
        "rule": paper.rule,
        "definition": paper.meaning,
        "spread": paper.spread,
        "backtest": vars(params.backtest),
        "daily_trips": [list(day) for day in days] if paper.is_bet else [],
    }


def _metric(paper: Paper, name: str, value: float, **more: Any) -> Metric:
    what = DEFINITIONS[name]
    meaning = f"{what.sentence}; of {paper.meaning}" if name == "net_return" else what.sentence
    if not math.isfinite(value):
        more["null_reason"] = _why_null(paper, name)
    return Metric(
        name, value if math.isfinite(value) else None, unit=what.unit, definition=meaning, **more
    )


def _why_null(paper: Paper, name: str) -> str:
    if not paper.ledger.position.any():
        return "the rule made no trade"
    if name == "min_track_record" and math.isfinite(paper.risk.sharpe):
        return "the ratio is not above 0, so no length would show it"
    return DEFINITIONS[name].edge or "it does not exist"


def _win_rate(paper: Paper) -> list[Metric]:
    trips = paper.trips
    if not paper.is_bet:
        return [no_win_rate()]
    return win_rates(trips.wins, trips.n_closed)


def no_win_rate() -> Metric:
    """Of a rule that times exposure."""
    reason = "the rule bets on no direction, so it wins no bets"
    said = DEFINITIONS["win_rate"].sentence
    return Metric("win_rate", None, definition=said, null_reason=reason)


def win_rates(wins: int, n: int, definition: str = "") -> list[Metric]:
    """A win rate with its interval, and its one-sided upper bound."""
    said = definition or DEFINITIONS["win_rate"].sentence
    if not n:
        return [rate("win_rate", 0, 0, definition=said)]
    low, high = wilson(wins, n, level=_LEVEL)
    _, upper = wilson(wins, n, level=2.0 * _LEVEL - 1.0)
    return [
        rate("win_rate", wins, n, ci=Interval(_LEVEL, low, high, "Wilson"), definition=said),
        Metric("win_rate_upper", upper, n=n, definition=DEFINITIONS["win_rate_upper"].sentence),
    ]


def _effect(paper: Paper) -> list[Metric]:
    found = paper.effect
    if found is None:
        return []
    low, high = found.variance_low, found.variance_high
    ci = Interval(0.90, low, high, "paired block bootstrap") if math.isfinite(low) else None
    values = {
        "variance_upper": high,
        "variance_lower": low,
        "tail_ratio": found.tail_ratio,
        "drawdown_timed": found.drawdown_timed,
        "drawdown_constant": found.drawdown_constant,
    }
    return [
        _metric(paper, "variance_ratio", found.variance_ratio, n=found.n_hours, ci=ci),
        *(_metric(paper, name, value, n=found.n_hours) for name, value in values.items()),
    ]


def _regimes(paper: Paper) -> list[Metric]:
    return [
        metric
        for item in paper.regimes
        for metric in (
            _metric(paper, "regime_net", item.net, n=item.n_steps, segment=item.name),
            _metric(paper, "regime_decisions", item.n_decisions, segment=item.name),
            _metric(paper, "regime_p_negative", item.p_holm, n=item.n_decisions, segment=item.name),
        )
    ]


def _cell(factor: float, latency: int) -> str:
    bound = ", upper bound" if latency == 0 else ""
    return f"{factor:g}x cost, {latency} bars{bound}"
