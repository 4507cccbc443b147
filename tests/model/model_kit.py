"""A small market of features with a planted edge, and models fitted on it."""

from __future__ import annotations

from functools import cache

import numpy as np

from mlwb.core.arrays import Float2D, Int1D
from mlwb.features import specs
from mlwb.model import Dataset, FittedModel, ModelFacts, Trial, fit_model
from tests.strategies import START

__all__ = ["NAMES", "TRIALS", "dataset", "facts", "fitted", "minutes"]

NAMES = ("bias", "mid_logret_1m", "spread_bp", "rsi14_z", "realised_vol_60m")
TRIALS = {family: Trial(family, 1.0, 0) for family in ("logistic", "boosting")}


def minutes(n: int, horizon_s: int = 300) -> tuple[Int1D, Int1D]:
    """Label spans of consecutive minutes."""
    t0 = (START + 60 * np.arange(n)).astype(np.int64)
    return t0, t0 + horizon_s


def dataset(n: int = 3_000, *, seed: int = 0, edge: float = 0.8) -> Dataset:
    """Rows in which ``realised_vol_60m`` knows the target and nothing else does."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            np.ones(n),
            rng.standard_t(4, n) * 3e-4,
            np.round(rng.gamma(2.0, 0.5, n), 1),
            rng.normal(0.0, 0.5, n),
            rng.normal(1.0, 0.7, n),
        ]
    )
    target = edge * (X[:, 4] - 1.0) / 0.7 + rng.normal(size=n)
    t0, t1 = minutes(n)
    return Dataset(X, (target > 0).astype(np.float64), t0, t1, target, NAMES)


@cache
def fitted(family: str) -> tuple[FittedModel, Float2D]:
    """A model of a family and the rows it was fitted on."""
    data = dataset(6_000)
    return fit_model(TRIALS[family], data.X, data.y), data.X


def facts() -> ModelFacts:
    """Facts of a version with those features."""
    return ModelFacts("v1.0.0", specs(NAMES), "volatility", 60, quoted=True)
