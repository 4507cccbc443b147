"""Rules know only what came before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.backtest import (
    ExposureTimer,
    VolatilityTiming,
    barrier_targets,
    sign_targets,
    timed_exposure,
)
from mlwb.core.arrays import Float1D
from mlwb.core.errors import ParamsError

SCORES = st.lists(st.floats(0.0, 1.0) | st.just(np.nan), min_size=1, max_size=80)
RULE = VolatilityTiming(5.0, enter=0.55, leave=0.45, calm=1.0, wild=0.5)


def test_sign_is_flat_without_a_score_and_at_one_half() -> None:
    """Long, short, flat, flat, in the size asked for."""
    found = sign_targets(np.array([0.9, 0.1, 0.5, np.nan]), size=0.3)
    assert found.tolist() == [0.3, -0.3, 0.0, 0.0]


@given(SCORES)
def test_exposure_is_a_smoothed_score_between_two_levels(scores: list[float]) -> None:
    """The rule written out: smooth, fall at `enter`, come back at `leave`, hold without a score."""
    keep, level, wild, wanted = 0.5 ** (1 / 5.0), None, False, []
    for p in scores:
        if p == p:  # noqa: PLR0124 - not NaN
            level = p if level is None else level + (1 - keep) * (p - level)
            if level >= RULE.enter:
                wild = True
            elif level <= RULE.leave:
                wild = False
        wanted.append(RULE.wild if wild else RULE.calm)
    assert timed_exposure(np.array(scores), RULE).tolist() == wanted


@given(SCORES, st.integers(0, 80))
def test_exposure_online_needs_no_future(scores: list[float], cut: int) -> None:
    """The exposure of a bar is the same whatever follows, and the same step by step."""
    whole = timed_exposure(np.array(scores), RULE)
    part = timed_exposure(np.array(scores[:cut]), RULE) if scores[:cut] else np.empty(0)
    assert whole[:cut].tolist() == part.tolist()
    timer = ExposureTimer(RULE)
    assert [timer.step(p) for p in scores] == whole.tolist()


def test_hysteresis_trades_less_than_one_level() -> None:
    """A score that hovers about one half flickers at one level and rests between two."""
    scores = 0.5 + 0.03 * np.random.default_rng(0).normal(size=2_000)
    changes = [
        int(
            np.count_nonzero(np.diff(timed_exposure(scores, VolatilityTiming(1.0, a, b, 1.0, 0.5))))
        )
        for a, b in ((0.5, 0.5), (0.55, 0.45))
    ]
    assert changes[1] < changes[0] / 5


@pytest.mark.parametrize(
    "values",
    [(0.0, 0.6, 0.4, 1.0, 0.5), (5.0, 0.4, 0.6, 1.0, 0.5), (5.0, 0.6, 0.4, 1.0, 1.0),
     (5.0, 0.6, 0.4, 1.0, -0.1)],
    ids=["half-life", "levels", "equal", "short"],
)  # fmt: skip
def test_a_timing_that_is_none_is_refused(values: tuple[float, ...]) -> None:
    """No smoothing, levels the wrong way round, no difference of exposures, a short position."""
    with pytest.raises(ParamsError):
        VolatilityTiming(*values)


def literal_barrier(scores: Float1D, until: list[int]) -> tuple[list[float], list[bool]]:
    """Bar by bar: decide when flat, hold until the touch, then decide on the same bar's score."""
    side, end, targets, decided = 0.0, 0, [], []
    for row, score in enumerate(scores.tolist()):
        close = 60 * (row + 1)
        if close >= end:
            side = 0.0
        takes = side == 0.0 and score == score and score != 0.5  # noqa: PLR0124 - NaN is no number
        if takes:
            side, end = (1.0 if score > 0.5 else -1.0), until[row]
        targets.append(side)
        decided.append(takes)
    return targets, decided


@given(SCORES, st.integers(0, 1_000))
def test_a_barrier_position_is_held_until_its_touch(scores: list[float], seed: int) -> None:
    """Decided when flat, held to the touch of its own barrier, decided anew on that bar."""
    n = len(scores)
    closes = 60 * np.arange(1, n + 1)
    until = closes + 60 * np.random.default_rng(seed).integers(1, 9, n)
    found, decided = barrier_targets(np.array(scores), closes, until, size=1.0)
    assert (found.tolist(), decided.tolist()) == literal_barrier(np.array(scores), until.tolist())
