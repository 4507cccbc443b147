"""Labels: what they mean, when they are known, what they do at gaps."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.bars import MID, TS
from mlwb.core.errors import ParamsError
from mlwb.features.labels import Labels, forward_return, make_labels
from tests.strategies import same_bits, walk_bars

FIXED = ("volatility", "direction")
KINDS = (*FIXED, "triple_barrier")
HOUR = 3_600


def gappy(n: int = 900) -> Float2D:
    """Bars with single gaps and one of two hours."""
    keep = np.random.default_rng(6).random(n) > 0.03
    keep[500:620] = False
    return walk_bars(n, seed=6, keep=keep)


@pytest.mark.parametrize("horizon_s", [60, 300])
def test_forward_return_goes_by_the_clock(horizon_s: int) -> None:
    """ln(mid / mid) to the bar exactly a horizon later, looked up by time; NaN without one."""
    bars = gappy()
    by_time = dict(zip(bars[:, TS].tolist(), bars[:, MID].tolist(), strict=True))
    expected = [
        math.log(by_time[ts + horizon_s] / mid) if ts + horizon_s in by_time else math.nan
        for ts, mid in by_time.items()
    ]
    found = forward_return(bars, horizon_s)
    assert np.isnan(found[-horizon_s // 60 :]).all()
    assert np.isnan(found[:-10]).any()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("kind", FIXED)
@pytest.mark.parametrize("horizon_s", [60, 900])
def test_span_runs_from_close_to_resolution(kind: str, horizon_s: int) -> None:
    """t0 is the bar's close, t1 one horizon later, for every bar."""
    bars = gappy()
    labels = make_labels(bars, kind=kind, horizon_s=horizon_s, median_window_s=HOUR)
    assert (labels.t0 == bars[:, TS] + 60).all()
    assert (labels.t1 - labels.t0 == horizon_s).all()


@pytest.mark.parametrize("kind", KINDS)
def test_label_is_there_exactly_where_it_is_valid(kind: str) -> None:
    """Where valid, 0 or 1; elsewhere NaN, never a silent 0; the last bars are never valid."""
    labels = make_labels(gappy(), kind=kind, horizon_s=300, median_window_s=HOUR)
    assert set(labels.y[labels.valid]) == {0.0, 1.0}
    assert np.isnan(labels.y[~labels.valid]).all()
    assert not labels.valid[-1]
    if kind in FIXED:
        assert not labels.valid[-5:].any()
        assert (labels.valid <= np.isfinite(labels.forward)).all()


def test_volatility_label_is_the_definition() -> None:
    """1 where the coming move exceeds the median of the moves resolved in (t - window, t]."""
    bars, horizon, window = gappy(), 300, HOUR
    labels = make_labels(bars, kind="volatility", horizon_s=horizon, median_window_s=window)
    size = np.abs(forward_return(bars, horizon))
    ts = bars[:, TS]
    for row in range(0, len(bars), 7):
        known = [
            float(size[i])
            for i in range(row)
            if ts[row] - window < ts[i] + horizon <= ts[row] and np.isfinite(size[i])
        ]
        enough = len(known) >= window / 60 / 2
        assert labels.valid[row] == (enough and bool(np.isfinite(size[row])))
        if labels.valid[row]:
            assert labels.y[row] == float(size[row] > median(known))
            assert labels.target[row] == pytest.approx(size[row] / median(known) - 1.0)


def test_no_threshold_is_carried_over_a_long_gap() -> None:
    """After a gap longer than the window there is no label until half the window is known again."""
    bars = np.delete(walk_bars(600), slice(300, 400), axis=0)
    labels = make_labels(bars, kind="volatility", horizon_s=60, median_window_s=HOUR)
    assert not labels.valid[300:330].any()
    assert labels.valid[331:499].all()


def thresholds(labels: Labels) -> Float1D:
    """What each move was compared with, recovered from the target; NaN where nothing moved."""
    size = np.abs(labels.forward)
    return np.where(labels.valid & (size > 0), size, np.nan) / (labels.target + 1.0)


@pytest.mark.parametrize("at", [100, 450, 560, 700])
def test_threshold_is_known_when_the_label_is_decided(at: int) -> None:
    """Spoiling every price after a bar changes the coming moves but not one threshold up to it."""
    bars = gappy()
    spoiled = bars.copy()
    spoiled[at + 1 :, MID] *= np.random.default_rng(at).uniform(0.9, 1.1, len(bars) - at - 1)
    kept = make_labels(bars, kind="volatility", horizon_s=300, median_window_s=HOUR)
    other = make_labels(spoiled, kind="volatility", horizon_s=300, median_window_s=HOUR)
    before, after = thresholds(kept)[: at + 1], thresholds(other)[: at + 1]
    both = np.isfinite(before) & np.isfinite(after)
    assert both[-10:].any()
    np.testing.assert_allclose(before[both], after[both], rtol=1e-12)


def test_early_labels_do_not_change_when_bars_are_added() -> None:
    """Labels resolved before the cut are the same on the cut market, bit for bit."""
    bars = gappy()
    for kind in KINDS:
        whole = make_labels(bars, kind=kind, horizon_s=300, median_window_s=HOUR)
        cut = make_labels(bars[:400], kind=kind, horizon_s=300, median_window_s=HOUR)
        done = cut.t1 <= bars[399, TS] + 60
        assert same_bits(whole.y[:400][done], cut.y[done])
        assert same_bits(whole.target[:400][done], cut.target[done])


def test_volatility_label_is_balanced() -> None:
    """About one half by construction, also where the size of moves changes fivefold."""
    rng = np.random.default_rng(8)
    bars = walk_bars(20_000)
    sigma = 1e-4 * np.exp(0.8 * np.sin(np.arange(20_000) / 700.0))
    bars[:, MID] = 1e3 * np.exp(np.cumsum(rng.normal(size=20_000) * sigma))
    labels = make_labels(bars, kind="volatility", horizon_s=60)
    assert np.nanmean(labels.y) == pytest.approx(0.5, abs=0.05)


def test_direction_is_the_sign() -> None:
    """1 for up, 0 for down; no move is neither; target is the return itself."""
    bars = walk_bars(4)
    bars[:, MID] = [100.0, 101.0, 101.0, 99.0]
    labels = make_labels(bars, kind="direction", horizon_s=60)
    np.testing.assert_array_equal(labels.y, [1.0, math.nan, 0.0, math.nan])
    assert labels.valid.tolist() == [True, False, True, False]
    assert same_bits(labels.target, labels.forward)


def test_dead_zone_is_closed() -> None:
    """Moves of exactly theta are dropped, larger ones kept."""
    bars = gappy()
    free = make_labels(bars, kind="direction", horizon_s=60)
    theta = float(np.sort(np.abs(free.forward[free.valid]))[200])
    held = make_labels(bars, kind="direction", horizon_s=60, theta=theta)
    assert (held.valid == (np.abs(free.forward) > theta)).all()
    assert held.valid.sum() < free.valid.sum()
    assert same_bits(held.y[held.valid], free.y[held.valid])


@pytest.mark.parametrize("kind", FIXED)
def test_flat_market_has_no_warning_and_no_false_label(kind: str) -> None:
    """Without a move nothing exceeds the median and no direction exists."""
    bars = walk_bars(200)
    bars[:, MID] = 100.0
    labels = make_labels(bars, kind=kind, horizon_s=60, median_window_s=HOUR)
    assert not (labels.y[labels.valid] == 1.0).any()
    assert labels.valid.any() == (kind == "volatility")


@pytest.mark.parametrize(
    ("kind", "horizon_s"),
    [("colour", 60), ("direction", 0), ("direction", -60), ("volatility", 90)],
)
def test_labels_that_do_not_exist_are_refused(kind: str, horizon_s: int) -> None:
    """Unknown kinds and horizons off the bar grid, with what would be right."""
    with pytest.raises(ParamsError, match="triple_barrier, horizon a multiple"):
        make_labels(walk_bars(10), kind=kind, horizon_s=horizon_s)


def test_no_bars_no_labels() -> None:
    """An empty market has empty labels."""
    for kind in KINDS:
        labels = make_labels(walk_bars(1)[:0], kind=kind, horizon_s=60)
        assert len(labels.y) == len(labels.t0) == len(labels.weight) == 0
        assert labels.n_eff == 0.0
