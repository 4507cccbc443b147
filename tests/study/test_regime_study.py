"""The same questions asked in each regime."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from mlwb.study import RegimeStudy, regime_study


def studied(n: int = 3_000) -> tuple[tuple[RegimeStudy, ...], dict[str, np.ndarray]]:
    """Three regimes, a feature that knows something in one of them, and unknown rows."""
    rng = np.random.default_rng(0)
    regimes = rng.choice([-1, 0, 1], size=n)
    x, target = rng.normal(size=n), rng.normal(size=n)
    target[regimes == 1] += x[regimes == 1]
    y = (target > np.where(regimes == 1, 0.5, 0.0)).astype(np.float64)
    y[::10] = np.nan
    made = {"regimes": regimes, "x": x, "target": target, "y": y}
    found = regime_study(
        regimes,
        y,
        target,
        [("x", x), ("flat", np.ones(n))],
        names=("calm", "wild", "absent"),
        horizon_s=60,
        horizon_rows=1,
        n_resamples=200,
        seed=0,
    )
    return found, made


def test_each_regime_is_its_own_rows() -> None:
    """Rows, share, base rate and rank correlation of the rows of the regime, nothing else."""
    found, made = studied()
    known = int((made["regimes"] >= 0).sum())
    for number, item in enumerate(found[:2]):
        rows = made["regimes"] == number
        labels = made["y"][rows]
        assert item.n_rows == rows.sum()
        assert item.share == pytest.approx(rows.sum() / known)
        assert item.base_rate == pytest.approx(np.nanmean(labels))
        assert item.n_labels == np.isfinite(labels).sum()
        assert item.base_low < item.base_rate < item.base_high
        expected = spearmanr(made["x"][rows], made["target"][rows]).statistic
        assert item.information[0].rank_ic == pytest.approx(expected)
    assert found[1].information[0].low > found[0].information[0].high


def test_regime_that_does_not_occur_has_no_numbers() -> None:
    """No row, no rate, no correlation; a constant feature has none anywhere."""
    found, _ = studied()
    absent = found[2]
    assert (absent.name, absent.n_rows, absent.share, absent.n_labels) == ("absent", 0, 0.0, 0)
    assert math.isnan(absent.base_rate)
    assert all(math.isnan(item.rank_ic) for item in absent.information)
    assert all(math.isnan(item.information[1].rank_ic) for item in found)
