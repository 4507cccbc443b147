"""The law of a sum of many independent picks, by its characteristic function."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlwb.core.arrays import Float1D

__all__ = ["draw_sums"]

_CELLS = 1 << 17
_TAIL_NATS = 30.0
"""Mass beyond the grid is below exp(-30)."""


def draw_sums(
    parts: Sequence[tuple[Float1D, int]], n_draws: int, rng: np.random.Generator
) -> Float1D:
    """Draw sums of independent picks without picking.

    The law of one pick is put on a grid, each value shared between its two neighbours so that
    the mean stays exact; the law of the sum is the product of powers of its Fourier transform.
    The sharing widens the standard deviation of the sum by less than one part in ten thousand.

    Parameters
    ----------
    parts : sequence of (ndarray of shape (n_values,), int)
        Values that are equally likely, with mean zero, and how many of them are summed.
    n_draws : int
        Sums drawn.
    rng : numpy.random.Generator
        One uniform number a draw is taken from it.

    Returns
    -------
    ndarray of shape (n_draws,), float64

    Examples
    --------
    >>> tossed = draw_sums([(np.array([-1.0, 1.0]), 10_000)], 4_000, np.random.default_rng(0))
    >>> bool(abs(tossed.std() - 100.0) < 3.0)
    True
    """
    reach = _reach(parts)
    if reach == 0.0:
        return np.zeros(n_draws)
    width = 2.0 * reach / (_CELLS - 4)
    transform = np.ones(_CELLS // 2 + 1, dtype=np.complex128)
    for values, count in parts:
        transform *= np.fft.rfft(_on_grid(values, width)) ** count
    mass = np.fft.fftshift(np.maximum(np.fft.irfft(transform, _CELLS), 0.0))
    below = np.concatenate([[0.0], np.cumsum(mass)])
    edges = (np.arange(_CELLS + 1) - _CELLS // 2 - 0.5) * width
    return np.asarray(np.interp(rng.random(n_draws), below / below[-1], edges), dtype=np.float64)


def _reach(parts: Sequence[tuple[Float1D, int]]) -> float:
    """Distance from zero that the sum exceeds with negligible probability (Bernstein)."""
    largest = max(float(np.abs(values).max()) for values, _ in parts)
    variance = sum(count * float(np.square(values).mean()) for values, count in parts)
    linear = _TAIL_NATS * largest / 3.0
    bound = linear + math.sqrt(linear * linear + 2.0 * _TAIL_NATS * variance)
    return min(bound, largest * sum(count for _, count in parts))


def _on_grid(values: Float1D, width: float) -> Float1D:
    """Probability of each cell; cell i stands for ``i * width``, the upper half for negatives."""
    place = values / width
    low = np.floor(place)
    upper_share = place - low
    cell = low.astype(np.int64)
    mass = np.bincount(cell % _CELLS, weights=1.0 - upper_share, minlength=_CELLS)
    mass += np.bincount((cell + 1) % _CELLS, weights=upper_share, minlength=_CELLS)
    return mass / len(values)
