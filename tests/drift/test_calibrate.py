"""A calibrated window: parts that agree, the mean like its parts, readings by rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import FeatureReference, PsiResult, count_blocks, fit_feature_reference
from mlwb.drift.calibration import (
    BlockNull,
    Calibrated,
    Reading,
    bounds,
    calibrate,
    gateable_days,
    is_gateable,
    overall,
    reading,
    window_nulls,
)
from tests.strategies import ar1

DAY_S, STEP_S = 86_400, 300
ROWS = DAY_S // STEP_S
ORDER: tuple[Reading, ...] = ("pass", "insufficient", "fail")


def stamps(n_days: int, first: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Five-minute stamps of whole days."""
    return np.arange(first * ROWS, (first + n_days) * ROWS, dtype=np.int64) * STEP_S


def frozen(values: Float1D, name: str = "x", *, n_bins: int = 10) -> FeatureReference:
    """Reference of whole days from the epoch on."""
    ts = stamps(len(values) // ROWS)
    return fit_feature_reference(name, values, ts, n_bins=n_bins)


def held(value: float, scores: Float1D) -> Calibrated:
    """A value against a null that is given."""
    psi = PsiResult("x", value, value, np.array([value]), 0.01, 10_000, 1_000)
    null = BlockNull(scores, 1, 40)
    return Calibrated(psi, null, bounds(value, null), np.zeros(40))


def test_parts_of_a_calibrated_window_agree() -> None:
    """The plain statistic, its excess over chance, p value, design effect and rows it is worth."""
    path = ar1(47 * ROWS, 0.95, np.random.default_rng(0))
    reference = frozen(path[: 40 * ROWS])
    current = count_blocks(reference.bins.edges, path[40 * ROWS :], stamps(7, 40))
    found = calibrate(reference, current)
    assert found.null is not None
    assert found.bounds is not None
    chance = float(found.null.scores.mean())
    assert found.name == "x"
    assert found.null.window_blocks == 7
    assert found.corrected == pytest.approx(found.psi.value - chance)
    assert found.p_value == found.null.p_value(found.psi.value)
    assert found.design_effect == pytest.approx(chance / found.psi.noise_floor)
    assert found.n_eff == pytest.approx(7 * ROWS / (chance / found.psi.noise_floor))
    assert found.bounds.lower <= found.psi.value <= found.bounds.upper


def test_time_of_day_is_not_drift_in_a_window_of_six_hours() -> None:
    """A daily profile as large as the noise: a quarter of a day beside its own hours is quiet."""
    rng = np.random.default_rng(1)
    profile = 2.0 * np.sin(2.0 * np.pi * np.arange(ROWS) / ROWS)
    path = np.tile(profile, 41) + rng.normal(size=41 * ROWS)
    reference = frozen(path[: 40 * ROWS])
    quarter = slice(40 * ROWS, 40 * ROWS + ROWS // 4)
    current = count_blocks(reference.bins.edges, path[quarter], stamps(1, 40)[: ROWS // 4])
    found = calibrate(reference, current)
    everything = np.abs(found.psi.n_ref - reference.bins.n_obs / 4)
    assert everything == 0.0
    assert found.psi.value < 0.4
    assert found.p_value is not None
    assert found.p_value > 0.05


def test_short_reference_gives_the_statistic_and_no_more() -> None:
    """Four days know nothing of their own spread: no null, no bounds, no p value, no worth."""
    path = np.random.default_rng(2).normal(size=5 * ROWS)
    reference = frozen(path[: 4 * ROWS])
    current = count_blocks(reference.bins.edges, path[4 * ROWS :], stamps(1, 4))
    found = calibrate(reference, current)
    assert (found.null, found.bounds, found.p_value) == (None, None, None)
    assert (found.n_eff, found.design_effect) == (None, None)
    assert found.corrected == pytest.approx(found.psi.value - found.psi.noise_floor)
    assert reading(found, 10.0) == "not_gateable"
    assert overall([found]).null is None


def test_constant_has_no_rows_to_be_worth() -> None:
    """All rows in one cell: PSI 0, a null without spread, and no design effect."""
    reference = frozen(np.ones(30 * ROWS))
    current = count_blocks(reference.bins.edges, np.ones(ROWS), stamps(1, 30))
    found = calibrate(reference, current)
    assert (found.psi.value, found.design_effect, found.n_eff) == (0.0, None, None)
    assert window_nulls("x", reference.blocks.daily)[0].limit95 == 0.0


def test_mean_of_one_feature_is_that_feature() -> None:
    """Averaging a feature with itself changes neither value, null nor bounds."""
    path = ar1(42 * ROWS, 0.9, np.random.default_rng(3))
    reference = frozen(path[: 40 * ROWS])
    current = count_blocks(reference.bins.edges, path[40 * ROWS :], stamps(2, 40))
    one = calibrate(reference, current)
    both = overall([one, one])
    assert both.name == "overall"
    assert both.psi.value == pytest.approx(one.psi.value)
    assert both.psi.per_bin.sum() == pytest.approx(one.psi.value)
    assert both.p_value == pytest.approx(one.p_value)
    assert both.design_effect == pytest.approx(one.design_effect)
    assert both.bounds is not None
    assert one.bounds is not None
    assert both.bounds.upper == pytest.approx(one.bounds.upper)


def test_mean_of_nothing_is_an_error() -> None:
    """No feature, no mean."""
    with pytest.raises(EmptyWindowError):
        overall([])


def test_shortest_gateable_window_is_the_sweeps() -> None:
    """Noise can be judged in a day, memory needs longer, a walk never gets there."""
    rng = np.random.default_rng(4)
    noise, slow = rng.normal(size=40 * ROWS), ar1(40 * ROWS, 0.97, rng)
    assert gateable_days(frozen(noise), 0.3) == 1
    days = gateable_days(frozen(slow), 0.3)
    assert days is not None
    assert days > 1
    sweep = {item.days: item.limit95 for item in window_nulls("x", frozen(slow).blocks.daily)}
    assert all((limit < 0.3) for width, limit in sweep.items() if width >= days)
    assert gateable_days(frozen(rng.normal(size=40 * ROWS).cumsum()), 0.3) is None
    assert gateable_days(frozen(noise[: 3 * ROWS]), 0.3) is None


SCORES = np.random.default_rng(5).chisquare(6, 40) * 0.01


@pytest.mark.parametrize(
    ("value", "limit", "p_adjusted", "expected"),
    [
        (0.02, 0.3, None, "pass"),
        (0.25, 0.3, None, "insufficient"),
        (0.9, 0.3, None, "fail"),
        (0.37, 0.3, 0.04, "fail"),
        (0.37, 0.3, 0.06, "insufficient"),
        (0.02, 0.05, None, "not_gateable"),
        (0.15, 0.05, None, "not_gateable"),
        (0.9, 0.05, None, "fail"),
        (0.9, 0.05, 0.002, "not_gateable"),
    ],
)
def test_reading_is_the_rule(
    value: float, limit: float, p_adjusted: float | None, expected: Reading
) -> None:
    """Null95 about 0.11: below, around and above a limit, with and without a family's p value."""
    assert reading(held(value, SCORES), limit, p_adjusted=p_adjusted) == expected


@given(
    values=st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 20.0)),
    limit=st.floats(0.01, 5.0),
    p_adjusted=st.none() | st.floats(0.0, 1.0),
)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_reading_never_gets_better_as_psi_grows(
    scale: float, values: tuple[float, float], limit: float, p_adjusted: float | None
) -> None:
    """One of four words; what can pass is the null's alone; a larger PSI does no better."""
    low, high = (
        reading(held(v, SCORES * scale), limit, p_adjusted=p_adjusted) for v in sorted(values)
    )
    order = ORDER if is_gateable(held(0.0, SCORES * scale), limit) else ["not_gateable", "fail"]
    assert order.index(low) <= order.index(high)


@given(
    value=st.floats(0.0, 20.0),
    limits=st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 5.0)).map(sorted),
)
def test_reading_never_gets_worse_as_the_limit_grows(value: float, limits: list[float]) -> None:
    """A gate that allows more lets pass whatever a stricter one did."""
    strict, loose = (reading(held(value, SCORES), limit) for limit in limits)
    assert ORDER.index(loose) <= ORDER.index(strict)


@pytest.mark.parametrize("shift", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("is_clipped", [False, True])
def test_a_large_change_is_bounded_though_it_empties_cells(
    shift: float, *, is_clipped: bool
) -> None:
    """Cells that a change has emptied leave PSI known: lower and upper bound stay near it."""
    path = np.random.default_rng(0).standard_normal(47 * ROWS)
    low, high = np.quantile(path[: 40 * ROWS], [0.005, 0.995])
    moved = path + shift * (np.arange(len(path)) >= 40 * ROWS)
    values = np.clip(moved, low, high) if is_clipped else moved
    reference = frozen(values[: 40 * ROWS])
    current = count_blocks(reference.bins.edges, values[40 * ROWS :], stamps(7, 40))
    found = calibrate(reference, current)
    assert found.bounds is not None
    assert found.psi.value > 2.0
    assert 0.75 * found.psi.value < found.bounds.lower
    assert found.bounds.upper < 1.3 * found.psi.value
    assert reading(found, 0.3) == "fail"
