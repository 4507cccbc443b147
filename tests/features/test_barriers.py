"""Triple barriers: which level is reached first, when, and what a gap or the horizon does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import MID, TS
from mlwb.core.errors import ParamsError
from mlwb.features._barriers import first_touch
from mlwb.features.labels import Barriers, Labels, make_labels
from tests.strategies import bars, walk_bars

HOUR = 3_600


def priced(mids: list[float]) -> Float2D:
    """Bars minute by minute with these mids."""
    found = walk_bars(len(mids))
    found[:, MID] = mids
    return found


def in_bp(found: Float2D, minutes: int, *, upper: float, lower: float, vertical: str) -> Labels:
    """Triple-barrier labels with fixed distances."""
    barriers = Barriers(upper, lower, "bp", vertical)
    return make_labels(found, kind="triple_barrier", horizon_s=60 * minutes, barriers=barriers)


def literal(
    minutes: Int1D, mid: Float1D, levels: tuple[Float1D, Float1D], horizon: int
) -> list[tuple[int, int]]:
    """Lopez de Prado's barriers read word by word: walk each path bar by bar."""
    by_minute = {int(m): i for i, m in enumerate(minutes)}
    out = []
    for i, start in enumerate(minutes.tolist()):
        end = (-1, 0)
        for ahead in range(1, horizon + 1):
            at = by_minute.get(start + ahead, -1)
            if math.isnan(mid[i]) or at < 0 or math.isnan(mid[at]):
                break
            if mid[at] >= levels[1][i]:
                end = (at, 1)
                break
            if mid[at] <= levels[0][i]:
                end = (at, -1)
                break
            if ahead == horizon:
                end = (at, 0)
        out.append(end)
    return out


@given(
    bars(max_minutes=300),
    st.sampled_from([1, 2, 3, 5, 16, 31, 60]),
    st.sampled_from([(3e-4, 3e-4), (1e-3, 2e-4), (1e-9, 5e-3)]),
)
@settings(max_examples=40, deadline=None)
def test_first_touch_is_the_walk_along_each_path(
    found: Float2D, horizon: int, widths: tuple[float, float]
) -> None:
    """Gaps, missing mids, flat stretches: row and side are those of a bar-by-bar walk."""
    mid = found[:, MID]
    minutes = found[:, TS].astype(np.int64) // 60
    levels = (mid * (1.0 - widths[1]), mid * (1.0 + widths[0]))
    touch = first_touch(minutes, mid, levels, horizon)
    assert list(zip(touch.row, touch.side, strict=True)) == literal(minutes, mid, levels, horizon)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths that cross from one chunk into the next end where they end in one piece."""
    found = walk_bars(500, keep=np.random.default_rng(4).random(500) > 0.01)
    mid, minutes = found[:, MID], found[:, TS].astype(np.int64) // 60
    levels = (mid * (1 - 5e-4), mid * (1 + 5e-4))
    whole = first_touch(minutes, mid, levels, 30)
    monkeypatch.setattr("mlwb.features._barriers._CHUNK", 7)
    pieces = first_touch(minutes, mid, levels, 30)
    assert np.array_equal(whole.row, pieces.row)
    assert np.array_equal(whole.side, pieces.side)


def test_a_label_by_hand() -> None:
    """Up 1 % is reached after two bars, down 1 % after one; a level met exactly is reached."""
    found = priced([100.0, 100.5, 101.0, 99.9, 99.98, 99.99])
    labels = in_bp(found, 3, upper=100.0, lower=100.0, vertical="sign")
    assert labels.y[:3].tolist() == [1.0, 0.0, 0.0]
    assert (labels.t1 - labels.t0)[:3].tolist() == [120, 180, 60]
    np.testing.assert_allclose(labels.target[:3], [0.01, 99.98 / 100.5 - 1, 99.9 / 101 - 1])
    assert labels.valid[:3].tolist() == [True, True, True]
    assert not labels.valid[3:].any()


def test_the_vertical_barrier_is_a_sign_or_nothing() -> None:
    """Neither level reached: the sign of the return at the horizon; no move has no sign."""
    found = priced([100.0, 99.9, 100.0, 100.1, 99.8, 100.0])
    signed = in_bp(found, 3, upper=500.0, lower=500.0, vertical="sign")
    assert signed.valid.tolist() == [True, True, False, False, False, False]
    assert signed.y[:2].tolist() == [1.0, 0.0]
    assert (signed.t1 - signed.t0 == 180).all()
    assert not in_bp(found, 3, upper=500.0, lower=500.0, vertical="drop").valid.any()


def test_the_levels_are_independent() -> None:
    """The upper multiple moves only the upper level, the lower one only the lower."""
    found = walk_bars(2_000)
    base = in_bp(found, 30, upper=5.0, lower=5.0, vertical="drop")
    higher = in_bp(found, 30, upper=50.0, lower=5.0, vertical="drop")
    fell = base.valid & (base.y == 0.0)
    assert (higher.y[fell] == 0.0).all()
    assert (higher.t1[fell] == base.t1[fell]).all()
    assert np.nanmean(higher.y) < np.nanmean(base.y)


def test_a_gap_before_the_touch_makes_the_label_unknown() -> None:
    """A missing minute or mid before the end of the path: unknown; after the touch: settled."""
    found = priced([100.0, 100.0, 100.0, 102.0, 100.0, 100.0])
    assert in_bp(found, 5, upper=100.0, lower=100.0, vertical="sign").valid[0]
    assert in_bp(np.delete(found, 4, 0), 5, upper=100.0, lower=100.0, vertical="sign").valid[0]
    assert not in_bp(np.delete(found, 1, 0), 5, upper=100.0, lower=100.0, vertical="sign").valid[0]
    found[2, MID] = np.nan
    assert not in_bp(found, 5, upper=100.0, lower=100.0, vertical="sign").valid[:3].any()


def test_sigma_is_the_trailing_volatility_of_the_horizon() -> None:
    """Levels stand at multiples of the root mean square return known at t, times sqrt(horizon)."""
    found, minutes = walk_bars(400), 9
    logs = np.diff(np.log(found[:, MID]), prepend=np.nan)
    barriers = Barriers(2.0, 1.0, "sigma", "drop")
    labels = make_labels(
        found,
        kind="triple_barrier",
        horizon_s=60 * minutes,
        median_window_s=HOUR,
        barriers=barriers,
    )
    for row in range(100, 380, 13):
        sigma = math.sqrt(np.mean(logs[row - 59 : row + 1] ** 2) * minutes)
        levels = (found[row, MID] * (1 - sigma), found[row, MID] * (1 + 2 * sigma))
        end, side = -1, 0
        for at in range(row + 1, row + minutes + 1):
            side = int(found[at, MID] >= levels[1]) - int(found[at, MID] <= levels[0])
            end = at
            if side:
                break
        assert labels.t1[row] == found[end, TS] + 60
        assert labels.valid[row] == (side != 0)
        assert not labels.valid[row] or labels.y[row] == (side + 1) / 2


def test_without_volatility_there_is_no_label() -> None:
    """A flat past has no sigma to measure a barrier with: unknown, not an instant touch."""
    found = priced([100.0] * 200 + [101.0] * 5)
    labels = make_labels(found, kind="triple_barrier", horizon_s=600, median_window_s=HOUR)
    assert not labels.valid[:200].any()


@pytest.mark.parametrize(
    "wrong",
    [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf), (1.0, 1.0, "ticks")],
)
def test_impossible_barriers_are_refused(wrong: tuple[float, float]) -> None:
    """Distances are positive and finite, units known; the message says so."""
    with pytest.raises(ParamsError, match="distances > 0, unit of sigma, bp"):
        Barriers(*wrong)
