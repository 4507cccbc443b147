"""Bets on a mean: the bound holds at every look, the state is a value of fixed size."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.canonical import canonical_bytes
from mlwb.core.errors import ArtifactError, DataSchemaError
from mlwb.stats import MeanBets

OUTCOMES = st.lists(st.floats(0.0, 1.0), max_size=40)


def _by_hand(outcomes: list[float], m: float) -> tuple[float, float]:
    """Both wealths of one limit, one outcome at a time in plain floats."""
    below, learning, fixed = 1.0, 1.0, [1.0] * 5
    for n in range(len(outcomes)):
        seen, x = outcomes[:n], outcomes[n]
        mean = (m + sum(seen)) / (n + 1)
        variance = (m + sum(value * value for value in seen)) / (n + 1) - mean * mean
        bet = (mean - m) / (variance + (mean - m) ** 2)
        below *= 1.0 + min(max(-bet, 0.0), 0.75 / (1.0 - m)) * (m - x)
        learning *= 1.0 + min(max(bet, 0.0), 0.75 / m) * (x - m)
        parts = [0.01 * 30.0 ** (place / 4.0) for place in range(5)]
        fixed = [
            wealth * (1.0 + part / m * (x - m)) for wealth, part in zip(fixed, parts, strict=True)
        ]
    return below, 0.5 * learning + 0.1 * sum(fixed)


@given(OUTCOMES, st.sampled_from([0.01, 0.25, 0.95]))
def test_wealth_is_that_of_the_formula(outcomes: list[float], limit: float) -> None:
    """Both sides, one outcome at a time by hand, to 1e-6; for one limit as within a grid."""
    below, above = _by_hand(outcomes, limit)
    alone = MeanBets.start([limit]).update(np.array(outcomes))
    among = MeanBets.start([0.005, limit, 0.99]).update(np.array(outcomes))
    for bets, place in ((alone, 0), (among, 1)):
        assert bets.e_below[place] == pytest.approx(below, rel=1e-6)
        assert bets.e_above[place] == pytest.approx(above, rel=1e-6)


@settings(max_examples=50)
@given(OUTCOMES, st.lists(st.integers(0, 40), max_size=4))
def test_cuts_leave_no_trace(outcomes: list[float], cuts: list[int]) -> None:
    """In pieces, through canonical JSON after each: the same bytes as all at once."""
    values = np.array(outcomes)
    state = MeanBets.start([0.1, 0.5, 0.9])
    for piece in np.split(values, sorted(min(cut, len(values)) for cut in cuts)):
        state = MeanBets.from_json(json.loads(canonical_bytes(state.to_json()))).update(piece)
    whole = MeanBets.start([0.1, 0.5, 0.9]).update(values)
    assert canonical_bytes(state.to_json()) == canonical_bytes(whole.to_json())


def test_long_logs_are_worked_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits whatever the length of a stretch, and the highest wealth of any of them."""
    values = np.random.default_rng(0).random(200) ** 3
    whole = MeanBets.start([0.2, 0.3]).update(values)
    monkeypatch.setattr("mlwb.stats._betting._CELLS", 100)
    parts = MeanBets.start([0.2, 0.3]).update(values)
    assert canonical_bytes(parts.to_json()) == canonical_bytes(whole.to_json())
    looks = [MeanBets.start([0.2, 0.3]).update(values[:n]).e_above for n in range(1, 201)]
    np.testing.assert_allclose(np.exp(whole.highest_above), np.maximum(1, np.max(looks, axis=0)))


@pytest.mark.parametrize("limit", [0.05, 0.5])
def test_error_rates_hold_at_the_limit(limit: float) -> None:
    """Four hundred streams at the limit, looked at 1,500 times each: either side 5 % at most.

    Outcomes come in bursts of one value; only the mean given the past is at the limit.
    """
    rng = np.random.default_rng(1)
    wrong = np.zeros(2)
    for _ in range(400):
        spread = np.where(rng.random(1_500) < 0.5, 1.0, 0.3)  # quiet and loud, as it comes
        values = limit + spread * ((rng.random(1_500) < limit) - limit)
        bets = MeanBets.start([limit]).update(values)
        wrong += bets.certified(0.05)[0], bets.refuted(0.05)[0]
    assert (wrong / 400 <= 0.065).all()  # 0.05 and one and a half standard errors
    assert wrong.sum() > 0


def test_an_interval_covers_at_every_look() -> None:
    """Of 100 streams the mean is inside at all of 300 looks in 95 %; width falls with n."""
    rng, grid = np.random.default_rng(2), np.arange(0.02, 1.0, 0.02)
    covered, widths = 0, []
    for _ in range(100):
        low, high = MeanBets.start(grid).update(rng.beta(2.0, 6.0, 300)).interval(0.95)
        covered += low < 0.25 < high
        widths.append(high - low)
    assert covered >= 0.95 * 100
    assert np.mean(widths) < 0.14


def test_an_interval_is_hollow_without_outcomes_and_never_grows() -> None:
    """(0, 1) at first; then each later one lies inside the one before."""
    values = np.random.default_rng(3).random(300)
    bets = MeanBets.start(np.arange(0.02, 1.0, 0.02))
    low, high = bets.interval()
    assert (low, high) == (0.0, 1.0)
    for part in np.split(values, 30):
        bets = bets.update(part)
        next_low, next_high = bets.interval()
        assert low <= next_low < next_high <= high
        low, high = next_low, next_high
    assert low < 0.5 < high


def test_a_limit_that_is_broken_is_refuted_soon() -> None:
    """Ten in a hundred against a limit of two: half of the streams are stopped within 60."""
    rng = np.random.default_rng(4)
    stopped = [
        MeanBets.start([0.02]).update((rng.random(60) < 0.10).astype(float)).refuted(0.05)[0]
        for _ in range(200)
    ]
    assert np.mean(stopped) >= 0.5


def test_a_long_certainty_stays_finite() -> None:
    """A hundred thousand good outcomes: wealth is a number, and goes through JSON."""
    bets = MeanBets.start([0.01]).update(np.zeros(200_000))
    assert float(bets.below[0]) > 1_000.0
    assert math.isfinite(float(bets.e_below[0]))
    assert MeanBets.from_json(json.loads(canonical_bytes(bets.to_json()))).certified(1e-300)[0]


@pytest.mark.parametrize("value", [math.nan, -0.01, 1.01, math.inf])
def test_what_is_not_an_outcome_is_refused(value: float) -> None:
    """NaN, or outside [0, 1]: nothing is taken."""
    with pytest.raises(DataSchemaError, match="outcomes"):
        MeanBets.start([0.5]).update(np.array([0.5, value]))


@pytest.mark.parametrize("limits", [[], [0.0], [1.0], [0.5, 0.5], [math.nan], [[0.5]]])
def test_what_is_not_a_limit_is_refused(limits: list[float]) -> None:
    """None, an end of [0, 1], the same twice, NaN, a table."""
    with pytest.raises(DataSchemaError, match="limits"):
        MeanBets.start(limits)


def test_a_damaged_state_is_refused() -> None:
    """Another schema, a part missing, of another shape or not finite."""
    stored = json.loads(canonical_bytes(MeanBets.start([0.1, 0.2]).update(np.ones(3)).to_json()))
    broken = [
        {},
        {**stored, "schema": "other"},
        {**stored, "below": [0.0]},
        {**stored, "above": [[0.0], [0.0]]},
        {**stored, "highest_above": [None, 0.0]},
        {**stored, "limits": [0.2, 0.1]},
        {**stored, "total": 4.0},
        {key: item for key, item in stored.items() if key != "squares"},
    ]
    for each in broken:
        with pytest.raises(ArtifactError):
            MeanBets.from_json(each)
