"""Circular block bootstrap of a mean: blocks by prefix sums, many blocks by their law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError
from mlwb.stats._law import draw_sums
from mlwb.stats._sharpe import near_one

__all__ = ["BlockMeans", "block_length", "block_means", "p_against"]

_MAX_GATHERED = 1 << 22
"""Blocks picked one by one, a hundredth of a second; beyond, totals are drawn from their law."""
_SLICE = 1 << 17
"""Blocks picked at once: a megabyte of row numbers."""


@dataclass(frozen=True)
class BlockMeans:
    """Resampled means of a series.

    Parameters
    ----------
    mean : float
        Mean of the series itself.
    draws : ndarray of shape (n_resamples,), float64
        Mean of each resample.
    block : int
        Rows a block.
    n_obs : int
        Rows of the series.
    """

    mean: float
    draws: Float1D
    block: int
    n_obs: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval of the mean at a level in (0, 1)."""
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(self.draws, [tail, 1.0 - tail])
        return float(low), float(high)


def block_length(series: Float1D, *, least: int = 1) -> int:
    """Block length of the circular bootstrap by Politis and White (2004, corrected 2009).

    Parameters
    ----------
    series : ndarray of shape (n_obs,), float64
        In time order, finite.
    least : int, default=1
        Lower bound, for example the horizon of overlapping labels.

    Returns
    -------
    int
        Rows: the estimate rounded up, at most ``min(3 sqrt(n), n / 3)``, but never below
        ``least`` as long as three blocks of that length fit.

    Raises
    ------
    EmptyWindowError
        A value is not finite.

    Notes
    -----
    Equal to ``arch.bootstrap.optimal_block_length`` rounded up: the first quiet lag counts as a
    significant one, as in the authors' own program, which errs towards longer blocks.

    References
    ----------
    .. [1] Politis and White (2004), Econometric Reviews 23; Patton, Politis and White (2009).
    """
    n = len(series)
    if not np.isfinite(series).all():
        raise EmptyWindowError("no dependence to measure", expected="finite values")
    if n < 10 or float(np.ptp(series)) == 0.0:
        return max(1, least)
    quiet_run = max(5, int(np.log10(n)))
    n_lags = int(np.ceil(np.sqrt(n))) + quiet_run
    series = near_one(series)
    acov, rho = _autocovariance(series - series.mean(), min(n_lags, n - 2))
    quiet = rho < 2.0 * np.sqrt(np.log10(n) / n)
    runs = (lag for lag in range(len(rho) - quiet_run) if quiet[lag : lag + quiet_run].all())
    width = min(2 * max(next(runs, n_lags), 1), len(rho) - 1)
    lags = np.arange(1, width + 1)
    weights = 2.0 * np.minimum(1.0, 2.0 * (1.0 - lags / width)) * acov[1 : width + 1]
    slope, spectrum = float(weights @ lags), float(acov[0] + weights.sum())
    if spectrum == 0.0:
        return max(1, least)
    best = (1.5 * n * (slope / spectrum) ** 2) ** (1.0 / 3.0)
    longest = np.ceil(min(3.0 * np.sqrt(n), n / 3.0))
    return int(max(min(np.ceil(best), longest), min(least, n // 3), 1))


def _autocovariance(x: Float1D, n_lags: int) -> tuple[Float1D, Float1D]:
    """Autocovariance by lag, and the size of the correlation between the overlapping parts."""
    n = len(x)
    size = 1 << int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(x, size)
    cross = np.fft.irfft(spectrum * np.conj(spectrum), size)[: n_lags + 1]
    squares = np.cumsum(x * x)
    early = squares[n - 2 - np.arange(n_lags + 1)]
    late = squares[-1] - squares[: n_lags + 1]
    return cross / n, np.abs(cross) / np.sqrt(early * late)


def block_means(
    series: Float1D, *, block: int, n_resamples: int, rng: np.random.Generator
) -> BlockMeans:
    """Means of circular block resamples.

    A resample is ``n // block`` whole blocks and one that is cut to length, each starting at a
    random row. Where that is more picks than a hundredth of a second allows (short blocks in a long
    series), the totals are drawn from the law of such a sum instead, which is known: time and
    memory do not grow with ``n_resamples * n / block``.

    Parameters
    ----------
    series : ndarray of shape (n_obs,), float64
        In time order, finite.
    block : int
        Rows a block, >= 1.
    n_resamples : int
        Number of resamples.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    BlockMeans

    Raises
    ------
    EmptyWindowError
        The series is empty or not finite.

    Examples
    --------
    >>> drawn = block_means(np.ones(50), block=5, n_resamples=9, rng=np.random.default_rng(0))
    >>> drawn.mean, float(drawn.draws.max())
    (1.0, 1.0)
    """
    n = len(series)
    if n == 0 or not np.isfinite(series).all():
        raise EmptyWindowError("nothing to resample", expected="finite rows", got=f"{n} rows")
    block = min(block, n)
    n_blocks, rest = divmod(n, block)
    mean = float(series.mean())
    if n_resamples * n_blocks <= _MAX_GATHERED:
        total = _gathered(_block_sums(series, block), n_blocks, n_resamples, rng=rng)
        if rest:
            total += _block_sums(series, rest)[rng.integers(0, n, size=n_resamples)]
        return BlockMeans(mean, total / n, block, n)
    centred = series - mean
    parts = [(_block_sums(centred, block), n_blocks)]
    if rest:
        parts.append((_block_sums(centred, rest), 1))
    return BlockMeans(mean, mean + draw_sums(parts, n_resamples, rng) / n, block, n)


def _block_sums(series: Float1D, length: int) -> Float1D:
    """Sum of the ``length`` rows from every row on, round the end, shape (n_obs,)."""
    prefix = np.concatenate([[0.0], np.cumsum(np.concatenate([series, series[:length]]))])
    return np.asarray(prefix[length : length + len(series)] - prefix[: len(series)])


def _gathered(
    sums: Float1D, n_blocks: int, n_resamples: int, *, rng: np.random.Generator
) -> Float1D:
    """Totals of blocks picked at random, as many resamples at once as fit the cache."""
    out = np.empty(n_resamples)
    step = max(1, _SLICE // n_blocks)
    for first in range(0, n_resamples, step):
        rows = out[first : first + step]
        picked = rng.integers(0, len(sums), size=(len(rows), n_blocks))
        rows[:] = sums[picked].sum(axis=1)
    return out


def p_against(drawn: BlockMeans) -> float:
    """Share of resampled means at or below zero, with the +1 of Phipson and Smyth (2010).

    ``(1 + #{mean <= 0}) / (B + 1)``; the null is *the candidate is no better*.

    Parameters
    ----------
    drawn : BlockMeans
        Of the per-row difference candidate minus baseline.

    Returns
    -------
    float
        In (0, 1].
    """
    return float((1 + int((drawn.draws <= 0.0).sum())) / (len(drawn.draws) + 1))
