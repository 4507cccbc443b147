"""How numbers are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.report._numbers import (
    NOT_MEASURED,
    bounded,
    count_of,
    duration,
    interval,
    moment,
    number,
    signed,
    significant,
)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.6614, "1", "0.661"),
        (1234.5, "1", "1,234.500"),
        (-0.0123, "1", "−0.012"),
        (2.2e-16, "1", "2.2e−16"),
        (math.inf, "1", "∞"),
        (0.973, "%", "97.3\u00a0%"),
        (1.0, "%", "100.0\u00a0%"),
        (0.0, "%", "0.0\u00a0%"),
        (0.04999, "p", "0.050"),
        (1.7149, "ms", "1.71\u00a0ms"),
        (129_600, "rows", "129,600\u00a0rows"),
        (3, "count", "3"),
    ],
)
def test_number(value: float, unit: str, said: str) -> None:
    """Decimals follow the unit, thousands stand apart, the minus is a minus."""
    assert number(value, unit) == said


@pytest.mark.parametrize("value", [None, math.nan])
def test_missing_number(value: float | None) -> None:
    """What was not measured says so."""
    assert number(value, "ms") == number(value) == significant(value) == NOT_MEASURED


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.9999, "%", "> 99.9\u00a0%"),
        (0.0001, "%", "< 0.1\u00a0%"),
        (0.0, "p", "< 0.001"),
        (0.0002, "nats", "< 0.001"),
    ],
)
def test_nothing_is_rounded_to_a_certainty(value: float, unit: str, said: str) -> None:
    """9,999 of 10,000 is not 100 %, one of 10,000 is not 0 %, and no p value is 0."""
    assert number(value, unit) == said


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_no_negative_zero(value: float) -> None:
    """Nothing is ever written as minus zero."""
    assert not number(value, decimals=2).startswith("−0.00")
    assert significant(value) not in ("−0", "-0")


def test_fixed_decimals_stay_fixed() -> None:
    """Asked for digits, a tiny number gives them, not an exponent."""
    assert number(4e-05, decimals=4) == "0.0000"
    assert signed(4e-05, decimals=4) == "+0.0000"
    assert signed(-0.02) == "−0.020"
    assert signed(None) == NOT_MEASURED


def test_interval() -> None:
    """The unit is said once; a missing bound leaves no half interval."""
    assert interval(0.98, 0.99, "%") == "98.0 to 99.0\u00a0%"
    assert interval(0.0, 0.00048, "%", decimals=2) == "0.00 to 0.05\u00a0%"
    assert interval(math.nan, 0.3) == NOT_MEASURED


def test_limits_keep_the_digits_of_the_policy() -> None:
    """A limit is shown as it is written, shares in percent."""
    assert bounded("<=", "0.00001") == "≤ 0.00001"
    assert bounded(">=", "1000", "requests") == "≥ 1,000\u00a0requests"
    assert bounded("<", "0.005", "%") == "< 0.5\u00a0%"
    assert bounded("==", "1", "%") == "= 100\u00a0%"


def test_counts_spans_and_moments() -> None:
    """Nothing of nothing is no share; spans choose their unit; moments are UTC."""
    assert count_of(0, 0) == "0 of 0"
    assert duration(0.4) == "0.4 s"
    assert duration(36.0918) == "36.1 s"
    assert duration(90) == "1.5 min"
    assert moment(0) == "1970-01-01"


def test_significant() -> None:
    """Three digits, whatever the size."""
    assert [significant(v) for v in (0.0, 12.345, 0.00012345, 1e-12)] == [
        "0", "12.3", "0.000123", "1.0e−12",
    ]  # fmt: skip
