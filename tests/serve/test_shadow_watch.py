"""Rolling numbers of the shadow: the newest rows of one pair of versions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mlwb.core.clock import ManualClock
from mlwb.core.predictionlog import ShadowOutcome
from mlwb.serve import ServeSettings, create_app
from mlwb.serve._shadow_watch import ShadowReport, ShadowWatch
from tests.inference.version_kit import logistic, point, write_version
from tests.serve.asgi_kit import call

PAIR = ("v1", "v2")
PATH = "/ml/predict-with-shadow"
WEIGHTS, OTHER = (0.1, 1.5, -0.4, 0.8), (0.2, 1.5, -0.4, 0.9)


def _watch(window: int = 1000, clock: ManualClock | None = None) -> ShadowWatch:
    settings = ServeSettings(Path("models"), shadow_window=window, shadow_error_limit=1.0)
    watch = ShadowWatch(settings, clock or ManualClock())
    watch.follow(*PAIR, 0.01)
    return watch


def _tell(
    watch: ShadowWatch, score: float, other: float | None, pair: tuple[str, str] = PAIR
) -> None:
    outcome = ShadowOutcome("v2", other, None if other is None else other - score, latency_ms=0.02)
    watch.record(pair, [score], [outcome])


def _report(watch: ShadowWatch) -> ShadowReport:
    return watch.report(dropped=0, skipped=0)


_SCORES = st.integers(0, 6).map(lambda tenth: tenth / 10)
_ROWS = st.lists(st.tuples(_SCORES, st.none() | _SCORES), min_size=1, max_size=60)


@given(_ROWS, st.integers(10, 30))
def test_the_newest_rows_by_numpy_and_scipy(
    rows: list[tuple[float, float | None]], window: int
) -> None:
    """Counts, quantiles and rank correlation with ties, of the window alone."""
    watch = _watch(window)
    for score, other in rows:
        _tell(watch, score, other)
    found, newest = _report(watch), rows[-window:]
    pairs = np.array([pair for pair in newest if pair[1] is not None]).reshape(-1, 2)
    delta = np.abs(pairs[:, 1] - pairs[:, 0])
    assert (found.rows, found.errors) == (len(newest), len(newest) - len(pairs))
    assert found.error_share == pytest.approx(found.errors / len(newest))
    assert found.matched == int((delta <= 0.05).sum())
    if len(pairs):
        assert found.median_abs_delta == pytest.approx(np.median(delta))
        assert found.max_abs_delta == delta.max()
    if len(pairs) > 1 and np.ptp(pairs[:, 0]) > 0 and np.ptp(pairs[:, 1]) > 0:
        expected = spearmanr(pairs[:, 0], pairs[:, 1]).statistic
        assert found.rank_corr == pytest.approx(expected, abs=1e-12)
        assert watch.readings["ml_shadow_rank_corr"] == found.rank_corr
    else:
        assert found.rank_corr is None


def test_numbers_are_computed_at_most_once_a_second() -> None:
    """Within the second the same numbers come again, all of one moment."""
    clock = ManualClock()
    watch = _watch(clock=clock)
    _tell(watch, 0.5, 0.5)
    assert _report(watch).rows == 1
    _tell(watch, 0.5, None)
    clock.advance(0.9)
    assert (_report(watch).rows, _report(watch).errors) == (1, 0)
    clock.advance(0.1)
    assert (_report(watch).rows, _report(watch).errors) == (2, 1)


def test_another_pair_begins_anew() -> None:
    """Rows, breaker and cost are the new pair's at once; late rows of the old one are left out."""
    watch = _watch()
    for _ in range(5):
        _tell(watch, 0.5, 0.5)
    assert _report(watch).rows == 5
    watch.follow("v1", "v3", 7.0)
    _tell(watch, 0.1, 0.9)
    found = _report(watch)
    assert (found.candidate, found.rows, found.breaker.requests) == ("v3", 0, 0)
    assert watch.cost_ms == 7.0
    watch.follow("v1", "v3", 0.1)
    assert watch.cost_ms == 7.0


def test_the_cost_follows_the_candidate() -> None:
    """One slow call moves it a little and is forgotten; calls that stay slow take it along."""
    watch = _watch()
    watch.took(20.0)
    assert 1.0 < watch.cost_ms < 3.0
    for _ in range(60):
        watch.took(20.0)
    assert watch.cost_ms == pytest.approx(20.0, rel=0.01)
    for _ in range(60):
        watch.took(0.01)
    assert watch.cost_ms < 0.1


def test_over_the_route(models: Path) -> None:
    """What `/ml/monitoring/shadow` and the gauges say is scipy's of the scores served."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "candidate", "v2.0.0")
    app = create_app(ServeSettings(models), clock=ManualClock())
    rng = np.random.default_rng(3)
    rows = np.column_stack(
        [np.ones(80), rng.uniform(-0.5, 0.5, 80), rng.uniform(0, 9, (80, 2)) - 1]
    )
    rows[:, 2:] = np.clip(rows[:, 2:], [0.0, -2.0], [50.0, 2.0])
    for row in rows:
        assert call(app, PATH, json.dumps({"features": row.tolist()}).encode()).status == 200
    first, second = logistic(rows, WEIGHTS), logistic(rows, OTHER)
    found = call(app, "/ml/monitoring/shadow").json()
    assert (found["champion"], found["candidate"]) == ("v1.0.0", "v2.0.0")
    assert (found["rows"], found["errors"], found["window"]) == (80, 0, 1000)
    assert found["matched"] == int((np.abs(second - first) <= 0.05).sum())
    assert found["mean_abs_delta"] == pytest.approx(np.abs(second - first).mean())
    assert found["rank_corr"] == pytest.approx(spearmanr(first, second).statistic)
    text = call(app, "/ml/metrics").body.decode()
    assert f"\nml_shadow_rank_corr {found['rank_corr']!r}\n" in text
    assert f"\nml_shadow_match_rate {found['match_rate']!r}\n" in text


def test_before_the_first_row(models: Path) -> None:
    """Nothing is known and nothing is invented."""
    app = create_app(ServeSettings(models))
    found = call(app, "/ml/monitoring/shadow").json()
    unknown = ("champion", "candidate", "match_rate", "error_share", "rank_corr", "max_abs_delta")
    assert [found[name] for name in unknown] == [None] * 6
    assert (found["rows"], found["breaker"]["state"]) == (0, "closed")
    assert b"\nml_shadow_rank_corr NaN\n" in call(app, "/ml/metrics").body
