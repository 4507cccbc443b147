"""Scores and targets of many small markets at once, with no skill in them or with a known one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D, Float2D
from mlwb.model import Skill, skill

__all__ = ["DESIGNS", "Design", "contributions", "skills"]

Draw = Callable[[np.random.Generator, tuple[int, int]], tuple[Float2D, Float2D]]
N_FOLDS = 5


@dataclass(frozen=True)
class Design:
    """A way in which rows can depend on each other without a skill.

    Parameters
    ----------
    about : str
        What is wrong with taking the rows as independent.
    overlap : int
        Rows a label spans: the least block.
    draw : callable
        ``(rng, (n_markets, n_rows))`` to scores and targets.
    """

    about: str
    overlap: int
    draw: Draw


def persistent(rng: np.random.Generator, shape: tuple[int, int], phi: float) -> Float2D:
    """AR(1) rows of unit variance."""
    burn = int(10 / (1 - phi))
    shocks = rng.standard_normal((shape[0], shape[1] + burn))
    found = lfilter([np.sqrt(1.0 - phi * phi)], [1.0, -phi], shocks, axis=1)
    return np.asarray(found[:, burn:], dtype=np.float64)


def _independent(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Float2D, Float2D]:
    return rng.standard_normal(shape), rng.standard_normal(shape)


def _slow_signal(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Float2D, Float2D]:
    return persistent(rng, shape, 0.98), rng.standard_t(4, shape)


def _overlapping(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Float2D, Float2D]:
    moves = rng.standard_t(4, (shape[0], shape[1] + 15))
    path = np.cumsum(moves, axis=1)
    return persistent(rng, shape, 0.98), path[:, 15:] - path[:, :-15]


def _stochastic(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Float2D, Float2D]:
    """Volatility that both the returns and the size of the signal follow."""
    volatility = np.exp(persistent(rng, shape, 0.99))
    return persistent(rng, shape, 0.9) * volatility, rng.standard_normal(shape) * volatility


def _bounce(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Float2D, Float2D]:
    """Last trades alternate between bid and ask, so returns are negatively correlated."""
    side = np.sign(rng.standard_normal((shape[0], shape[1] + 1)))
    return persistent(rng, shape, 0.9), rng.standard_normal(shape) + np.diff(side, axis=1)


DESIGNS = {
    "independent": Design("nothing", 1, _independent),
    "slow signal": Design("the signal hardly changes", 1, _slow_signal),
    "overlapping labels": Design("15 labels share a return", 15, _overlapping),
    "stochastic volatility": Design("size clusters on both sides", 1, _stochastic),
    "bid-ask bounce": Design("returns turn back", 1, _bounce),
}
"""The null designs: in none of them does the score know anything about the target."""


def contributions(score: Float2D, target: Float2D) -> Float2D:
    """Rank contributions of every market, ranks within equal folds."""
    return _ranks(score) * _ranks(target)


def _ranks(values: Float2D) -> Float2D:
    m, n = values.shape
    folds = values[:, : n // N_FOLDS * N_FOLDS].reshape(m, N_FOLDS, -1)
    ranks = rankdata(folds, axis=2)
    centred = ranks - ranks.mean(axis=2, keepdims=True)
    scaled = centred / ranks.std(axis=2, keepdims=True)
    return np.asarray(scaled.reshape(m, -1), dtype=np.float64)


def skills(rows: Float2D, overlap: int, *, n_resamples: int = 499) -> Iterator[Skill]:
    """Skill of every market, each with a seed of its own."""
    for seed, series in enumerate(rows):
        one: Float1D = series
        yield skill(one, least_block=overlap, n_resamples=n_resamples, seed=seed)
