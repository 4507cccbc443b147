"""Shown, refuted, unproven: never a verdict that the record cannot carry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwb.core.errors import ParamsError
from mlwb.stats import SharpeRatio, min_track_record, psr, sharpe_ratio, track_record

YEAR = math.sqrt(365.0)


def normal(annual: float, n_days: int) -> SharpeRatio:
    """A daily ratio of normal returns."""
    return SharpeRatio(annual / YEAR, n_days, 0.0, 3.0)


@pytest.mark.parametrize("annual", [-6.0, -1.5, 0.0, 1.5, 3.0, 6.0])
def test_a_fortnight_proves_nothing(annual: float) -> None:
    """Fourteen days of any ratio that people have: unproven, with an error of 5 a year."""
    found = normal(annual, 14)
    assert found.error * YEAR == pytest.approx(5.4, abs=0.2)
    assert track_record(found).standing == "unproven"
    assert track_record(found, above=1.0 / YEAR).standing == "unproven"


def test_real_fortnights_are_unproven_too() -> None:
    """Of 400 simulated fortnights of a true 1.5 a year, at least 85 % say that they cannot know."""
    rng = np.random.default_rng(0)
    days = rng.normal(1.5 / YEAR, 1.0, (400, 14)) * 0.01
    standings = [track_record(sharpe_ratio(row)).standing for row in days]
    assert standings.count("unproven") >= 340


def test_the_length_named_decides() -> None:
    """One period before ``n_needed`` is unproven, at it the answer is there, either way."""
    for annual, limit, said in ((1.5, 0.0, "shown"), (2.0, 1.0, "shown"), (0.5, 1.0, "refuted")):
        needed = track_record(normal(annual, 14), above=limit / YEAR).n_needed
        at, before = math.ceil(needed), math.floor(needed)
        assert track_record(normal(annual, at), above=limit / YEAR).standing == said
        assert track_record(normal(annual, before), above=limit / YEAR).standing == "unproven"
    assert track_record(normal(1.5, 14)).n_needed == pytest.approx(
        min_track_record(1.5 / YEAR, skew=0.0, kurtosis=3.0)
    )


@pytest.mark.slow
def test_either_answer_is_as_often_wrong_as_its_level_says() -> None:
    """At the limit itself, 3,000 years of days: shown 5 %, refuted 5 %, the rest unproven."""
    days = np.random.default_rng(1).normal(1.0 / YEAR, 1.0, (3_000, 365))
    standings = [track_record(sharpe_ratio(row), above=1.0 / YEAR).standing for row in days]
    assert standings.count("shown") / 3_000 == pytest.approx(0.05, abs=0.015)
    assert standings.count("refuted") / 3_000 == pytest.approx(0.05, abs=0.015)


def test_bounds_and_probability_belong_together() -> None:
    """The lower bound is at the limit exactly where the ratio begins to be shown."""
    found = SharpeRatio(0.1, 200, -0.5, 6.0)
    record = track_record(found, above=0.02)
    assert record.probability == psr(0.1, 200, skew=-0.5, kurtosis=6.0, benchmark=0.02)
    at_low = track_record(found, above=record.low)
    assert at_low.probability == pytest.approx(0.95)
    assert track_record(found, above=record.high).probability == pytest.approx(0.05)


def test_words_say_which_and_how_long() -> None:
    """Shown and refuted name the record, unproven what it would take."""
    assert track_record(normal(3.0, 900)).reason("days") == "shown by 900 days"
    assert track_record(normal(-3.0, 900)).reason("days") == "refuted by 900 days"
    assert "442 would decide" in track_record(normal(1.5, 14)).reason("days")
    assert "is the limit itself" in track_record(normal(0.0, 14)).reason()


def test_no_confidence_is_refused() -> None:
    """A level of one half decides nothing."""
    with pytest.raises(ParamsError, match="no such confidence"):
        track_record(normal(1.0, 10), level=0.5)
