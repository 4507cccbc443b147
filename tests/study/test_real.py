"""What the study says about recordings whose story is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import TS
from mlwb.data import load_market, to_bars
from mlwb.features import specs
from mlwb.features.batch import compute
from mlwb.features.labels import forward_return
from mlwb.study import (
    adjusted,
    daily,
    eligibility,
    ic_after_costs,
    information,
    on_grid,
    stationarity,
)

pytestmark = pytest.mark.realdata


def told(name: str, *files: Path) -> tuple[Int1D, Float1D, dict[int, Float1D]]:
    """Times, one feature and the coming returns by horizon of a recorded market."""
    market = load_market([str(file) for file in files], profile="auto")
    bars = to_bars(market)
    values = compute(specs([name], quoted=market.has_quotes), bars)[:, 0]
    forward = {horizon: forward_return(bars, horizon) for horizon in (60, 900)}
    return bars[:, TS].astype(np.int64), values, forward


def test_a_broker_s_spread_cannot_be_gated(real_data: Path) -> None:
    """The gold broker changed its spread for twelve days: no window makes that chance."""
    ts, spread, _ = told(
        "spread_bp", real_data / "mt5_spread_1m/XAUUSD_M1_20260324_20260528.csv.gz"
    )
    found = eligibility("spread_bp", spread, ts // 86_400, n_bins=10, limit=0.3)
    assert (found.is_eligible, found.reason) == (False, "noisy")
    assert found.nulls[-1].n_eff < 0.01 * len(spread)


def test_volatility_of_bitcoin_is_known_ahead_and_its_price_wanders(real_data: Path) -> None:
    """The size of the next move is foretold by the last hour's, every day; the price has a root."""
    ts, vol, forward = told(
        "realised_vol_60m", real_data / "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz"
    )
    size = np.abs(forward[60])
    look = {"horizon_s": 60, "horizon_rows": 1, "n_resamples": 199, "seed": 0}
    (found,) = adjusted([information("vol", vol, size, **look)])
    assert found.low > 0.3
    assert found.stars == "***"
    assert daily("vol", vol, size, ts // 86_400).same_sign_share > 0.9
    price = np.cumsum(np.nan_to_num(forward[60]))
    assert stationarity("price", price).verdict == "unit root"


def test_reversal_of_a_locked_book_does_not_pay(real_data: Path) -> None:
    """Sterling's minutes revert, surely and by less than the fee: the bounce is not for sale."""
    sides = (
        real_data / f"fx_bidask_1m/GBPUSD_fxcm_m1_{side}_201202.csv.gz" for side in ("bid", "ask")
    )
    ts, move, forward = told("mid_logret_1m", *sides)
    look = {"horizon_s": 900, "horizon_rows": 15, "n_resamples": 199, "seed": 0}
    (found,) = adjusted([information("move", move, forward[900], **look)])
    assert found.high < 0.0
    assert found.stars
    x, r = on_grid(ts, move, forward[900])
    held = ic_after_costs("move", x, r, np.full(len(x), 1.5e-4), horizon_s=900, horizon_rows=15)
    assert held.net < 0.0
    assert held.break_even_bp < 1.5
