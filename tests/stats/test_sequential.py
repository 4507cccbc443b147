"""Evidence that may be looked at after every observation: right by brute force, rare by chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import DataSchemaError
from mlwb.stats import RateAlarm, RatioBets, quantile_shift, rate_evidence
from mlwb.stats._sequential import rates_above

_LINE = math.log(20.0)


def _highest(events: np.ndarray, limit: float, side: int) -> np.ndarray:
    """The highest log evidence of each stream over all looks; events of shape (n, streams)."""
    k = np.cumsum(events, axis=0, dtype=np.float64)
    n = np.broadcast_to(np.arange(1.0, len(k) + 1)[:, None], k.shape)
    return np.asarray(rate_evidence(k, n, limit)[side].max(axis=0))


def test_evidence_is_the_mean_likelihood_ratio() -> None:
    """Three events of forty against 2 %, multiplied out one observation at a time."""
    limit, outcomes = 0.02, [0] * 10 + [1, 1] + [0] * 20 + [1] + [0] * 7
    ratios = [1.0] * 24
    for outcome in outcomes:
        for j, p in enumerate(rates_above(limit)):
            ratios[j] *= p / limit if outcome else (1 - p) / (1 - limit)
    above, _ = rate_evidence(np.array([3.0]), np.array([40.0]), limit)
    assert above[0] == pytest.approx(math.log(math.fsum(ratios) / 24), abs=1e-12)


@given(n=st.integers(1, 400), limit=st.sampled_from([0.01, 0.05, 0.3]))
def test_evidence_grows_and_falls_with_events(n: int, limit: float) -> None:
    """One more event of as many never weakens the evidence above nor strengthens that below."""
    k = np.arange(n + 1.0)
    above, below = rate_evidence(k, np.full(n + 1, float(n)), limit)
    assert bool((np.diff(above) >= 0).all())
    assert bool((np.diff(below) <= 0).all())


@pytest.mark.slow
def test_a_rate_at_its_limit_is_seldom_called_worse() -> None:
    """Of 300 streams at 2 %, looked at 700 times, at most the 5 % that Ville allows alarm."""
    rng = np.random.default_rng(1)
    found = _highest(rng.random((700, 300)) < 0.02, 0.02, 0)
    assert 0.0 < (found >= _LINE).mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)
    healthy = _highest(rng.random((700, 300)) < 0.01, 0.02, 0)
    assert (healthy >= _LINE).mean() <= 0.01


def test_a_bad_rate_is_caught_early() -> None:
    """10 % errors against 2 %: half of the streams are stopped by request 60 (published: 43)."""
    rng = np.random.default_rng(2)
    assert (_highest(rng.random((60, 400)) < 0.10, 0.02, 0) >= _LINE).mean() > 0.5


@pytest.mark.parametrize(
    ("k", "n", "limit"), [([2], [1], 0.1), ([1], [2], 1.0), ([1], [1, 2], 0.1)]
)
def test_counts_that_cannot_be_are_refused(k: list[int], n: list[int], limit: float) -> None:
    """More events than observations, a limit of 1, shapes that differ."""
    with pytest.raises(DataSchemaError):
        rate_evidence(np.array(k, float), np.array(n, float), limit)


def test_a_slower_quantile_is_seen_and_an_equal_one_is_not() -> None:
    """Median evidence of p95 +50 % crosses the line by 400 an arm; equal arms stay far below."""
    rng = np.random.default_rng(3)
    slower, equal = [], []
    for _ in range(25):
        base, new = rng.lognormal(0, 0.3, (2, 400))
        slower.append(quantile_shift(base, 1.5 * new))
        equal.append(quantile_shift(base, new))
    assert np.median(slower) > _LINE
    assert max(equal) < 0.0


@given(factor=st.floats(0.01, 100.0))
def test_the_unit_of_a_quantile_does_not_matter(factor: float) -> None:
    """Milliseconds or seconds: the same evidence."""
    rng = np.random.default_rng(4)
    base, new = rng.lognormal(0, 0.3, 50), 1.7 * rng.lognormal(0, 0.3, 60)
    assert quantile_shift(base * factor, new * factor) == pytest.approx(
        quantile_shift(base, new), abs=1e-9
    )


def test_a_quantile_needs_both_arms_and_real_values() -> None:
    """Nothing seen is no evidence; NaN, infinity and 0 are refused."""
    assert quantile_shift(np.empty(0), np.ones(5)) == quantile_shift(np.ones(5), np.empty(0)) == 0.0
    for wrong in (math.nan, math.inf, 0.0):
        with pytest.raises(DataSchemaError):
            quantile_shift(np.ones(3), np.array([1.0, wrong]))


def _events(rng: np.random.Generator, ratio: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Events of two arms while the candidate's share rises from 5 % to half."""
    share = np.linspace(0.05, 0.5, n)
    return rng.random(n) < share * ratio / (share * ratio + 1 - share), share


def test_equal_arms_are_seldom_told_apart() -> None:
    """At the tolerated ratio, under rising shares, at most 5 % of 400 streams cross the line."""
    rng = np.random.default_rng(5)
    found = [RatioBets.start(1.25).update(*_events(rng, 1.25, 200)).highest for _ in range(400)]
    assert 0.0 < np.mean(np.array(found) >= _LINE) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_three_times_the_errors_are_found() -> None:
    """At a ratio of 3 half of the streams cross within 60 events."""
    rng = np.random.default_rng(6)
    bets = RatioBets.start(1.25)
    found = []
    for _ in range(200):
        mine = rng.random(60) < 0.75
        found.append(bets.update(mine, np.full(60, 0.5)).highest)
    assert np.median(found) > _LINE


def test_cuts_leave_no_trace_and_whole_shares_say_nothing() -> None:
    """One update or many: the same wealth; events at a share of 0 or 1 are passed over."""
    rng = np.random.default_rng(7)
    mine, share = _events(rng, 2.0, 60)
    share[::7] = 1.0
    whole, cut = RatioBets.start(1.25).update(mine, share), RatioBets.start(1.25)
    for i in range(60):
        cut = cut.update(mine[i : i + 1], share[i : i + 1])
    np.testing.assert_array_equal(whole.log_wealth, cut.log_wealth)
    assert (whole.highest, whole.n_events) == (cut.highest, 60 - 9)
    with pytest.raises(DataSchemaError):
        RatioBets.start(0.9)


def test_an_alarm_is_the_recursion() -> None:
    """Quiet stretches in closed form give what one step at a time gives."""
    rng = np.random.default_rng(8)
    events = rng.random(300) < 0.05
    limit, over = 0.02, rates_above(0.02)
    r = np.zeros(24)
    for event in events:
        r = (r + 1.0) * (over / limit if event else (1 - over) / (1 - limit))
    found = RateAlarm.start(limit).update(events)
    np.testing.assert_allclose(found.log_r, np.log(r), atol=1e-9)
    cut = RateAlarm.start(limit).update(events[:123]).update(events[123:])
    np.testing.assert_allclose(cut.log_r, found.log_r, atol=1e-9)
    assert cut.n_obs == 300
    assert cut.highest == pytest.approx(found.highest, abs=1e-9)


def test_alarms_are_as_rare_as_said_and_come_when_they_should() -> None:
    """At half the limit no alarm in 20,000; a jump to 10 % is found within 200 at the median."""
    rng = np.random.default_rng(9)
    quiet = RateAlarm.start(0.01).update(rng.random(20_000) < 0.005)
    assert not quiet.sounds(100_000.0)
    bad = [quiet.update(rng.random(200) < 0.10).sounds(100_000.0) for _ in range(40)]
    assert np.mean(bad) > 0.5
    with pytest.raises(DataSchemaError):
        RateAlarm.start(1.0)
