"""The synthetic market: repeatable, like recorded ones, learnable where it says so."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.core.errors import ParamsError
from mlwb.data import Market, simulate_market


@pytest.fixture(scope="module")
def default() -> Market:
    """The market of a run without data."""
    return simulate_market()


def returns(market: Market) -> Float1D:
    """Log returns of mid."""
    return np.diff(np.log(market.frame["mid"].to_numpy()))


def acf(values: Float1D, lag: int) -> float:
    """Autocorrelation at a lag."""
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / (centred * centred).mean())


def excess_kurtosis(values: Float1D) -> float:
    """Fourth standardised moment minus 3."""
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2 - 3)


def test_same_seed_same_market() -> None:
    """Bit for bit, and another seed is another market."""
    one, two, other = (simulate_market(days=2, seed=seed) for seed in (5, 5, 6))
    assert one.frame.equals(two.frame)
    assert not one.frame.equals(other.frame)


def test_ninety_days_from_new_year(default: Market) -> None:
    """129,600 minutes, none missing, said to be simulated."""
    assert len(default.frame) == 90 * 1440
    assert str(default.frame["ts"].iloc[0]) == "2026-01-01 00:00:00+00:00"
    assert default.source.origin == "simulated"


def test_tails_are_fat_and_thin_out(default: Market) -> None:
    """Excess kurtosis 8 to 60 at a minute, falling at five and at sixty."""
    log_mid = np.log(default.frame["mid"].to_numpy())
    by_scale = [excess_kurtosis(np.diff(log_mid[::step])) for step in (1, 5, 60)]
    assert 8 < by_scale[0] < 60
    assert by_scale[0] > by_scale[1] > by_scale[2] > 1


@pytest.mark.parametrize(
    ("lag", "low", "high"),
    [(1, 0.18, 0.35), (5, 0.15, 0.28), (60, 0.08, 0.18), (240, 0.02, 0.10), (1440, 0.02, 0.12)],
)
def test_moves_cluster_on_many_scales(default: Market, lag: int, low: float, high: float) -> None:
    """The ranges recorded markets show, from a minute to a day."""
    assert low < acf(np.abs(returns(default)), lag) < high


def test_returns_have_no_drift_to_exploit(default: Market) -> None:
    """Autocorrelation of returns within what chance gives, fat tails considered."""
    assert abs(acf(returns(default), 1)) < 0.03


def test_some_minutes_do_not_move(default: Market) -> None:
    """Exact zeros, 0.3 to 6.4 % as recorded."""
    assert 0.003 < (returns(default) == 0).mean() < 0.064


def test_volume_goes_with_moves(default: Market) -> None:
    """Log volume persists and correlates with the size of the move, as recorded."""
    log_volume = np.log(default.frame["volume"].to_numpy()[1:])
    assert 0.60 < acf(log_volume, 1) < 0.89
    assert 0.40 < np.corrcoef(log_volume, np.abs(returns(default)))[0, 1] < 0.55


def test_spreads_are_atoms_that_widen_at_the_rollover(default: Market) -> None:
    """Whole ticks, a handful of them common, several times as wide at 21:30 UTC."""
    frame = default.frame
    ticks = ((frame["ask"] - frame["bid"]) / 0.2).round(6)
    assert (ticks == ticks.round()).all()
    assert (ticks >= 1).all()
    assert 0.05 < ticks.value_counts(normalize=True).iloc[0] < 0.5
    minute = frame["ts"].dt.hour * 60 + frame["ts"].dt.minute
    is_late = (minute >= 21 * 60 + 20) & (minute < 21 * 60 + 40)
    assert 2 < ticks[is_late].median() / ticks[minute < 12 * 60].median() < 11


def auc_of_next_move(market: Market) -> tuple[float, float]:
    """Out-of-sample AUC of scikit-learn's logistic model for size and sign of the next move."""
    size, sign = np.abs(returns(market)), returns(market)
    window = np.lib.stride_tricks.sliding_window_view(size, 1440)
    trailing = np.median(window[:-1:7], axis=1)  # every seventh minute is enough
    now = np.arange(1439, len(size) - 1, 7)
    hour = np.array([np.log(size[i - 59 : i + 1].mean()) for i in now])
    volume = np.log1p(market.frame["volume"].to_numpy()[1:][now])
    x = np.column_stack([hour - np.log(trailing), size[now] * 1e4, volume, sign[now] * 1e4])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    cut = int(0.7 * len(now))
    found = []
    for y in (size[now + 1] > trailing, sign[now + 1] > 0):
        model = LogisticRegression().fit(x[:cut], y[:cut])
        found.append(float(roc_auc_score(y[cut:], model.predict_proba(x[cut:])[:, 1])))
    return found[0], found[1]


def test_size_can_be_learnt_and_sign_cannot() -> None:
    """A plain logistic model ranks the size of the next move as on recorded BTC, not its sign."""
    size_auc, sign_auc = auc_of_next_move(simulate_market(days=40))
    assert 0.64 < size_auc < 0.70
    assert abs(sign_auc - 0.5) < 0.03


def test_edges_are_planted_where_asked() -> None:
    """Without the volatility edge size is noise; with a direction edge the sign is not."""
    size_auc, sign_auc = auc_of_next_move(
        simulate_market(days=40, volatility_edge=False, direction_ic=0.2)
    )
    assert abs(size_auc - 0.5) < 0.04
    assert sign_auc > 0.55


@pytest.mark.parametrize("ic", [-0.3, 0.1, 0.5])
def test_direction_ic_is_the_correlation_asked_for(ic: float) -> None:
    """Measured on the returns of a market with constant volatility, zeros and ticks included."""
    market = simulate_market(days=60, volatility_edge=False, direction_ic=ic)
    assert acf(returns(market), 1) == pytest.approx(ic * 0.98, abs=0.02)


def test_start_moves_the_market() -> None:
    """Stamps begin where asked."""
    market = simulate_market(days=1, start=datetime(2024, 2, 29, tzinfo=UTC))
    assert str(market.frame["ts"].iloc[0]) == "2024-02-29 00:00:00+00:00"


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": 0},
        {"days": 5000},
        {"direction_ic": 1.0},
        {"direction_ic": float("nan")},
        {"volatility_edge": -1.0},
        {"volatility_edge": float("nan")},
        {"start": datetime(2026, 1, 1)},  # noqa: DTZ001 - the fault under test
        {"start": datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    """Each with a sentence."""
    with pytest.raises(ParamsError, match=r"out of range|no minute of UTC"):
        simulate_market(**wrong)  # type: ignore[arg-type]
