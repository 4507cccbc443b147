"""Circular block bootstrap of a mean, by prefix sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError

__all__ = ["BlockMeans", "block_length", "block_means", "p_against"]


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
        Rows, between ``least`` and a third of the series.

    References
    ----------
    .. [1] Politis and White (2004), Econometric Reviews 23; Patton, Politis and White (2009).
    """
    n = len(series)
    if n < 8 or float(np.ptp(series)) == 0.0:
        return max(1, least)
    x = series - series.mean()
    k_n = max(5, int(np.sqrt(np.log10(n))))
    m_max = int(np.ceil(np.sqrt(n))) + k_n
    size = 1 << int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(x, size)
    acov = np.fft.irfft(spectrum * np.conj(spectrum), size)[: m_max + 1] / n
    rho = np.abs(acov / acov[0])
    quiet = rho < 2.0 * np.sqrt(np.log10(n) / n)
    m_hat = next(
        (lag - 1 for lag in range(1, m_max - k_n + 2) if quiet[lag : lag + k_n].all()), m_max // 2
    )
    lags = np.arange(-min(2 * max(m_hat, 1), m_max), min(2 * max(m_hat, 1), m_max) + 1)
    share = np.abs(lags) / max(2 * max(m_hat, 1), 1)
    window = np.where(share <= 0.5, 1.0, 2.0 * (1.0 - np.minimum(share, 1.0)))
    values = window * acov[np.abs(lags)]
    g, spectrum0 = float((np.abs(lags) * values).sum()), float(values.sum())
    if spectrum0 <= 0.0:
        return max(1, least)
    best = (2.0 * g * g / (4.0 / 3.0 * spectrum0 * spectrum0)) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return int(min(max(np.ceil(best), least, 1), max(n // 3, 1)))


def block_means(
    series: Float1D, *, block: int, n_resamples: int, rng: np.random.Generator
) -> BlockMeans:
    """Means of circular block resamples.

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
    full, rest = divmod(n, block)
    prefix = np.concatenate([[0.0], np.cumsum(np.concatenate([series, series[:block]]))])
    starts = rng.integers(0, n, size=(n_resamples, full))
    total = (prefix[starts + block] - prefix[starts]).sum(axis=1)
    if rest:
        start = rng.integers(0, n, size=n_resamples)
        total = total + prefix[start + rest] - prefix[start]
    return BlockMeans(float(series.mean()), total / n, block, n)


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
