"""The planner: published sample sizes, agreement with the rules it plans for, and simulation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlwb.core.errors import EmptyWindowError, ParamsError
from mlwb.drift import FeatureReference, count_blocks, fit_feature_reference
from mlwb.drift.calibration import bounds, calibrate, reading
from mlwb.drift.planning import _chance, plan, rows_needed
from tests.strategies import ar1

DAY_S, STEP_S = 86_400, 600
ROWS = DAY_S // STEP_S


@cache
def frozen(phi: float, n_days: int = 40) -> FeatureReference:
    """Reference of an AR(1), whole days from the epoch on."""
    values = ar1(n_days * ROWS, phi, np.random.default_rng(0))
    ts = np.arange(len(values), dtype=np.int64) * STEP_S
    return fit_feature_reference("x", values, ts)


@pytest.mark.parametrize(
    ("level", "power", "noncentrality"),
    [
        (0.05, 0.80, 15.65),
        (0.05, 0.95, 23.59),
        (0.01, 0.80, 21.43),
        (0.01, 0.95, 30.30),
        (0.001, 0.80, 28.80),
        (0.001, 0.95, 38.74),
    ],
)
def test_rows_needed_are_the_published_ones(
    level: float, power: float, noncentrality: float
) -> None:
    """Ten cells: lambda / PSI rows, to the two decimals of the table."""
    rows = rows_needed(0.1, n_cells=10, level=level, power=power)
    assert rows * 0.1 == pytest.approx(noncentrality, abs=0.005)
    assert rows_needed(0.2, n_cells=10, level=level, power=power) == pytest.approx(rows / 2)


def test_rows_needed_find_the_change_as_often_as_promised() -> None:
    """Multinomial counts of so many rows, a change in two cells: power 0.8 within 0.04."""
    rng = np.random.default_rng(0)
    p = np.full(10, 0.1)
    q = p + np.array([0.03, -0.03, 0, 0, 0, 0, 0, 0, 0, 0])
    truth = float(((q - p) * np.log(q / p)).sum())
    n = round(2 * rows_needed(truth, n_cells=10))
    first, second = (rng.multinomial(n, share, size=4_000) + 0.5 for share in (p, q))
    first, second = (side / side.sum(axis=1, keepdims=True) for side in (first, second))
    found = ((second - first) * np.log(second / first)).sum(axis=1)
    assert np.mean(found > stats.chi2.isf(0.05, 9) * 2 / n) == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize("phi", [0.0, 0.8])
@pytest.mark.parametrize("days", [1, 7, 14])
def test_provable_is_where_the_upper_bound_meets_the_limit(phi: float, days: int) -> None:
    """A value just below it is shown to be below the limit, one just above is not."""
    found = plan(frozen(phi), days=days, limit=0.3)
    chance = _chance("x", frozen(phi).blocks.daily, days)
    null, error = chance.null, chance.along**0.5
    assert 0.0 < found.provable < 0.3
    assert bounds(0.999 * found.provable, null, root_error=error).upper < 0.3
    assert bounds(1.001 * found.provable, null, root_error=error).upper > 0.3


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_detectable_is_found_with_the_power_asked_for(power: float) -> None:
    """Drawn directions, the planned one off by it and the others by chance, alarm so often."""
    found = plan(frozen(0.8), days=2, limit=0.3, power=power)
    chance = _chance("x", frozen(0.8).blocks.daily, 2)
    null, own = chance.null, chance.along
    rest = null.mean - own
    degrees = rest**2 / (null.mean * null.scale - own**2)
    assert 0.0 < own < null.mean
    rng = np.random.default_rng(1)
    along = (found.detectable**0.5 + own**0.5 * rng.normal(size=20_000)) ** 2
    values = along + rest / degrees * rng.chisquare(degrees, 20_000)
    assert np.mean(values >= null.quantile(0.95)) == pytest.approx(power, abs=0.01)


def test_what_a_plan_says_is_what_readings_show() -> None:
    """Independent rows, no change: 60 windows pass as often as planned, within 0.15."""
    rng = np.random.default_rng(2)
    reference = frozen(0.0)
    found = plan(reference, days=1, limit=0.15)
    passed = []
    for day in range(41, 101):
        ts = np.arange(day * ROWS, (day + 1) * ROWS, dtype=np.int64) * STEP_S
        current = count_blocks(reference.bins.edges, rng.normal(size=ROWS), ts)
        passed.append(reading(calibrate(reference, current), 0.15) == "pass")
    assert found.passes == pytest.approx(np.mean(passed), abs=0.15)


def test_longer_windows_show_more() -> None:
    """More days: smaller changes are found, larger values still prove, nothing is found less."""
    plans = [plan(frozen(0.9), days=days, limit=0.3) for days in (1, 2, 4, 7, 14)]
    assert (np.diff([item.detectable for item in plans]) < 0.0).all()
    assert (np.diff([item.provable for item in plans]) > 0.0).all()
    assert (np.diff([item.passes for item in plans]) >= 0.0).all()
    assert len({item.days_to_prove for item in plans}) == 1


def test_days_to_prove_and_detect_are_the_first_that_do() -> None:
    """The window named reaches the power, and none tried before it does."""
    found = plan(frozen(0.9), days=1, limit=0.3)
    assert found.days_to_prove is not None
    assert found.days_to_detect is not None
    for days in range(1, 8):
        at = plan(frozen(0.9), days=days, limit=0.3)
        if days in {found.days_to_prove, found.days_to_detect}:
            assert at.passes >= 0.8 or days != found.days_to_prove
            assert at.detects >= 0.8 or days != found.days_to_detect
        if days < min(found.days_to_prove, found.days_to_detect):
            assert max(at.passes, at.detects) < 0.8


def test_a_walk_can_prove_nothing() -> None:
    """Chance alone is beyond the limit in every window: no probability, no days, no value."""
    found = plan(frozen(0.9999), days=7, limit=0.3)
    assert (found.provable, found.passes, found.days_to_prove) == (0.0, 0.0, None)


def test_a_constant_proves_itself() -> None:
    """Nothing moves: any change is found, and none is the rule."""
    values, ts = np.ones(20 * ROWS), np.arange(20 * ROWS, dtype=np.int64) * STEP_S
    found = plan(fit_feature_reference("x", values, ts), days=1, limit=0.3)
    known = (found.detectable, found.provable, found.passes, found.detects)
    assert known == pytest.approx((0.0, 0.3, 1.0, 1.0))


def test_too_short_a_reference_cannot_plan() -> None:
    """Half of the reference is the longest window it can speak of."""
    with pytest.raises(EmptyWindowError, match="too short"):
        plan(frozen(0.0), days=21, limit=0.3)


@pytest.mark.parametrize(
    "wrong",
    [{"days": 0}, {"limit": -1.0}, {"limit": np.nan}, {"power": 0.04}, {"level": 0.5}],
    ids=str,
)
def test_numbers_out_of_range_are_not_planned_for(wrong: dict[str, Any]) -> None:
    """A sentence and no error of arithmetic."""
    with pytest.raises(ParamsError, match="cannot be planned for"):
        plan(frozen(0.0), **{"days": 7, "limit": 0.3, **wrong})
