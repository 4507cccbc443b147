"""Losses count on the day their label matured; harm beyond a tolerance is found."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import brier_score_loss, log_loss  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.canonical import canonical_bytes
from mlwb.core.errors import ArtifactError, DataSchemaError, EmptyWindowError
from mlwb.drift import LossDays, LossWatch, daily_losses, reliability

DAY_S = 86_400
COLUMNS = ("days", "rows", "brier", "log_loss", "expected")
ROWS = st.lists(
    st.tuples(st.floats(0.0, 1.0), st.integers(0, 1), st.integers(0, 3 * DAY_S)), max_size=40
)


def _columns(rows: list[tuple[float, int, int]]) -> tuple[Float1D, Int1D, Int1D]:
    return (
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


def _days(means: Float1D, first: int = 0, rows: int = 100) -> LossDays:
    """Days with given mean Brier losses."""
    n = np.full(len(means), rows)
    sums = np.asarray(means * rows, dtype=np.float64)
    return LossDays(first + np.arange(len(means)), n, sums, 2.0 * sums, sums)


def test_daily_sums_are_the_metrics_of_scikit_learn() -> None:
    """Brier and log loss of each day equal those of its own rows, to 1e-12."""
    rng = np.random.default_rng(0)
    p, ts = rng.uniform(0.05, 0.95, 900), rng.integers(0, 3 * DAY_S, 900)
    y = (rng.random(900) < p).astype(np.int64)
    found = daily_losses(p, y, ts, horizon_s=300)
    days = (ts + 300) // DAY_S
    assert found.days.tolist() == np.unique(days).tolist()
    for place, day in enumerate(found.days):
        own = days == day
        assert found.mean()[place] == pytest.approx(brier_score_loss(y[own], p[own]), abs=1e-12)
        assert found.mean("log_loss")[place] == pytest.approx(log_loss(y[own], p[own]), abs=1e-12)


def test_a_loss_counts_on_the_day_its_label_matured() -> None:
    """Five minutes before midnight with a label of ten minutes: the next day's; by row as well."""
    ts, p, y = np.array([DAY_S - 300, DAY_S - 300]), np.array([0.5, 0.5]), np.array([1, 1])
    assert daily_losses(p, y, ts, horizon_s=600).days.tolist() == [1]
    both = daily_losses(p, y, ts, horizon_s=np.array([60, 600]))
    assert (both.days.tolist(), both.rows.tolist()) == ([0, 1], [1, 1])


@settings(max_examples=50)
@given(ROWS, st.integers(0, 40))
def test_parts_add_up(rows: list[tuple[float, int, int]], cut: int) -> None:
    """Two parts together are all rows at once, whichever day they share."""
    whole = daily_losses(*_columns(rows), horizon_s=60)
    first, second = (
        daily_losses(*_columns(part), horizon_s=60) for part in (rows[:cut], rows[cut:])
    )
    both = first + second
    np.testing.assert_array_equal(both.days, whole.days)
    np.testing.assert_array_equal(both.rows, whole.rows)
    for name in ("brier", "log_loss", "expected"):
        np.testing.assert_allclose(getattr(both, name), getattr(whole, name), atol=1e-9)
    again = LossDays.from_json(json.loads(canonical_bytes(whole.to_json())))
    assert canonical_bytes(again.to_json()) == canonical_bytes(whole.to_json())


def test_a_calibrated_model_knows_its_loss() -> None:
    """Expected and realised Brier agree within 0.01 a day; after inversion they do not."""
    rng = np.random.default_rng(1)
    p, ts = rng.uniform(0.1, 0.9, 20_000), np.sort(rng.integers(0, 2 * DAY_S - 60, 20_000))
    y = (rng.random(20_000) < p).astype(np.int64)
    assert np.abs(daily_losses(p, y, ts, horizon_s=60).surprise).max() < 0.01
    assert daily_losses(p, 1 - y, ts, horizon_s=60).surprise.min() > 0.1


def test_a_certain_error_is_finite() -> None:
    """A probability of 0 for what happened costs a finite number of nats."""
    found = daily_losses(np.array([0.0]), np.array([1]), np.array([0]), horizon_s=0)
    assert 20.0 < float(found.log_loss[0]) < 30.0


@pytest.mark.slow
def test_months_without_harm_are_quiet() -> None:
    """Of 200 months at exactly the tolerance at most 5 % alarm; of better months, fewer."""
    rng = np.random.default_rng(2)
    at, better = 0, 0
    for _ in range(200):
        days = 0.24 + 0.01 * rng.normal(size=69)
        watch = LossWatch.start(_days(days[:39]), tolerance=0.01)
        at += watch.update(_days(days[39:] + 0.01, 39)).alarm(0.05)
        better += watch.update(_days(days[39:] - 0.02, 39)).alarm(0.5)
    assert at <= 0.05 * 200
    assert better == 0


def test_harm_beyond_the_tolerance_is_found() -> None:
    """Two daily spreads above the tolerance: at least 90 % of 40 months alarm by either bound."""
    rng = np.random.default_rng(3)
    ends = []
    for _ in range(40):
        days = 0.24 + 0.01 * rng.normal(size=69)
        watch = LossWatch.start(_days(days[:39]), tolerance=0.01)
        ends.append(watch.update(_days(days[39:] + 0.03, 39)))
    assert np.mean([end.alarm(0.05) for end in ends]) >= 0.9
    assert np.mean([end.sr_alarm(365.0) for end in ends]) >= 0.9
    assert min(end.sr for end in ends) > 0.0


def test_a_watch_is_taken_up_again_bit_for_bit() -> None:
    """One day at a time through canonical JSON: the same bytes as all days at once."""
    rng = np.random.default_rng(4)
    reference, later = _days(rng.random(10)), _days(rng.random(12), 15)
    straight = LossWatch.start(reference, tolerance=0.02, loss="log_loss", seed=5)
    resumed = straight
    for place in range(12):
        stored = json.loads(canonical_bytes(resumed.to_json()))
        cut = slice(place, place + 1)
        one = LossDays(*(getattr(later, name)[cut] for name in COLUMNS))
        resumed = LossWatch.from_json(stored).update(one)
    end = straight.update(later)
    assert canonical_bytes(resumed.to_json()) == canonical_bytes(end.to_json())
    assert (end.n_reference, len(end.bag), end.last_day) == (10, 22, 26)


def test_thin_days_are_passed_over_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of half the rows moves nothing; a full bag begins anew from the reference."""
    monkeypatch.setattr("mlwb.drift._realised.MAX_WATCHED", 4)
    watch = LossWatch.start(_days(np.linspace(0.2, 0.3, 39)))
    thin = watch.update(_days(np.array([0.9]), 39, rows=50))
    assert (thin.n_thin, len(thin.bag), thin.e_value) == (1, 39, 1.0)
    full = watch.update(_days(np.full(5, 0.9), 39))
    assert (full.n_restarts, len(full.bag)) == (1, 40)
    assert full.wealth.log_highest > full.wealth.log_e


def test_what_cannot_be_watched_is_refused() -> None:
    """A day twice, a short reference, a negative tolerance, a label of 2, a probability of NaN."""
    watch = LossWatch.start(_days(np.array([0.2, 0.3])))
    with pytest.raises(DataSchemaError, match="has been taken"):
        watch.update(_days(np.array([0.2]), 1))
    with pytest.raises(EmptyWindowError, match="too few"):
        LossWatch.start(_days(np.array([0.2])))
    for tolerance in (-0.1, math.nan, math.inf):
        with pytest.raises(DataSchemaError, match="tolerance"):
            LossWatch.start(_days(np.array([0.2, 0.3])), tolerance=tolerance)
    for p, y in ((0.5, 2), (math.nan, 1), (1.1, 0)):
        with pytest.raises(DataSchemaError, match="probabilities"):
            daily_losses(np.array([p]), np.array([y]), np.array([0]), horizon_s=0)


def test_damaged_states_are_refused() -> None:
    """Losses by day and a watch of them: another schema, a part missing or that does not fit."""
    days = json.loads(canonical_bytes(_days(np.array([0.2, 0.3])).to_json()))
    watch = json.loads(canonical_bytes(LossWatch.start(_days(np.array([0.2, 0.3]))).to_json()))
    for broken in (
        {**days, "schema": "other"},
        {**days, "rows": [0, 1]},
        {**days, "days": [1, 0]},
        {**days, "brier": [0.1]},
        {**days, "brier": [None, 0.1]},
        {key: item for key, item in days.items() if key != "expected"},
    ):
        with pytest.raises(ArtifactError):
            LossDays.from_json(broken)
    for broken in (
        {**watch, "loss": "auc"},
        {**watch, "bag": [0.1]},
        {**watch, "tolerance": -1.0},
        {**watch, "memory": {"share": 0.1}},
        {**watch, "wealth": {"n_bets": -1}},
        {**watch, "wealth": None},
        {key: item for key, item in watch.items() if key != "seed"},
    ):
        with pytest.raises(ArtifactError):
            LossWatch.from_json(broken)


def _market(slope: float, seed: int) -> tuple[Float1D, Int1D, Int1D]:
    """Thirty days whose log odds are ``slope`` times what the model says, moved day by day."""
    rng = np.random.default_rng(seed)
    said = rng.normal(0.0, 0.7, 30 * 288)
    true = slope * said + np.repeat(rng.normal(0.0, 0.15, 30), 288)
    label = (rng.random(len(said)) < 1.0 / (1.0 + np.exp(-true))).astype(np.int64)
    return 1.0 / (1.0 + np.exp(-said)), label, np.arange(len(said)) * 300


def test_intercept_and_slope_are_those_of_a_logistic_regression() -> None:
    """scikit-learn's without penalty on the log odds, to 1e-5."""
    p, y, ts = _market(0.5, 0)
    found = reliability(p, y, ts, rng=np.random.default_rng(0), n_resamples=19)
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(np.log(p / (1 - p))[:, None], y)
    assert found.slope == pytest.approx(peer.coef_[0, 0], abs=1e-5)
    assert found.intercept == pytest.approx(peer.intercept_[0], abs=1e-5)


def test_calibration_error_is_told_from_chance() -> None:
    """Of 60 calibrated months few show more than chance; all do whose slope has halved."""
    rates = []
    for slope in (1.0, 0.5):
        found = [
            reliability(*_market(slope, seed), rng=np.random.default_rng(seed), n_resamples=199)
            for seed in range(60)
        ]
        rates.append(np.mean([each.ece > each.ece_chance for each in found]))
        assert all(low <= each.ece for each in found for low in each.ece_interval[:1])
        assert (
            np.mean([each.gap_interval[0] <= 0.0 <= each.gap_interval[1] for each in found]) > 0.85
        )
    assert rates[0] <= 0.12
    assert rates[1] == 1.0


def test_error_of_bins_is_the_definition() -> None:
    """Two groups, said 0.2 and 0.8, happening 0.4 and 0.8: an error of 0.1, a gap of 0.1."""
    p, y = np.repeat([0.2, 0.8], 10), np.array([1] * 4 + [0] * 6 + [1] * 8 + [0] * 2)
    found = reliability(p, y, np.arange(20), rng=np.random.default_rng(0))
    assert (found.ece, found.gap) == pytest.approx((0.1, 0.1))
    assert (found.n_obs, found.n_days) == (20, 1)
    assert math.isnan(found.ece_chance)
    assert all(math.isnan(end) for end in (*found.gap_interval, *found.ece_interval))


def test_labels_of_one_kind_have_no_slope() -> None:
    """All ones, or told apart without error: NaN; no rows, or no label, is an error."""
    rng, ts = np.random.default_rng(0), np.arange(40)
    p = np.linspace(0.1, 0.9, 40)
    for y in (np.ones(40, dtype=np.int64), (p > 0.5).astype(np.int64)):
        assert math.isnan(reliability(p, y, ts, rng=rng).slope)
    with pytest.raises(EmptyWindowError):
        reliability(p[:0], np.zeros(0, dtype=np.int64), ts[:0], rng=rng)
    with pytest.raises(DataSchemaError):
        reliability(p, np.full(40, 2), ts, rng=rng)
