"""What a feature can be at all: on any bars its values stay within the bounds of its row."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.arrays import Float2D
from mlwb.core.bars import ASK, ASK_SIZE, BID, BID_SIZE, CLOSE, HIGH, LOW, MID, TS, VOLUME
from mlwb.features import FEATURES, FeatureStream, feature_names, specs
from tests.strategies import START, walk_bars

ALL = feature_names()
PRICES = (MID, CLOSE, HIGH, LOW)


def values(names: tuple[str, ...], bars: Float2D, *, quoted: bool = True) -> Float2D:
    """As a server computes them."""
    stream = FeatureStream(specs(names, quoted=quoted))
    return np.array([stream.step(row) for row in bars.tolist()])


def priced(mids: object) -> Float2D:
    """Minutes with these prices."""
    bars = walk_bars(len(np.asarray(mids)))
    bars[:, PRICES] = np.asarray(mids, dtype=np.float64)[:, None]
    return bars


@st.composite
def hostile(draw: st.DrawFn) -> Float2D:
    """Prices over thirty decades, flat stretches, single ticks, holes, nonsense in every field."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = 150
    decades = draw(st.sampled_from([0.0, 1e-9, 1.0, 30.0]))
    mids = 10.0 ** (decades * rng.uniform(-0.5, 0.5, n))
    mids = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.5, 0.95])), 1.0, mids)
    bars = priced(mids)
    for field in (VOLUME, BID, ASK, BID_SIZE, ASK_SIZE, *PRICES):
        spoiled = rng.random(n) < draw(st.sampled_from([0.0, 0.1]))
        bars[spoiled, field] = rng.choice([0.0, -1.0, 1e-30, 1e30, math.nan], spoiled.sum())
    bars[:, TS] = START + 60 * np.cumsum(rng.choice([1, 1, 1, 1, 1, 2, 7], n))
    return bars


@given(hostile(), st.booleans())
@settings(max_examples=25)
def test_no_value_passes_its_bounds(bars: Float2D, quoted: bool) -> None:
    """Whatever the bars: unknown, or between the ends that the row declares."""
    found = values(ALL, bars, quoted=quoted)
    for column, spec in enumerate(specs(ALL, quoted=quoted)):
        known = found[~np.isnan(found[:, column]), column]
        low, high = spec.bounds
        assert ((known >= low) & (known <= high)).all(), spec.name


@pytest.mark.parametrize(
    ("name", "mids", "most"),
    [
        ("rsi14_z", np.arange(1.0, 40.0), 5 / 3),
        ("rsi14_z", np.arange(40.0, 1.0, -1.0), -5 / 3),
        ("zscore_mid_24h", [1.0] * 1_439 + [2.0], math.sqrt(1_439)),
        ("zscore_mid_24h", [1.0] * 1_439 + [1e-9], -math.sqrt(1_439)),
        ("vol_ratio", [1.0] * 56 + [2.0, math.nan, 2.0, 1.0, 2.0], 0.5 * math.log(58 / 3)),
        ("realised_vol_60m", [1.0] * 90, math.log(0.01)),
    ],
)
def test_bounds_are_those_that_are_reached(name: str, mids: object, most: float) -> None:
    """No wider than the definition: a market that reaches the end gets close to the bound."""
    (found,) = specs([name])
    last = values((name,), priced(mids))[-1, 0]
    assert last == pytest.approx(most, abs=1e-9)
    end = found.bounds[0] if most < 0 else found.bounds[1]
    assert abs(end - most) <= 0.07


def test_bounds_are_no_part_of_the_digest() -> None:
    """A version trained before there were bounds is still of these features."""
    (spec,) = specs(["minute_sin"])
    assert replace(spec, bounds=(-2.0, 2.0)).digest == spec.digest


def test_rows_without_bounds_are_the_returns() -> None:
    """Every other feature has at least one end."""
    free = [spec.name for spec in FEATURES if spec.bounds == (-math.inf, math.inf)]
    assert free == ["mid_logret_1m", "mid_logret_5m"]
