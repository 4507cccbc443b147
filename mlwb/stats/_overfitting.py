"""How probable it is that picking the best in sample picks a loser out of sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import EmptyWindowError, ParamsError

__all__ = ["Overfitting", "overfitting"]

_CONSTANT = 1e-12
"""A variance below this share of the mean square is rounding: the configuration is constant."""
_MAX_SPLITS = 50_000


@dataclass(frozen=True)
class Overfitting:
    """What combinatorially symmetric cross-validation says of a choice among configurations.

    Parameters
    ----------
    probability : float
        PBO: share of splits in which the best in sample ranks below the median out of sample;
        0.5 says that choosing is no better than drawing lots.
    logits : ndarray of shape (n_splits,), float64
        ``ln(w / (1 - w))`` of its relative rank w out of sample.
    loss_share : float
        Share of splits in which its ratio out of sample is negative.
    slope : float
        Of its ratio out of sample on that in sample, least squares; NaN when the latter is
        constant.
    n_splits : int
        Splits, ``n_blocks`` over half of it.
    """

    probability: float
    logits: Float1D
    loss_share: float
    slope: float
    n_splits: int


def overfitting(returns: Float2D, *, n_blocks: int = 16) -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    The rows are cut into ``n_blocks`` contiguous blocks; every half of them is once in sample, the
    other half out of sample. Configurations are ranked by their Sharpe ratio per period
    (ddof 1; a constant one counts as 0), ties by average rank.

    Parameters
    ----------
    returns : ndarray of shape (n_obs, n_configurations), float64
        Return or per-row score of **every** configuration that was tried, over the same periods,
        finite.
    n_blocks : int, default=16
        Even, 2 to 18; blocks should be longer than the overlap of labels.

    Returns
    -------
    Overfitting

    Raises
    ------
    ParamsError
        An odd number of blocks, or more splits than are worth counting.
    EmptyWindowError
        Fewer than two configurations, fewer than two rows a block, or a value that is not finite.

    References
    ----------
    .. [1] Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest
       overfitting, J. of Computational Finance 20(4).

    Examples
    --------
    Noise: the choice is worth nothing. One configuration that earns: it is always chosen.

    >>> noise = np.random.default_rng(0).normal(size=(960, 10))
    >>> 0.2 < overfitting(noise, n_blocks=8).probability < 0.8
    True
    >>> overfitting(noise + 0.3 * (np.arange(10) == 3), n_blocks=8).probability
    0.0
    """
    _check(returns, n_blocks)
    inside = _halves(n_blocks)
    blocks = np.array_split(returns - returns.mean(axis=0), n_blocks)
    sizes = np.array([len(block) for block in blocks], dtype=np.float64)
    sums = np.stack([block.sum(axis=0) for block in blocks])
    squares = np.stack([np.square(block).sum(axis=0) for block in blocks])
    best = _ratios(inside, sizes, sums, squares=squares, mean=returns.mean(axis=0))
    after = _ratios(1.0 - inside, sizes, sums, squares=squares, mean=returns.mean(axis=0))
    chosen = best.argmax(axis=1)[:, None]
    gained = np.take_along_axis(best, chosen, axis=1)
    kept = np.take_along_axis(after, chosen, axis=1)
    rank = (after < kept).sum(axis=1) + ((after == kept).sum(axis=1) + 1) / 2
    share = rank / (returns.shape[1] + 1)
    logits = np.log(share / (1.0 - share))
    spread = float(gained.var())
    slope = float(np.cov(gained[:, 0], kept[:, 0], ddof=0)[0, 1] / spread) if spread else math.nan
    return Overfitting(
        float((logits < 0.0).mean()), logits, float((kept < 0.0).mean()), slope, len(inside)
    )


def _check(returns: Float2D, n_blocks: int) -> None:
    if n_blocks < 2 or n_blocks % 2 or math.comb(n_blocks, n_blocks // 2) > _MAX_SPLITS:
        raise ParamsError("no such blocks", expected="an even number, 2 to 18", got=str(n_blocks))
    n_obs, n_configurations = returns.shape
    if n_configurations < 2 or n_obs < 2 * n_blocks or not np.isfinite(returns).all():
        raise EmptyWindowError(
            "no choice to judge",
            expected=f">= 2 configurations of >= {2 * n_blocks} finite rows",
            got=f"{n_configurations} of {n_obs}",
        )


def _halves(n_blocks: int) -> Float2D:
    """1 where a block is in sample, else 0, one row a split."""
    picked = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    inside = np.zeros((len(picked), n_blocks))
    np.put_along_axis(inside, picked, 1.0, axis=1)
    return inside


def _ratios(
    taken: Float2D, sizes: Float1D, sums: Float2D, *, squares: Float2D, mean: Float1D
) -> Float2D:
    """Sharpe ratio of every configuration over the blocks taken, (n_splits, n_configurations)."""
    n = (taken @ sizes)[:, None]
    shift, square = taken @ sums / n, taken @ squares / n
    variance = square - np.square(shift)
    varies = variance > _CONSTANT * (square + np.square(mean))
    spread = np.sqrt(np.where(varies, variance, 1.0) * n / (n - 1.0))
    return np.where(varies, (mean + shift) / spread, 0.0)
