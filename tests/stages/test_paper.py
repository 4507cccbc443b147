"""Paper trading reads only the past, and writes down every number with its reason."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from mlwb.backtest import DEFINITIONS
from mlwb.core.arrays import Float1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, Metric, Record, lint, new_record
from mlwb.features.regimes import REGIMES, fit_regimes, regime_inputs, regime_of
from mlwb.model import Dataset, OutOfFold, Split
from mlwb.params import TrainingParams, load_params
from mlwb.stages._paper import Paper, paper_trade
from mlwb.stages._paper_records import pnl_details, pnl_metrics
from mlwb.stages.market import Prepared, prepare
from tests.stages.conftest import PARAMS

KINDS = ("volatility", "direction", "triple_barrier")


def params_of(kind: str, **overrides: Any) -> TrainingParams:
    """Training's parameters on five days, for a label."""
    given = {"label.kind": kind, "data.days": 5, "resample.n_resamples": 99, **overrides}
    if kind == "triple_barrier":
        given.setdefault("label.at_horizon", "drop")
    params: TrainingParams = load_params("training", PARAMS, overrides=given)
    return params


@lru_cache
def market() -> tuple[Prepared, Dataset]:
    """Five days with the rows of the last two thirds."""
    params = params_of("volatility")
    prepared = prepare(params.data, ("bias", "mid_logret_1m", "spread_bp"), params.window)
    return prepared, prepared.dataset(prepared.labels(params.label))


def scored(probability: Float1D) -> OutOfFold:
    """Scores for the last rows of the market."""
    n = len(market()[1])
    index = np.arange(n - len(probability), n)
    fold = np.zeros(len(index), dtype=np.int64)
    return OutOfFold(index, fold, probability, (0.5,), (Split(index, index, 0, 0, 0),))


def guesses(seed: int = 0, n: int = 3_000) -> Float1D:
    """Scores that know nothing and wander slowly."""
    return 0.5 + 0.2 * np.sin(np.arange(n) / 40.0 + np.random.default_rng(seed).normal(0, 0.3, n))


@lru_cache
def traded(kind: str) -> Paper:
    """Guesses traded by the rule of a label."""
    return paper_trade(*market(), scored(guesses()), params_of(kind))


def metrics_of(paper: Paper) -> dict[tuple[str, str], Metric]:
    """By name and segment."""
    return {(metric.name, metric.segment): metric for metric in pnl_metrics(paper)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_defined_or_says_why_not(kind: str) -> None:
    """Each metric carries its one definition, each null a reason, each name once a segment."""
    found = pnl_metrics(traded(kind))
    assert len({(metric.name, metric.segment) for metric in found}) == len(found)
    for metric in found:
        assert metric.definition.startswith(DEFINITIONS[metric.name].formula[:20]), metric.name
        assert metric.unit == DEFINITIONS[metric.name].unit
        assert (metric.null_reason != "") is (metric.value is None)
    record = record_of(kind)
    assert not lint(record)


def record_of(kind: str) -> Record:
    """The evidence of a rule."""
    details = pnl_details(traded(kind), params_of(kind))
    return new_record(
        "pnl", pnl_metrics(traded(kind)), Context(clock=ManualClock()), details=details
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_evidence_names_rule_meaning_and_caps(kind: str) -> None:
    """What was traded and what its money means stand beside the numbers."""
    details = record_of(kind).details
    assert details["label"] == {"kind": kind}
    assert details["rule"]
    assert "after costs" in str(details["definition"])
    assert ("no forecast of direction" in str(details["definition"])) is (kind == "volatility")
    assert details["backtest"]["latency_bars"] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1_000, 2_500])
def test_what_comes_later_changes_nothing_before(kind: str, cut: int) -> None:
    """Other scores from some bar on leave every position before their fill as it was."""
    later = guesses()
    later[cut:] = 1.0 - later[cut:]
    before, after = traded(kind), paper_trade(*market(), scored(later), params_of(kind))
    books = [paper.versus.timed if paper.versus else paper.ledger for paper in (before, after)]
    known = before.ts <= market()[1].t0[-3_000 + cut] - INTERVAL_S
    np.testing.assert_array_equal(books[0].position[known], books[1].position[known])
    assert (books[0].position != books[1].position).any()


def test_a_position_is_filled_one_bar_after_its_score() -> None:
    """The sign of a score is held from the next bar on."""
    free = params_of("direction", **{"backtest.max_turnover": 1e6, "backtest.max_daily_loss": 1.0})
    paper = paper_trade(*market(), scored(guesses()), free)
    rows = market()[1].t0[-3_000:] - INTERVAL_S
    wanted = dict(zip(rows.tolist(), np.sign(guesses() - 0.5).tolist(), strict=True))
    ts, position = paper.ts.tolist(), paper.ledger.position.tolist()
    filled = [(wanted.get(ts[i - 1], 0.0), position[i]) for i in range(1, 60)]
    assert position[0] == 0.0
    assert all(want == held for want, held in filled)


def test_money_belongs_to_the_regime_of_its_decision() -> None:
    """A step counts where its position was decided, a bar before; cuts know only earlier bars."""
    prepared, _ = market()
    paper = traded("direction")
    first = int(np.searchsorted(prepared.ts, paper.ts[0]))
    inputs = regime_inputs(prepared.bars)
    known = regime_of(inputs, fit_regimes(inputs, np.arange(first)))
    decided_in = known[first + np.maximum(np.arange(len(paper.ts)) - 1, 0)]
    for index, name in enumerate(REGIMES):
        (found,) = (item for item in paper.regimes if item.name == name)
        assert found.net == pytest.approx(float(paper.ledger.net[decided_in == index].sum()))
        assert found.n_steps == (decided_in == index).sum() > 100


def test_an_estimated_spread_is_called_one() -> None:
    """Whether the source quotes its spread, or its bars only hint at it, stands in the evidence."""
    prepared, data = market()
    bars_only = replace(prepared, market=replace(prepared.market, has_quotes=False))
    params = params_of("direction")
    quoted, estimated = (
        paper_trade(source, data, scored(guesses()), params) for source in (prepared, bars_only)
    )
    said = [pnl_details(paper, params)["spread"] for paper in (quoted, estimated)]
    assert said == ["quoted", "estimated"]
    assert quoted.ledger.cost.sum() != estimated.ledger.cost.sum()


def test_a_volatility_label_is_judged_against_constant_exposure() -> None:
    """The ledger is the overlay; no win rate; the effect on risk is measured."""
    paper = traded("volatility")
    found = metrics_of(paper)
    assert paper.versus is not None
    assert paper.ledger is paper.versus.overlay
    assert found["win_rate", ""].value is None
    assert found["variance_ratio", ""].ci is not None
    assert found["exposure_mean", ""].value == pytest.approx(paper.versus.timed.position.mean())


def test_a_bet_has_no_variance_ratio() -> None:
    """A rule that bets on the sign has a win rate, and nothing to compare its variance with."""
    found = metrics_of(traded("direction"))
    assert found["win_rate", ""].k is not None
    assert ("variance_ratio", "") not in found


def test_a_rule_without_trades_has_null_numbers() -> None:
    """Scores of one half make no trade: no ratio, no win rate, no break-even, and why."""
    paper = paper_trade(*market(), scored(np.full(500, 0.5)), params_of("direction"))
    found = metrics_of(paper)
    for name in ("sharpe", "psr", "calmar", "break_even_bp", "min_track_record"):
        assert found[name, ""].value is None
        assert found[name, ""].null_reason == "the rule made no trade"
    assert found["win_rate", ""].null_reason == "no observations"
    assert found["net_return", ""].value == 0.0


def test_caps_of_the_parameters_are_kept() -> None:
    """A tight turnover cap cuts orders, is counted by name, and is not exceeded."""
    overrides = {"backtest.max_turnover": 4.0, "backtest.max_position": 0.5}
    paper = paper_trade(*market(), scored(guesses(1)), params_of("direction", **overrides))
    found = metrics_of(paper)
    assert found["clips", "turnover"].value > 0  # type: ignore[operator]
    assert found["cap_breaches", ""].value == 0
    assert found["exposure_max", ""].value == 0.5


def test_costs_of_the_parameters_are_paid() -> None:
    """A dearer fee costs what was traded, and the break-even cost does not know of it."""
    dear = params_of("direction", **{"costs.fee_bp": 11.0})
    once, more = traded("direction"), paper_trade(*market(), scored(guesses()), dear)
    np.testing.assert_array_equal(once.ledger.position, more.ledger.position)
    found = [metrics_of(paper)["paid_bp", ""].value for paper in (once, more)]
    assert found[1] - found[0] == pytest.approx(10.0)  # type: ignore[operator]


def test_a_weekend_market_has_a_shorter_year() -> None:
    """The year of `sharpe_bars` is that of the market's calendar."""
    prepared, data = market()
    source = replace(prepared.market.source, calendar="fx")
    closed = replace(prepared, market=replace(prepared.market, source=source))
    always = traded("direction").risk
    weekly = paper_trade(closed, data, scored(guesses()), params_of("direction")).risk
    assert 0.5 < weekly.sharpe_bars / always.sharpe_bars < 1.0
    assert weekly.sharpe == always.sharpe
