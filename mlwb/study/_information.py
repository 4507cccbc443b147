"""What a feature knows about what comes next, with honest error bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D
from mlwb.stats import block_length, block_means

__all__ = ["Information", "effective_n", "information"]


@dataclass(frozen=True)
class Information:
    """Rank information coefficient of one feature at one horizon.

    Parameters
    ----------
    name : str
        Feature name.
    horizon_s : int
        Seconds ahead.
    rank_ic : float
        Spearman correlation of feature and target over time; NaN when one side is constant.
    low, high : float
        95 % block-bootstrap interval.
    n_obs, block : int
        Rows, and rows a bootstrap block.
    """

    name: str
    horizon_s: int
    rank_ic: float
    low: float
    high: float
    n_obs: int
    block: int


def information(
    name: str,
    values: Float1D,
    target: Float1D,
    *,
    horizon_s: int,
    horizon_rows: int,
    n_resamples: int,
    seed: int,
) -> Information:
    """Rank IC of one feature against one target.

    Parameters
    ----------
    name : str
        Feature name.
    values, target : ndarray of shape (n_rows,), float64
        In time order; rows where either is NaN are left out.
    horizon_s : int
        Seconds the target looks ahead.
    horizon_rows : int
        Rows that overlap because of it: the shortest bootstrap block.
    n_resamples, seed : int
        Of the circular block bootstrap.

    Returns
    -------
    Information
    """
    rows = np.isfinite(values) & np.isfinite(target)
    x, y = _standard_ranks(values[rows]), _standard_ranks(target[rows])
    contribution = x * y
    if len(contribution) == 0 or not x.any() or not y.any():
        nan = float("nan")
        return Information(name, horizon_s, nan, nan, nan, len(contribution), 1)
    block = block_length(contribution, least=horizon_rows)
    rng = np.random.default_rng([seed, horizon_s])
    drawn = block_means(contribution, block=block, n_resamples=n_resamples, rng=rng)
    low, high = drawn.interval(0.95)
    return Information(name, horizon_s, drawn.mean, low, high, drawn.n_obs, block)


def effective_n(values: Float1D) -> float:
    """Rows of independent data the series is worth, for its mean.

    ``n / (1 + 2 sum_k rho_k)``, the sum cut at the first lag whose autocorrelation is not
    positive (Geyer 1992).

    Parameters
    ----------
    values : ndarray of shape (n_obs,), float64
        NaN is left out.

    Returns
    -------
    float
        Between 1 and n.
    """
    x = values[np.isfinite(values)]
    n = len(x)
    if n < 3 or np.ptp(x) == 0.0:
        return float(n)
    x = x - x.mean()
    size = 1 << int(np.ceil(np.log2(2 * n)))
    spectrum = np.abs(np.fft.rfft(x, size)) ** 2
    rho = np.fft.irfft(spectrum, size)[:n]
    rho = rho / rho[0]
    ends = np.flatnonzero(rho <= 0.0)
    last = int(ends[0]) if len(ends) else n
    return float(min(max(n / (1.0 + 2.0 * float(rho[1:last].sum())), 1.0), n))


def _standard_ranks(values: Float1D) -> Float1D:
    if len(values) == 0 or np.ptp(values) == 0.0:
        return np.zeros(len(values))
    ranks = rankdata(values)
    return np.asarray((ranks - ranks.mean()) / ranks.std(), dtype=np.float64)
