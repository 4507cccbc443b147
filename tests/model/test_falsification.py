"""Three markets that the signal limits must tell apart: one with an edge, one without, one leaking.

The limits are those of ``params/policy.yml``; the pipeline is the real one, from bars to scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold  # type: ignore[import-untyped]

from mlwb.core.arrays import Float2D, Int1D
from mlwb.data import simulate_market, to_bars
from mlwb.features import specs
from mlwb.features.batch import compute
from mlwb.features.labels import make_labels
from mlwb.gates import holds
from mlwb.model import (
    Dataset,
    PurgedKFold,
    Trial,
    WinsorScaler,
    cross_validate,
    fit_model,
    leak_count,
    outside_influence,
    refit,
    score,
    skill_beyond,
)
from mlwb.params import load_policy

POLICY = load_policy(Path(__file__).resolve().parents[2] / "params" / "policy.yml")
NAMES = (
    "bias",
    "mid_logret_1m",
    "rsi14_z",
    "vol1m_log",
    "realised_vol_60m",
    "vol_ratio",
    "minute_sin",
    "minute_cos",
)
TRIAL = Trial("logistic", 0.1, 0)


@dataclass(frozen=True)
class Market:
    """What a small market is made of."""

    days: int = 3
    seed: int = 0
    volatility_edge: float = 0.0
    direction_ic: float = 0.0
    kind: str = "volatility"
    horizon_s: int = 60


@cache
def rows_of(market: Market) -> Dataset:
    """Labelled feature rows of a simulated market."""
    bars = to_bars(
        simulate_market(
            days=market.days,
            seed=market.seed,
            volatility_edge=market.volatility_edge,
            direction_ic=market.direction_ic,
        )
    )
    features = compute(specs(NAMES), bars)
    labels = make_labels(
        bars, kind=market.kind, horizon_s=market.horizon_s, median_window_s=6 * 3_600
    )
    rows = np.flatnonzero(labels.valid & np.isfinite(features).all(axis=1))
    spans = labels.t0[rows], labels.t1[rows]
    return Dataset(features[rows], labels.y[rows], *spans, labels.target[rows], NAMES)


def signal(data: Dataset) -> dict[str, float]:
    """The numbers of the signal gate, measured as training measures them."""
    splitter = PurgedKFold(data.t0, data.t1)
    out = cross_validate(data, TRIAL, splitter)
    overlap = int((data.t1[0] - data.t0[0]) // 60)
    found = skill_beyond(out, data.target, None, least_block=overlap, n_resamples=499, seed=0)
    scores = score(data.y[out.index], out.probability)
    return {
        "auc": out.mean_auc,
        "precision_top_20pct": scores.precision_top_20pct,
        "p_against": found.p_against,
        "leak_count": float(sum(split.n_leaks for split in out.splits)),
    }


def refused(numbers: dict[str, float]) -> list[str]:
    """Ids of the hard limits of the signal gate that these numbers miss."""
    hard = [limit for limit in POLICY.gates["signal"].limits if limit.severity == "hard"]
    known = [limit for limit in hard if limit.metric in numbers]
    assert {limit.metric for limit in known} == set(numbers)
    return [
        limit.id
        for limit in known
        if not holds(numbers[limit.metric], limit.comparator, limit.value)
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "planted",
    [Market(volatility_edge=2.0), Market(direction_ic=0.45, kind="direction")],
    ids=["volatility", "direction"],
)
def test_planted_edge_passes(planted: Market, seed: int) -> None:
    """Twice the volatility clustering of recorded markets, or returns that lean on the last one."""
    assert refused(signal(rows_of(replace(planted, seed=seed)))) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["volatility", "direction"])
def test_null_fails(kind: str) -> None:
    """No edge: at least 18 of 20 markets are refused, and p_against alone refuses most."""
    found = [signal(rows_of(Market(seed=seed, kind=kind))) for seed in range(20)]
    said = [refused(numbers) for numbers in found]
    assert sum(bool(limits) for limits in said) >= 18
    assert sum("signal.p_against" in limits for limits in said) >= 15
    assert np.mean([numbers["auc"] for numbers in found]) == pytest.approx(0.5, abs=0.02)


def test_peeking_feature_is_refused() -> None:
    """A feature that contains the coming bar beats every model that could be honest."""
    data = rows_of(Market(volatility_edge=1.0))
    noise = np.random.default_rng(0).normal(size=len(data))
    peeking = data.target / data.target.std() + 0.3 * noise
    leaking = replace(data, X=np.column_stack([data.X, peeking]), names=(*NAMES, "peeking"))
    assert "signal.auc_ceiling" in refused(signal(leaking))
    assert "signal.auc_ceiling" not in refused(signal(data))


def test_unpurged_folds_are_refused() -> None:
    """Folds that cut through labels of a quarter of an hour leak rows, and one is too many."""
    data = rows_of(Market(volatility_edge=2.0, horizon_s=900))
    spans = {"t0": data.t0, "t1": data.t1}
    leaks = sum(leak_count(train, test, **spans) for train, test in KFold(5).split(data.X))
    assert leaks >= 8 * 14 - 5
    assert "signal.leak_count" in refused({**signal(data), "leak_count": float(leaks)})
    assert "signal.leak_count" not in refused(signal(data))


def test_scaler_on_all_rows_is_refused() -> None:
    """The probe finds test rows whose score depends on rows outside training: a leak count."""
    data = rows_of(Market(days=2, volatility_edge=2.0))
    split = list(PurgedKFold(data.t0, data.t1).splits())[2]

    def on_all(rows: Dataset, train: Int1D) -> Callable[[Float2D], np.ndarray]:
        scaler = WinsorScaler().fit(rows.X)
        model = fit_model(TRIAL, scaler.transform(rows.X[train]), rows.y[train])
        return lambda X: model.predict(scaler.transform(X))

    def inside(rows: Dataset, train: Int1D) -> Callable[[Float2D], np.ndarray]:
        return refit(rows.rows(train), TRIAL).predict

    numbers = signal(data)
    leaks = outside_influence(on_all, data, split, seed=0)
    assert leaks > 0.9 * len(split.test)
    assert "signal.leak_count" in refused({**numbers, "leak_count": float(leaks)})
    assert outside_influence(inside, data, split, seed=0) == 0
