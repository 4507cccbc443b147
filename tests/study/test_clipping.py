"""Clip bounds fitted before, counted after."""

from __future__ import annotations

import math

import numpy as np

from mlwb.study import CLIP_ALARM, CLIP_EXPECTED, clipping


def test_unchanged_feature_is_clipped_at_the_expected_rate() -> None:
    """Of 200,000 values from the same law one in a hundred lies beyond, half on each side."""
    rng = np.random.default_rng(0)
    found = clipping("x", rng.standard_t(4, 200_000), rng.standard_t(4, 200_000))
    assert abs(found.rate - CLIP_EXPECTED) < 0.001
    assert abs(found.below - found.above) < 200
    assert not found.is_alarming


def test_wider_market_raises_the_alarm() -> None:
    """Half as much volatility again brings the rate above the alarm; the bounds stay the old."""
    rng = np.random.default_rng(1)
    earlier = rng.normal(size=50_000)
    found = clipping("x", earlier, 1.5 * rng.normal(size=50_000))
    assert found.rate > CLIP_ALARM
    assert found.is_alarming
    assert (found.low, found.high) == tuple(np.quantile(earlier, [0.005, 0.995]))


def test_nothing_to_clip() -> None:
    """A constant is never beyond its bounds; a side without values has no rate."""
    assert clipping("bias", np.ones(9), np.ones(5)).rate == 0.0
    none = np.full(4, np.nan)
    assert math.isnan(clipping("x", np.ones(9), none).rate)
    assert math.isnan(clipping("x", none, np.ones(9)).low)
    assert math.isnan(clipping("x", none, np.ones(9)).rate)
