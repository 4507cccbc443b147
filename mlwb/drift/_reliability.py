"""Whether probabilities still mean what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.clock import DAY_S
from mlwb.core.errors import DataSchemaError, EmptyWindowError

__all__ = ["Reliability", "reliability"]

_EDGE = 1e-6
"""Probabilities are held this far from 0 and 1 where their log odds are taken."""
_MAX_STEPS = 50
_MIN_DAYS = 5
_NONE = (math.nan, math.nan)


@dataclass(frozen=True)
class Reliability:
    """How far probabilities are from frequencies.

    Parameters
    ----------
    gap : float
        Frequency less mean probability.
    gap_interval : tuple of float
        95 % interval of it over resampled days; NaN with fewer than five.
    ece : float
        Expected calibration error: over bins of equal size, the mean absolute gap.
    ece_interval : tuple of float
        95 % interval, reflected at the estimate since resampling, like the sample, can only add to
        an absolute gap; from 0 on where ``ece`` is not above ``ece_chance``.
    ece_chance : float
        95 % quantile of the error that a calibrated model would show on as many such days.
    intercept, slope : float
        Of the logistic regression of the label on the log odds of the probability (Cox 1958); 0 and
        1 where calibrated, a slope below 1 where probabilities are too sure. NaN where labels are
        all the same or can be told apart without error.
    n_obs, n_days : int
        Rows, and UTC days of the labels.
    """

    gap: float
    gap_interval: tuple[float, float]
    ece: float
    ece_interval: tuple[float, float]
    ece_chance: float
    intercept: float
    slope: float
    n_obs: int
    n_days: int


def reliability(
    probability: Float1D,
    label: Int1D,
    matured_ts: Int1D,
    *,
    rng: np.random.Generator,
    n_bins: int = 10,
    n_resamples: int = 999,
) -> Reliability:
    """Calibration of matured predictions, with intervals from whole days resampled.

    Parameters
    ----------
    probability : ndarray of shape (n_obs,), float64
        Of label 1, in [0, 1].
    label : ndarray of shape (n_obs,), int64
        0 or 1.
    matured_ts : ndarray of shape (n_obs,), int64
        Unix seconds at which each label was known.
    rng : numpy.random.Generator
        Source of randomness.
    n_bins : int, default=10
        Bins of equal size; equal probabilities stay together, so fewer may result.
    n_resamples : int, default=999
        Resamples of the days.

    Returns
    -------
    Reliability

    Raises
    ------
    EmptyWindowError
        No rows.
    DataSchemaError
        A probability outside [0, 1] or NaN, a label that is neither 0 nor 1.
    """
    if len(probability) == 0:
        raise EmptyWindowError("no label has matured", expected="at least one row")
    inside = ((probability >= 0.0) & (probability <= 1.0)).all()
    if not bool(inside and ((label == 0) | (label == 1)).all()):
        raise DataSchemaError("calibration needs probabilities in [0, 1] and labels 0 or 1")
    table, rows = _residuals(probability, label, matured_ts // DAY_S, n_bins=n_bins)
    gap, ece = _gap_and_ece(table.sum(axis=0)[None], rows.sum()[None])
    value, interval, ece_interval, chance = float(ece[0]), _NONE, _NONE, math.nan
    if len(rows) >= _MIN_DAYS:
        drawn = rng.multinomial(len(rows), np.full(len(rows), 1.0 / len(rows)), size=n_resamples)
        gaps, eces = _gap_and_ece(drawn @ table, drawn @ rows)
        interval, (low, high) = _quantiles(gaps), _quantiles(eces)
        chance = float(np.quantile(_gap_and_ece((drawn - 1) @ table, drawn @ rows)[1], 0.95))
        ece_interval = 2.0 * value - high if value > chance else 0.0, 2.0 * value - low
        ece_interval = max(ece_interval[0], 0.0), max(ece_interval[1], 0.0)
    intercept, slope = _cox(probability, label)
    return Reliability(
        gap=float(gap[0]),
        gap_interval=interval,
        ece=value,
        ece_interval=ece_interval,
        ece_chance=chance,
        intercept=intercept,
        slope=slope,
        n_obs=len(probability),
        n_days=len(rows),
    )


def _residuals(
    probability: Float1D, label: Int1D, days: Int1D, *, n_bins: int
) -> tuple[Float2D, Int1D]:
    """Sum of label less probability by day and bin, and the rows of each day."""
    edges = np.unique(np.quantile(probability, np.arange(1, n_bins) / n_bins))
    bins = np.searchsorted(edges, probability, side="left")
    distinct, place, rows = np.unique(days, return_inverse=True, return_counts=True)
    n_cells = len(edges) + 1
    flat = np.bincount(
        place * n_cells + bins, weights=label - probability, minlength=len(distinct) * n_cells
    )
    table = np.asarray(flat.reshape(len(distinct), n_cells), dtype=np.float64)
    return table, np.asarray(rows, dtype=np.int64)


def _gap_and_ece(sums: Float2D, rows: Int1D) -> tuple[Float1D, Float1D]:
    """Both statistics of each row of bin sums."""
    return sums.sum(axis=1) / rows, np.abs(sums).sum(axis=1) / rows


def _quantiles(draws: Float1D) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _cox(probability: Float1D, label: Int1D) -> tuple[float, float]:
    """Newton's steps of a logistic regression on the log odds, from the calibrated answer."""
    held = np.clip(probability, _EDGE, 1.0 - _EDGE)
    odds = np.log(held / (1.0 - held))
    design = np.column_stack([np.ones(len(odds)), odds])
    beta = np.array([0.0, 1.0])
    for _ in range(_MAX_STEPS):
        fitted = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30.0, 30.0)))
        information = (design * (fitted * (1.0 - fitted))[:, None]).T @ design
        if np.linalg.cond(information) > 1e12:
            break
        step = np.linalg.solve(information, design.T @ (label - fitted))
        beta = beta + step
        if float(np.abs(step).max()) < 1e-10:
            return float(beta[0]), float(beta[1])
    return math.nan, math.nan
