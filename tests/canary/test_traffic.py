"""Summaries of traffic against numpy and scipy, and the abort rule at its limits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mlwb.canary import AbortLimits, Summary, Traffic, abort_reason, summarise

LIMITS = AbortLimits(p95_ms=120.0, error_rate=0.02, match_rate=0.90, min_requests=50)
HEALTHY = Summary(
    n_requests=1_000,
    n_errors=0,
    p50_ms=3.0,
    p95_ms=10.0,
    p99_ms=20.0,
    max_ms=30.0,
    n_shadowed=100,
    n_shadow_errors=0,
    n_compared=100,
    n_matched=100,
    mean_abs_delta=0.0,
    median_abs_delta=0.0,
    p95_abs_delta=0.0,
    max_abs_delta=0.0,
    rank_corr=1.0,
    shadow_p50_ms=4.0,
    shadow_p95_ms=5.0,
    shadow_p99_ms=6.0,
)


def traffic(n: int, seed: int = 0) -> Traffic:
    """Requests with every kind of outcome."""
    rng = np.random.default_rng(seed)
    status = rng.choice([200, 200, 200, 503, 0], size=n)
    score = np.where(status == 200, np.round(rng.random(n), 2), np.nan)
    shadowed = rng.random(n) < 0.5
    answered = shadowed & (status == 200) & (rng.random(n) < 0.9)
    return Traffic(
        status=status.astype(np.int64),
        latency_ms=rng.gamma(2.0, 4.0, n),
        score=score,
        shadowed=shadowed,
        shadow_score=np.where(answered, score + rng.normal(0.0, 0.04, n), np.nan),
        shadow_ms=np.where(answered, rng.gamma(2.0, 2.0, n), np.nan),
    )


@given(st.integers(1, 120), st.integers(0, 50))
def test_summary_counts_request_by_request(n: int, seed: int) -> None:
    """Every count equals a loop over the requests; matched <= compared <= shadowed <= requests."""
    sent = traffic(n, seed)
    found = summarise(sent, match_delta=0.05)
    errors = shadowed = failed = compared = matched = 0
    for i in range(n):
        errors += sent.status[i] != 200
        if sent.shadowed[i] and sent.status[i] == 200:
            shadowed += 1
            failed += math.isnan(sent.shadow_score[i])
            compared += not math.isnan(sent.shadow_score[i])
            matched += abs(sent.shadow_score[i] - sent.score[i]) <= 0.05
    assert (found.n_requests, found.n_errors) == (n, errors) == (len(sent), errors)
    assert (found.n_shadowed, found.n_shadow_errors) == (shadowed, failed)
    assert (found.n_compared, found.n_matched) == (compared, matched)


def test_quantiles_are_numpys() -> None:
    """Client quantiles over all requests, failed ones included; shadow time over compared ones."""
    sent = traffic(500)
    found = summarise(sent, match_delta=0.05)
    expected = np.quantile(sent.latency_ms, [0.5, 0.95, 0.99])
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == pytest.approx(tuple(expected))
    assert found.max_ms == sent.latency_ms.max()
    compared = np.isfinite(sent.shadow_score) & (sent.status == 200)
    assert found.shadow_p95_ms == pytest.approx(np.quantile(sent.shadow_ms[compared], 0.95))


def test_rank_correlation_is_scipys() -> None:
    """Spearman with average ranks over what both answered, ties included."""
    sent = traffic(400)
    found = summarise(sent, match_delta=0.05)
    both = np.isfinite(sent.shadow_score) & (sent.status == 200)
    expected = spearmanr(sent.score[both], np.round(sent.shadow_score[both], 12)).statistic
    assert found.rank_corr == pytest.approx(expected)
    delta = np.abs(sent.shadow_score[both] - sent.score[both])
    assert found.mean_abs_delta == pytest.approx(delta.mean())


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.data())
def test_tied_scores_rank_as_scipys(first: list[int], data: st.DataObject) -> None:
    """Scores with many ties on both sides: scipy's number, or NaN where one side is constant."""
    n = len(first)
    second = data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    ones = np.ones(n)
    sent = Traffic(
        status=(200 * ones).astype(np.int64),
        latency_ms=ones,
        score=np.array(first, dtype=np.float64),
        shadowed=ones > 0,
        shadow_score=np.array(second, dtype=np.float64),
        shadow_ms=ones,
    )
    found = summarise(sent, match_delta=0.0).rank_corr
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic)


def test_constant_scores_have_no_rank_correlation() -> None:
    """A candidate that always says the same correlates with nothing: NaN, not 1 and not 0."""
    sent = replace(traffic(50), shadow_score=np.full(50, 0.5))
    assert math.isnan(summarise(sent, match_delta=0.05).rank_corr)


def test_difference_of_exactly_the_delta_matches() -> None:
    """The delta is closed."""
    ones = np.ones(2)
    sent = Traffic(
        status=np.array([200, 200]),
        latency_ms=ones,
        score=np.array([0.25, 0.25]),
        shadowed=ones > 0,
        shadow_score=np.array([0.5, np.nextafter(0.5, 1.0)]),
        shadow_ms=ones,
    )
    assert summarise(sent, match_delta=0.25).n_matched == 1


def test_no_traffic_has_counts_and_no_quantiles() -> None:
    """Nothing sent is zeros and NaN, without a warning."""
    found = summarise(traffic(0), match_delta=0.05)
    assert (found.n_requests, found.n_compared, found.n_matched) == (0, 0, 0)
    unknown = (found.p95_ms, found.max_ms, found.mean_abs_delta, found.rank_corr)
    assert all(math.isnan(x) for x in unknown)


def test_healthy_rollout_goes_on() -> None:
    """No reason, no text."""
    assert abort_reason(HEALTHY, LIMITS) == ""


@pytest.mark.parametrize(
    ("at_limit", "beyond", "said"),
    [
        ({"n_errors": 20}, {"n_errors": 21}, "error rate 2.1% above 2.0%"),
        ({"n_shadow_errors": 2}, {"n_shadow_errors": 3}, "error rate 3.0% above 2.0%"),
        ({"p95_ms": 120.0}, {"p95_ms": 120.1}, "p95 120.1 ms above 120 ms"),
        ({"n_matched": 90}, {"n_matched": 89}, "match rate 89.0% below 90%"),
    ],
    ids=["errors", "shadow errors", "latency", "match"],
)
def test_limit_itself_goes_on_and_beyond_aborts(
    at_limit: dict[str, Any], beyond: dict[str, Any], said: str
) -> None:
    """Each limit on both sides, with the number in the reason."""
    assert abort_reason(replace(HEALTHY, **at_limit), LIMITS) == ""
    assert abort_reason(replace(HEALTHY, **beyond), LIMITS) == said


@pytest.mark.parametrize(
    "bad",
    [
        {"n_requests": 50, "n_errors": 50},
        {"n_shadowed": 50, "n_shadow_errors": 50},
        {"n_compared": 50, "n_matched": 0},
        {"n_requests": 50, "p95_ms": 900.0},
    ],
    ids=["errors", "shadow errors", "match", "latency"],
)
def test_each_share_needs_its_own_minimum(bad: dict[str, Any]) -> None:
    """At the minimum of what a share is taken of a disaster aborts; one short it is no reason."""
    assert abort_reason(replace(HEALTHY, **bad), LIMITS) != ""
    counted = next(iter(bad))
    few = {name: min(value, 49) if name.startswith("n_") else value for name, value in bad.items()}
    assert few[counted] == 49
    assert abort_reason(replace(HEALTHY, **few), LIMITS) == ""


def test_nothing_shadowed_is_no_disagreement() -> None:
    """Before the candidate was asked there is nothing to compare and nothing to abort for."""
    none = replace(HEALTHY, n_shadowed=0, n_shadow_errors=0, n_compared=0, n_matched=0)
    assert abort_reason(none, LIMITS) == ""
