"""What PSI chance alone gives a window of the reference against the rest of it; numpy only.

The server shows these limits beside the live PSI. ``mlwb.drift._null`` (scipy) has the whole law.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlwb.core.arrays import Float1D, Int1D, Int2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._memory import day_memory
from mlwb.drift._psi import psi_of_rows
from mlwb.drift._tails import f_quantile

__all__ = ["WindowScores", "chance_limit", "law_degrees", "window_scores", "windows_of"]

_MIN_BLOCKS = 5
"""Fewer blocks than this say nothing about the spread of a statistic."""
_DRAWS = 400
_MOST_DEGREES = 1e6
"""A null of less spread than this (the time of day: every day is the same) has it all the same,
since the law cannot be computed for none."""


class WindowScores(NamedTuple):
    """PSI of windows of the reference against the rest of it.

    Parameters
    ----------
    scores : ndarray of shape (n_windows,), float64
        Nats, scaled by ``memory``.
    n_blocks : int
        Blocks of the reference.
    memory : float
        How many times a window of blocks in a row exceeds one of blocks drawn at random, >= 1.
    """

    scores: Float1D
    n_blocks: int
    memory: float


def chance_limit(
    name: str, counts: Sequence[Int1D] | Int2D, *, window_blocks: int, probability: float = 0.95
) -> float:
    """PSI that a window without any change stays below with this probability.

    The quantile of ``BlockNull`` of the same blocks, without scipy.

    Parameters
    ----------
    name : str
        Feature name.
    counts : sequence of ndarray
        Counts of each block, in time order, none empty.
    window_blocks : int
        Blocks a window.
    probability : float, default=0.95
        In (0, 1).

    Returns
    -------
    float
        Nats.

    Raises
    ------
    EmptyWindowError
        As :func:`window_scores`.
    """
    found = window_scores(name, counts, window_blocks=window_blocks)
    h = law_degrees(found.scores)
    mean = float(found.scores.mean())
    return mean * f_quantile(probability, h, h * (found.n_blocks - 1)) if mean > 0.0 else 0.0


def law_degrees(scores: Float1D) -> float:
    """Degrees of freedom of the law that scores follow, > 0: directions a window can be off in."""
    mean, spread = float(scores.mean()), float(scores.var(ddof=1))
    least = 2.0 * mean**2 / _MOST_DEGREES
    return 2.0 * mean**2 / max(spread, least) if mean > 0.0 else 1.0


def window_scores(
    name: str, counts: Sequence[Int1D] | Int2D, *, window_blocks: int
) -> WindowScores:
    """Score windows of the reference against the rest of it, see ``block_null``.

    Raises
    ------
    EmptyWindowError
        Fewer than five blocks, or no remainder of a window's length.
    """
    table = np.asarray(counts)
    n_blocks = len(table)
    if n_blocks < max(_MIN_BLOCKS, 2 * window_blocks):
        raise EmptyWindowError(
            f"the reference of {name} is too short for its own null",
            expected=f"at least {max(_MIN_BLOCKS, 2 * window_blocks)} blocks",
            got=f"{n_blocks}",
        )
    windows = windows_of(table, window_blocks)
    memory = day_memory(table).inflation(window_blocks, n_blocks)
    # a drawn window meets the blocks that are left, the current one will meet all of them
    fair = 1.0 - (window_blocks / n_blocks) ** 2
    scores = psi_of_rows(table.sum(axis=0) - windows, windows) * fair * memory
    return WindowScores(scores, n_blocks, memory)


def windows_of(blocks: Int2D, window_blocks: int) -> Int2D:
    """Windows that a null is made of: each block, or sums of blocks drawn without replacement.

    Parameters
    ----------
    blocks : ndarray of shape (n_blocks, n_cells), int64
        Counts of each block.
    window_blocks : int
        Blocks a window.

    Returns
    -------
    ndarray of shape (n_windows, n_cells), int64
        The same draws for every feature with as many blocks.
    """
    if window_blocks == 1:
        return blocks
    order = np.random.default_rng(0).random((_DRAWS, len(blocks))).argsort(axis=1)
    return np.asarray(blocks[order[:, :window_blocks]].sum(axis=1))
