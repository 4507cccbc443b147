"""Phases: how many requests, and which of them are shadowed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.canary import plan
from mlwb.core.errors import ParamsError


@given(st.sets(st.integers(1, 100), min_size=1, max_size=6), st.integers(1, 500))
def test_every_phase_shadows_what_was_asked(percents: set[int], observed: int) -> None:
    """Exactly the wanted number of shadowed requests, in no more requests than that needs."""
    for percent, phase in zip(
        sorted(percents), plan(sorted(map(float, percents)), observed=observed), strict=True
    ):
        told = [phase.shadows(i) for i in range(phase.n_requests)]
        assert sum(told) == observed
        assert phase.n_requests == math.ceil(observed * 100 / percent)
        assert told[-1]


@given(st.integers(1, 1_000), st.integers(1, 300))
def test_tenths_of_a_percent_work_too(tenths: int, observed: int) -> None:
    """Shares such as 0.3 % or 28.7 % reach the wanted number exactly."""
    phase = plan([tenths / 10.0], observed=observed)[0]
    assert sum(phase.shadows(i) for i in range(phase.n_requests)) == observed


@given(st.integers(1, 100))
def test_shadowed_requests_are_spread_evenly(percent: int) -> None:
    """Among any first n requests the shadowed ones are floor(n share): no bursts, no drift."""
    phase = plan([float(percent)], observed=60)[0]
    seen = 0
    for index in range(phase.n_requests):
        seen += phase.shadows(index)
        assert seen == (index + 1) * percent // 100


def test_plan_of_the_requirements() -> None:
    """5, 10, 25, 50 and 100 percent, each with 400 observed."""
    found = plan([5.0, 10.0, 25.0, 50.0, 100.0], observed=400)
    assert [phase.name for phase in found] == ["5%", "10%", "25%", "50%", "100%"]
    assert [phase.n_requests for phase in found] == [8_000, 4_000, 1_600, 800, 400]
    assert [phase.share for phase in found] == [0.05, 0.1, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    "percents",
    [[], [0.0], [-5.0], [5.0, 5.0], [10.0, 5.0], [50.0, 100.5], [math.nan], [5.0, math.inf]],
    ids=str,
)
def test_phases_that_do_not_rise_are_refused(percents: list[float]) -> None:
    """Empty, zero, negative, repeated, falling, above 100 and not a number."""
    with pytest.raises(ParamsError, match="phases must rise"):
        plan(percents, observed=10)
