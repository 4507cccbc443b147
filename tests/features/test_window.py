"""Window sums against exact arithmetic, and the windowed features against decimals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.bars import CLOSE, HIGH, LOW, MID, TS
from mlwb.features import specs
from mlwb.features._trailing import efficiency_spec, trailing_vol_spec
from mlwb.features._window import window_cells, window_start, window_sums
from mlwb.features.batch import compute
from tests.strategies import START, walk_bars

SIZES = st.sampled_from([(4, 2), (6, 3), (12, 4), (10, 1), (5, 5)])
VALUES = st.integers(-(10**9), 10**9).map(lambda n: n / 1_000) | st.just(math.nan)
STEPS = st.lists(st.tuples(st.integers(1, 9), VALUES), min_size=1, max_size=80)
Walk = Iterator[tuple[tuple[float, float, float, float], list[Fraction]]]


def walk(steps: list[tuple[int, float]], sizes: tuple[int, int], *, centred: bool) -> Walk:
    """Sums after each value, and the values that are in the window then."""
    state = list(window_start(*sizes, centred=centred))
    assert len(state) == window_cells(*sizes)
    minute, seen = START // 60 + len(steps) % 7, {}
    for gap, value in steps:
        minute += gap
        if not math.isnan(value):
            seen[minute] = Fraction(value)
        found = window_sums(state, 0, *sizes, minute, value)
        yield found, [x for at, x in seen.items() if at > minute - sizes[0]]


@given(STEPS, SIZES)
@settings(max_examples=150, deadline=None)
def test_window_sums_are_those_of_the_window(
    steps: list[tuple[int, float]], sizes: tuple[int, int]
) -> None:
    """Over any gaps and holes: the count, and exact sums to rounding; the pivot is 0."""
    for (n, s1, s2, pivot), inside in walk(steps, sizes, centred=False):
        assert (n, pivot) == (len(inside), 0.0)
        assert abs(Fraction(s1) - sum(inside)) <= Fraction(1, 10**14) * sum(map(abs, inside))
        squares = sum(x * x for x in inside)
        assert abs(Fraction(s2) - squares) <= Fraction(1, 10**14) * squares


@given(STEPS, SIZES)
@settings(max_examples=150, deadline=None)
def test_centred_sums_are_about_a_value_of_the_window(
    steps: list[tuple[int, float]], sizes: tuple[int, int]
) -> None:
    """About the pivot they are exact to rounding; beyond a block of values it is one of them."""
    for (n, s1, s2, pivot), inside in walk(steps, sizes, centred=True):
        assert n == len(inside)
        if n == 0:
            continue
        assert n <= sizes[1] or Fraction(pivot) in inside
        apart = [x - Fraction(pivot) for x in inside]
        scale = sum(map(abs, apart)) + max(map(abs, inside)) / 100
        assert abs(Fraction(s1) - sum(apart)) <= Fraction(1, 10**13) * scale
        assert abs(Fraction(s2) - sum(x * x for x in apart)) <= Fraction(1, 10**13) * scale * scale


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e9])
def test_variance_far_from_zero_keeps_its_digits(offset: float) -> None:
    """Ticks on a price a billion of them high: the variance is exact to twelve digits."""
    rng = np.random.default_rng(2)
    steps = [(1, offset + float(x)) for x in rng.integers(0, 50, 400)]
    for (n, s1, s2, _), inside in walk(steps, (60, 10), centred=True):
        mean = sum(inside) / len(inside)
        exact = float(sum((x - mean) ** 2 for x in inside)) * n
        assert n * s2 - s1 * s1 == pytest.approx(exact, rel=1e-12)


def test_a_price_level_that_left_the_window_costs_no_digits() -> None:
    """After a gap longer than the window a new level is exact once it fills more than a block."""
    old = [(1, 1e9 + x) for x in range(30)]
    new = [(64, 1.0), *((1, 1.0 + x / 1_000) for x in range(1, 40))]
    later = 0
    for (n, s1, s2, _), inside in walk(old + new, (60, 10), centred=True):
        if 10 < n == len([x for x in inside if x < 10]):
            mean = sum(inside) / len(inside)
            exact = float(sum((x - mean) ** 2 for x in inside)) * n
            assert n * s2 - s1 * s1 == pytest.approx(exact, rel=1e-12)
            later += 1
    assert later > 20


def gappy(n: int = 2_400, *, scale: float = 1.0) -> Float2D:
    """Bars with single gaps and one of 45 minutes; prices on a tick grid."""
    keep = np.random.default_rng(3).random(n) > 0.005
    keep[1_900:1_945] = False
    bars = walk_bars(n, seed=3, keep=keep)
    bars[:, MID : LOW + 3] *= scale
    return bars


def last(values: dict[int, Decimal], minute: int, window: int) -> list[Decimal]:
    """Values of the last ``window`` minutes."""
    return [values[m] for m in range(minute - window + 1, minute + 1) if m in values]


def total(values: Iterable[Decimal]) -> Decimal:
    """Sum as a decimal."""
    return sum(values, Decimal(0))


def zscore(bars: Float2D, minute: int) -> Decimal:
    """(mid - mean) / sd over a day, ddof 0."""
    mids = {int(ts) // 60: Decimal(mid) for ts, mid in zip(bars[:, TS], bars[:, MID], strict=True)}
    inside = last(mids, minute, 1_440)
    mean = total(inside) / len(inside)
    return (mids[minute] - mean) / (total((x - mean) ** 2 for x in inside) / len(inside)).sqrt()


def returns(bars: Float2D, minute: int, window: int) -> list[Decimal]:
    """1-minute log returns of the last ``window`` minutes."""
    first = minute - window
    mids = {
        int(row[TS]) // 60: Decimal(row[MID]) for row in bars if first <= row[TS] // 60 <= minute
    }
    return [
        (mids[m] / mids[m - 1]).ln()
        for m in range(first + 1, minute + 1)
        if m in mids and m - 1 in mids
    ]


def rms(bars: Float2D, minute: int, window: int) -> Decimal:
    """Root mean square return, bp."""
    found = returns(bars, minute, window)
    return 10_000 * (total(r * r for r in found) / len(found)).sqrt()


def spread(bars: Float2D, minute: int) -> Decimal:
    """Abdi and Ranaldo's estimate, squared as it is before its root amplifies."""
    rows = {int(row[TS]) // 60: [Decimal(row[i]) for i in (CLOSE, HIGH, LOW)] for row in bars}
    terms = []
    for m in range(minute - 59, minute + 1):
        if m in rows and m - 1 in rows:
            c = rows[m - 1][0].ln()
            before, now = (total(x.ln() for x in rows[k][1:]) / 2 for k in (m - 1, m))
            terms.append(4 * (c - before) * (c - now))
    return 10_000 * max(total(terms) / len(terms), Decimal(0)).sqrt()


def efficiency(bars: Float2D, minute: int) -> Decimal:
    """|sum r| / sum |r| over four hours."""
    found = returns(bars, minute, 240)
    return abs(total(found)) / total(map(abs, found))


EXACT: dict[str, Callable[[Float2D, int], Decimal]] = {
    "zscore_mid_24h": zscore,
    "realised_vol_60m": lambda bars, minute: rms(bars, minute, 60).ln(),
    "vol_ratio": lambda bars, minute: (rms(bars, minute, 5) / rms(bars, minute, 60)).ln(),
    "spread_bp": spread,
    "vol_240m": lambda bars, minute: rms(bars, minute, 240),
    "efficiency_240m": efficiency,
}
CHOSEN = (
    *specs(["zscore_mid_24h", "realised_vol_60m", "vol_ratio", "spread_bp"], quoted=False),
    trailing_vol_spec(240, 0.75),
    efficiency_spec(240, 0.75),
)


@pytest.mark.slow
@pytest.mark.parametrize("spec", CHOSEN, ids=lambda spec: spec.name)
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_windowed_features_are_exact_to_twelve_digits(spec: object, scale: float) -> None:
    """Equal to the definition in forty-digit decimals, over gaps, at any price level."""
    bars = gappy(scale=scale)
    chosen = next(known for known in CHOSEN if known is spec)
    found: Float1D = compute([chosen], bars)[:, 0]
    rows = [row for row in range(1_500, len(bars), 97) if np.isfinite(found[row])]
    assert len(rows) >= 5
    with localcontext() as context:
        context.prec = 40
        expected = [float(EXACT[chosen.name](bars, int(bars[row, TS]) // 60)) for row in rows]
    assert len(set(expected)) > 3
    np.testing.assert_allclose(found[rows], expected, rtol=1e-12, atol=1e-12)
