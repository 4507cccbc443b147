"""The judgement that may be made after any request."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwb.canary import (
    JudgeLimits,
    Judgement,
    Outcome,
    RolloutWatch,
    Traffic,
    judge,
    questions_of,
)
from mlwb.core.errors import DataSchemaError
from mlwb.stats import RatioBets

LIMITS = JudgeLimits(
    abort_error=0.02,
    abort_mismatch=0.10,
    abort_p95_ms=120.0,
    error=0.01,
    mismatch=0.05,
    p95_ms=80.0,
    candidate_p95_ms=60.0,
)


def traffic(
    n: int,
    seed: int,
    *,
    error: float = 0.0,
    candidate_error: float = 0.0,
    mismatch: float = 0.0,
    slow: float = 0.0,
    share: float = 1.0,
    delta: float = 0.001,
) -> Traffic:
    """Requests with independent faults at given rates; scores otherwise ``delta`` apart."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    off = np.where(rng.random(n) < mismatch, 0.2, delta)
    failed = rng.random(n) < candidate_error
    return Traffic(
        status=np.where(rng.random(n) < error, 503, 200),
        latency_ms=np.where(rng.random(n) < slow, 150.0, 1.0),
        score=score,
        shadowed=rng.random(n) < share,
        shadow_score=np.where(failed, math.nan, score + off),
        shadow_ms=np.full(n, 0.1),
    )


def judged(found: Traffic) -> Judgement:
    """Under the limits above."""
    questions = questions_of(found, LIMITS, match_delta=0.05)
    return judge(questions, len(found), level=LIMITS.level)


def test_a_faultless_rollout_is_certified_as_soon_as_that_is_certain() -> None:
    """398 requests without an error show that errors are below 1 %, at 95 %; 397 do not."""
    assert judged(traffic(397, 1)).outcome is Outcome.CONTINUE
    found = judged(traffic(2000, 1))
    assert (found.outcome, found.at) == (Outcome.CERTIFIED, 398)
    assert {finding.name: finding.shown_at for finding in found.findings} == {
        "error": 398, "slow": 79, "candidate_error": 398, "candidate_slow": 79, "mismatch": 79
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["error", "candidate_error", "mismatch", "slow"])
def test_every_fault_stops_it_and_is_named(fault: str) -> None:
    """A rate far beyond its limit stops the rollout within 100 requests, for that reason."""
    found = judged(traffic(300, 2, **{fault: 0.5}))
    assert (found.outcome, found.leading) == (Outcome.ABORT, fault)
    assert found.at < 100


def test_ten_percent_of_errors_are_caught_within_a_hundred_requests() -> None:
    """All five questions together: the median of 60 rollouts is stopped by request 75."""
    stops = [judged(traffic(400, seed, error=0.10)) for seed in range(60)]
    assert np.median([s.at if s.outcome is Outcome.ABORT else 400 for s in stops]) <= 75


@pytest.mark.slow
def test_healthy_rollouts_are_not_stopped() -> None:
    """Every rate at half of its stop limit: of 100 rollouts of 1,500 at most one stops."""
    rates = {"error": 0.01, "candidate_error": 0.01, "mismatch": 0.05, "slow": 0.025}
    found = [judged(traffic(1500, seed, **rates)).outcome for seed in range(100)]
    assert found.count(Outcome.ABORT) <= 1


@pytest.mark.slow
def test_a_version_is_not_stopped_beside_itself() -> None:
    """A/A: of 1,000 identical pairs that fail 1 % of their rows fewer than 1 % stop; 5 % may.

    All questions, a look after each of 1,000 requests, errors half way to their limit. Bugs put in
    instead stop it, above.
    """
    same = {"error": 0.01, "candidate_error": 0.01, "delta": 0.0}
    found = [judged(traffic(1_000, seed, **same)).outcome for seed in range(1_000)]
    assert found.count(Outcome.ABORT) < 10


def test_a_rate_at_its_limit_is_not_certified() -> None:
    """1 % of errors against "below 1 %": of 60 rollouts at most the allowed few are let through."""
    found = [judged(traffic(1500, seed, error=0.01)).outcome for seed in range(60)]
    assert found.count(Outcome.CERTIFIED) <= 0.05 * 60 + 2 * math.sqrt(0.05 * 0.95 * 60)


def test_what_comes_after_the_decision_changes_nothing() -> None:
    """Stopping is for good: the same requests and more of them give the same decision."""
    whole = traffic(1000, 3, error=0.3)
    first = judged(whole)
    again = judged(_part(whole, 0, first.at))
    assert (again.outcome, again.at, again.findings) == (first.outcome, first.at, first.findings)
    np.testing.assert_array_equal(again.path, first.path[: first.at])


def test_only_shadowed_requests_speak_of_the_candidate() -> None:
    """At a share of 10 % the candidate's questions have a tenth of the answers."""
    found = {f.name: f.n for f in judged(traffic(300, 4, share=0.1)).findings}
    assert (found["error"], found["slow"]) == (300, 300)
    assert found["candidate_error"] == found["mismatch"] < 60


def test_nothing_seen_decides_nothing() -> None:
    """No request: go on; a question without answers is never certified."""
    assert judged(traffic(0, 5)).outcome is Outcome.CONTINUE
    unseen = judged(traffic(1000, 5, share=0.0))
    assert (unseen.outcome, unseen.at) == (Outcome.CONTINUE, 1000)


def test_two_arms_count_beside_the_questions() -> None:
    """Evidence of two arms joins the average and can stop the rollout by itself."""
    found = traffic(200, 6)
    questions = questions_of(found, LIMITS, match_delta=0.05)
    bets, path = RatioBets.start(1.25), []
    for _ in range(200):
        bets = bets.update(np.array([True]), np.array([0.5]))
        path.append(bets.log_evidence)
    stopped = judge(questions, 200, beside={"error_ratio": np.array(path)})
    assert (stopped.outcome, stopped.leading) == (Outcome.ABORT, "error_ratio")
    with pytest.raises(DataSchemaError):
        judge(questions, 200, beside={"short": np.zeros(3)})
    with pytest.raises(DataSchemaError):
        judge((), 0)


def _part(whole: Traffic, first: int, last: int) -> Traffic:
    columns = [name for name in Traffic.__annotations__ if name != "is_split"]
    return Traffic(**{name: getattr(whole, name)[first:last] for name in columns})


@pytest.mark.parametrize("rates", [{"error": 0.06}, {"candidate_error": 0.3}, {"mismatch": 0.4}])
def test_the_watch_stops_what_the_judge_stops(rates: dict[str, float]) -> None:
    """Looking every 20 requests: the same evidence at each look, stopped at the look after."""
    found = traffic(400, 7, share=0.6, **rates)
    path, decided = judged(found).path, judged(found)
    watch = RolloutWatch(LIMITS, match_delta=0.05)
    reasons = []
    for first in range(0, 400, 20):
        reasons.append(watch.look(_part(found, first, first + 20)))
        assert watch.log_evidence == pytest.approx(path[first + 19], abs=1e-9)
    stopped = next(i for i, reason in enumerate(reasons) if reason)
    assert decided.outcome is Outcome.ABORT
    assert decided.at <= (stopped + 1) * 20
    name = next(iter(rates)).replace("_", " ")
    assert reasons[stopped].startswith(f"{name} in ")
    assert "beyond chance (e-value " in reasons[stopped]


def test_a_look_at_nothing_changes_nothing() -> None:
    """No request since the last look: no reason, the same evidence."""
    watch = RolloutWatch(LIMITS, match_delta=0.05)
    assert watch.look(_part(traffic(5, 8), 0, 0)) == ""
    assert watch.log_evidence == pytest.approx(0.0, abs=1e-12)
