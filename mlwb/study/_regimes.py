"""The same questions asked in each regime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.stats import block_length, block_means
from mlwb.study._information import Information, information

__all__ = ["RegimeStudy", "regime_study"]


@dataclass(frozen=True)
class RegimeStudy:
    """What one regime is like.

    Parameters
    ----------
    name : str
        Of the regime.
    n_rows : int
        Rows in it.
    share : float
        Of all rows whose regime is known.
    base_rate, base_low, base_high : float
        Share of label 1, and its 95 % block-bootstrap interval; NaN without a label.
    n_labels : int
        Rows with a label.
    information : tuple of Information
        One a feature, at the label's horizon.
    """

    name: str
    n_rows: int
    share: float
    base_rate: float
    base_low: float
    base_high: float
    n_labels: int
    information: tuple[Information, ...]


def regime_study(
    regimes: Int1D,
    y: Float1D,
    target: Float1D,
    named: Sequence[tuple[str, Float1D]],
    *,
    names: Sequence[str],
    horizon_s: int,
    horizon_rows: int,
    n_resamples: int,
    seed: int,
) -> tuple[RegimeStudy, ...]:
    """Base rate and rank IC of every feature, regime by regime.

    Parameters
    ----------
    regimes : ndarray of shape (n_rows,), int64
        Index into ``names``; negative where unknown.
    y, target : ndarray of shape (n_rows,), float64
        Label in {0, 1} and what features are held against; NaN where unknown.
    named : sequence of (str, ndarray of shape (n_rows,))
        Features.
    names : sequence of str
        Of the regimes.
    horizon_s, horizon_rows : int
        Of label and target.
    n_resamples, seed : int
        Of the block bootstrap, over the rows of a regime put end to end.

    Returns
    -------
    tuple of RegimeStudy
        One a regime, in the order of ``names``.
    """
    known = int((regimes >= 0).sum())
    found = []
    for number, name in enumerate(names):
        rows = regimes == number
        labels = y[rows][np.isfinite(y[rows])]
        low, high = _base(labels, horizon_rows, n_resamples, seed)
        told = tuple(
            information(
                feature,
                values[rows],
                target[rows],
                horizon_s=horizon_s,
                horizon_rows=horizon_rows,
                n_resamples=n_resamples,
                seed=seed,
            )
            for feature, values in named
        )
        found.append(
            RegimeStudy(
                name=name,
                n_rows=int(rows.sum()),
                share=int(rows.sum()) / known if known else float("nan"),
                base_rate=float(labels.mean()) if len(labels) else float("nan"),
                base_low=low,
                base_high=high,
                n_labels=len(labels),
                information=told,
            )
        )
    return tuple(found)


def _base(labels: Float1D, horizon_rows: int, n_resamples: int, seed: int) -> tuple[float, float]:
    if len(labels) == 0:
        return float("nan"), float("nan")
    block = block_length(labels, least=horizon_rows)
    rng = np.random.default_rng(seed)
    return block_means(labels, block=block, n_resamples=n_resamples, rng=rng).interval(0.95)
