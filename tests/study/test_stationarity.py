"""Two tests with opposite nulls on series whose nature is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from statsmodels.tsa.stattools import (  # type: ignore[import-untyped]
    adfuller,
    kpss,
    zivot_andrews,
)

from mlwb.core.arrays import Float1D
from mlwb.stats import holm
from mlwb.study import stationarity, stationarity_of_all
from tests.strategies import ar1

RNG = np.random.default_rng
NOISE = RNG(0).normal(size=2_000)


KINDS: dict[str, tuple[Callable[[int], Float1D], str]] = {
    "white noise": (lambda i: RNG(i).normal(size=600), "stationary"),
    "ar1": (lambda i: ar1(600, 0.7, RNG(i)), "stationary"),
    "random walk": (lambda i: RNG(i).normal(size=600).cumsum(), "unit root"),
    "trend": (lambda i: RNG(i).normal(size=600) + 0.01 * np.arange(600), "unit root"),
    "level shift": (lambda i: RNG(i).normal(size=900) + 0.5 * (np.arange(900) > 450), "conflict"),
    "down and up": (
        lambda i: RNG(i).normal(size=120) + np.abs(np.arange(120) - 60) / 4,
        "inconclusive",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_four_way_verdict_fits_the_series(kind: str) -> None:
    """Of twelve series made for each verdict at least eight get it."""
    make, verdict = KINDS[kind]
    found = Counter(stationarity("x", make(i)).verdict for i in range(12))
    assert found[verdict] >= 8


@pytest.mark.parametrize(
    ("series", "verdict"),
    [
        (np.arange(500.0), "deterministic"),
        (np.sin(np.arange(5_000) * 2.0 * math.pi / 1_440.0), "deterministic"),
        (np.ones(500), "constant"),
        (NOISE[:95], "too short"),
        (np.full(500, np.nan), "too short"),
    ],
    ids=["line", "time of day", "flat", "few", "nan"],
)
def test_series_that_cannot_be_tested_say_so(series: Float1D, verdict: str) -> None:
    """No p value is made up for a constant or for what its own past explains wholly."""
    found = stationarity("x", series)
    assert found.verdict == verdict
    assert math.isnan(found.adf_p)
    assert math.isnan(found.kpss_p)


def p_of(result: Any) -> float:
    """A p value, from the result object of newer releases or the tuple of older ones."""
    return float(result.pvalue if hasattr(result, "pvalue") else result[1])


SERIES = {
    "white noise": NOISE[:800],
    "random walk": np.cumsum(NOISE[:800]),
    "ar1": ar1(800, 0.9, RNG(3)),
    "trend": NOISE[:800] + 0.01 * np.arange(800),
    "level break": NOISE[:800] + 3.0 * (np.arange(800) > 400),
}


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES.keys())
@pytest.mark.filterwarnings("ignore")  # statsmodels: clipped p values, a return type to change
def test_p_values_are_statsmodels(series: Float1D) -> None:
    """Both p values equal those of statsmodels with the same lag rules (KPSS where not clipped)."""
    found = stationarity("x", series)
    adf = p_of(adfuller(series, maxlag=24, regression="c", autolag="AIC"))
    assert found.adf_p == pytest.approx(adf, rel=0.05, abs=1e-6)
    clipped = p_of(kpss(series, regression="c", nlags="auto"))
    assert min(max(found.kpss_p, 0.01), 0.1) == pytest.approx(clipped, abs=0.01)


@pytest.mark.filterwarnings("ignore")  # statsmodels: a return type to change
def test_break_test_is_statsmodels() -> None:
    """The Zivot-Andrews p value of statsmodels with the same lags, on a walk and on noise."""
    for series in (np.cumsum(NOISE[:300]), NOISE[:300]):
        other = zivot_andrews(series, maxlag=8, regression="c", autolag="AIC")
        assert stationarity("x", series).break_p == pytest.approx(p_of(other), abs=0.02)


def test_level_break_fools_adf_and_not_the_break_test() -> None:
    """ADF takes a step for a unit root; Zivot-Andrews sees through, and the date is right."""
    found = stationarity("x", SERIES["level break"])
    assert found.adf_p > 0.05
    assert found.break_p < 0.001
    assert found.has_break
    assert found.break_share == pytest.approx(401 / 800, abs=0.005)
    assert not stationarity("x", SERIES["random walk"]).has_break
    assert not stationarity("x", SERIES["white noise"]).has_break


def test_variance_ratio_tells_a_walk_from_noise() -> None:
    """Near 1 for a random walk, near 1/60 for independent values; Phillips-Perron agrees."""
    walk = stationarity("x", np.cumsum(RNG(8).normal(size=8_000)))
    noise = stationarity("x", RNG(8).normal(size=8_000))
    assert walk.variance_ratio == pytest.approx(1.0, abs=0.3)
    assert walk.variance_ratio_p > 0.05 < walk.pp_p
    assert noise.variance_ratio == pytest.approx(1 / 60, rel=0.1)
    assert noise.variance_ratio_p < 0.001 > noise.pp_p


def test_verdicts_of_a_family_read_holm() -> None:
    """The adjusted p values are Holm's over the features that can be tested, and no others.

    A feature that is stationary on its own loses the word among many that are not.
    """
    walks = [(f"walk {i}", RNG(i).normal(size=300).cumsum()) for i in range(20, 32)]
    near = next(
        (f"ar {i}", series)
        for i in range(100)
        for series in [ar1(300, 0.97, RNG(i))]
        if 0.01 < stationarity("x", series).adf_p < 0.04
    )
    named = [near, ("bias", np.ones(300)), *walks]
    found = stationarity_of_all(named)
    told = [item for item in found if item.verdict != "constant"]
    assert [item.name for item in found] == [name for name, _ in named]
    expected = holm(np.asarray([item.adf_p for item in told]))
    np.testing.assert_array_equal([item.adf_p_holm for item in told], expected)
    assert math.isnan(found[1].adf_p_holm)
    alone = stationarity(*near)
    assert alone.adf_p_holm == alone.adf_p < 0.05
    assert found[0].adf_p == alone.adf_p
    assert found[0].adf_p_holm > 0.05
    assert found[0].verdict in ("unit root", "inconclusive")


def test_a_clock_with_holes_is_still_a_clock() -> None:
    """The time of day with nights cut out passes the tests; declared a clock it is not tested."""
    minutes = np.arange(20_000)
    open_hours = minutes % 1_440 < 1_300
    series = np.sin(minutes * 2.0 * math.pi / 1_440.0)[open_hours]
    assert stationarity("x", series).verdict != "deterministic"
    (found,) = stationarity_of_all([("x", series)], clocks=("x",))
    assert found.verdict == "deterministic"
    assert math.isnan(found.adf_p_holm)


def test_missing_values_are_left_out() -> None:
    """NaN changes nothing but is not counted."""
    holey = np.insert(NOISE, [5, 900, 1_999], np.nan)
    assert stationarity("x", holey) == stationarity("x", NOISE)
    assert stationarity("x", NOISE).n_obs == 2_000


def test_only_the_break_test_looks_beyond_the_last_week() -> None:
    """Rows before the last 10,080 do not count for the verdict; a break among them is found."""
    long = RNG(5).normal(size=21_000)
    other = long.copy()
    other[:9_000] += 5.0
    one, two = stationarity("x", long), stationarity("x", other)
    same = replace(two, break_p=one.break_p, break_share=one.break_share)
    assert same == one
    assert one.n_obs == 10_080
    assert two.break_share == pytest.approx(9_000 / 21_000, abs=0.01)
