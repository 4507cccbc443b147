"""Verdicts in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlwb.gates import GATES, Check, Outcome, Verdict
from mlwb.params import load_policy
from mlwb.report._judged import beside, reason, telling, warnings, why
from mlwb.report._words import GATE_WORDS, METRIC_WORDS, metric_words

PARAMS = Path(__file__).resolve().parents[2] / "params"


def test_every_limit_of_every_policy_has_words() -> None:
    """No page shows a bare variable name: each metric of a limit, each gate, is in the glossary."""
    for path in sorted(PARAMS.glob("policy*.yml")):
        policy = load_policy(path)
        metrics = {limit.metric for gate in policy.gates.values() for limit in gate.limits}
        metrics |= {limit.metric for limits in policy.watch.values() for limit in limits}
        assert metrics <= set(METRIC_WORDS), path.name
    assert set(GATE_WORDS) == set(GATES)


def test_unknown_metrics_read_by_their_name() -> None:
    """A metric added later is still readable."""
    assert metric_words("brand_new_rate") == "brand new rate"


def test_reason_in_words(make_check: Callable[..., Check]) -> None:
    """Whatever else the gate said is kept: the interval, the names of what is missing."""
    spans = make_check(
        metric="psi_overall_upper", observed=0.31, comparator="<", limit="0.2",
        outcome=Outcome.UNPROVEN,
        reason="psi_overall_upper = 0.31, must be < 0.2; the interval spans the limit",
    )  # fmt: skip
    assert reason(spans) == (
        "overall PSI, upper 95 % bound: 0.310, must be < 0.2 (the interval spans the limit)"
    )
    thin = make_check(
        metric="p95_ms", segment="5%", observed=2.0, outcome=Outcome.UNPROVEN,
        reason="p95_ms[5%] rests on 40 observations, it needs 59",
    )  # fmt: skip
    assert reason(thin) == "latency, p95 of phase 5% rests on 40 observations, it needs 59"
    absent = make_check(
        observed=None, outcome=Outcome.MISSING, reason="there is no offline_report evidence"
    )
    assert reason(absent) == "there is no offline_report evidence"


def test_why_says_the_same_thing_once(
    make_check: Callable[..., Check], make_verdict: Callable[..., Verdict]
) -> None:
    """Five checks that nobody could measure for one reason are one sentence."""
    names = ("sharpe", "psr", "win_rate", "max_drawdown")
    checks = [
        make_check(
            id=f"pnl.{name}", metric=name, observed=None, outcome=Outcome.UNPROVEN,
            reason=f"{name}: no rule trades it",
        )
        for name in names
    ]  # fmt: skip
    found = why(make_verdict(*checks, outcome=Outcome.UNPROVEN))
    assert found == ("Sharpe ratio, probability that Sharpe > 0 and 2 more: no rule trades it",)
    missing = [make_check(id=f"x.{i}", observed=None, outcome=Outcome.MISSING,
                          reason="there is no smoke evidence") for i in range(4)]  # fmt: skip
    assert why(make_verdict(*missing, outcome=Outcome.MISSING)) == ("there is no smoke evidence",)


def test_why_counts_the_rest(
    make_check: Callable[..., Check], make_verdict: Callable[..., Verdict]
) -> None:
    """Three sentences, then how many more there are."""
    checks = [
        make_check(id=f"c.{i}", segment=f"s{i}", observed=0.1, outcome=Outcome.FAIL,
                   reason=f"auc[s{i}] = 0.1, must be >= 0.62")
        for i in range(5)
    ]  # fmt: skip
    found = why(make_verdict(*checks, outcome=Outcome.FAIL))
    assert len(found) == 4
    assert found[-1] == "and 2 more"


def test_telling_is_the_worst_that_binds(
    make_check: Callable[..., Check], make_verdict: Callable[..., Verdict], failed: Verdict
) -> None:
    """A waived failure does not speak for the gate; a binding one does."""
    waived = make_check(id="w", outcome=Outcome.FAIL, observed=0.1, waived="demo",
                        reason="auc = 0.1, must be >= 0.62")  # fmt: skip
    holds = make_check(id="h", metric="p_against", observed=0.01, comparator="<=", limit="0.10")
    verdict = make_verdict(waived, holds)
    assert telling(verdict) is holds
    assert warnings(verdict) == ("AUC: 0.100, must be ≥ 0.62 (waived: demo)",)
    found = telling(failed)
    assert found is not None
    assert found.segment == "spread_bp"


def test_telling_prefers_what_people_ask_for(
    make_check: Callable[..., Check], make_verdict: Callable[..., Verdict]
) -> None:
    """A server that passes is described by its latency, not by the number of requests."""
    requests = make_check(id="perf.requests", metric="requests", observed=1000, limit="1000")
    p95 = make_check(id="perf.p95_ms", metric="p95_ms", observed=1.7, comparator="<", limit="80")
    assert telling(make_verdict(requests, p95, gate="perf")) is p95
    assert telling(make_verdict(requests, gate="perf")) is requests


@pytest.mark.parametrize(
    ("value", "rule", "unit", "said"),
    [
        (0.9949, "> 0.995", "%", "99.49\u00a0%"),
        (0.99501, "> 0.995", "%", "99.501\u00a0%"),
        (79.999, "< 80", "ms", "79.999\u00a0ms"),
        (80.0, "< 80", "ms", "80.00\u00a0ms"),
        (0.62, ">= 0.62", "1", "0.620"),
        (6.0e-08, "<= 0.00001", "1", "6.0e−08"),
        (0.0, "== 0", "count", "0"),
        (None, "< 1", "1", "not measured"),
    ],
)
def test_no_number_is_rounded_across_its_limit(
    value: float | None, rule: str, unit: str, said: str
) -> None:
    """99.49 % beside a limit of 99.5 % does not read 99.5 %."""
    comparator, limit = rule.split()
    assert beside(value, comparator, limit, unit=unit) == said
