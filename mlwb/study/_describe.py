"""Distribution of each feature and what it shares with the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import EmptyWindowError
from mlwb.features import WINSOR

__all__ = ["Distribution", "Redundancy", "describe", "redundancy"]

QUANTILES = (WINSOR[0], 0.25, 0.5, 0.75, WINSOR[1])
"""Winsor bounds, quartiles and median."""


@dataclass(frozen=True)
class Distribution:
    """One feature at a glance.

    Parameters
    ----------
    name : str
        Feature name.
    n_obs : int
        Finite values.
    missing_share : float
        Share of rows without a value.
    mean, sd : float
        Of the finite values.
    quantiles : tuple of float
        At 0.5, 25, 50, 75 and 99.5 %.
    mode_share : float
        Share of the most frequent value: how much of an atom the feature is.
    """

    name: str
    n_obs: int
    missing_share: float
    mean: float
    sd: float
    quantiles: tuple[float, ...]
    mode_share: float


@dataclass(frozen=True)
class Redundancy:
    """Linear overlap of the features that vary.

    Parameters
    ----------
    names : tuple of str
        Features compared.
    correlation : ndarray of shape (n, n), float64
        Pearson.
    vif : ndarray of shape (n,), float64
        Variance inflation factors; infinite where a feature is a combination of others.
    """

    names: tuple[str, ...]
    correlation: Float2D
    vif: Float1D


def describe(name: str, values: Float1D) -> Distribution:
    """Describe one feature.

    Parameters
    ----------
    name : str
        Feature name.
    values : ndarray of shape (n_rows,), float64
        NaN counts as missing.

    Returns
    -------
    Distribution

    Raises
    ------
    EmptyWindowError
        No finite value.
    """
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        raise EmptyWindowError(f"{name} has no value in this window", got=f"{len(values)} rows")
    _, sizes = np.unique(finite, return_counts=True)
    return Distribution(
        name=name,
        n_obs=len(finite),
        missing_share=1.0 - len(finite) / len(values),
        mean=float(finite.mean()),
        sd=float(finite.std()),
        quantiles=tuple(float(q) for q in np.quantile(finite, QUANTILES)),
        mode_share=float(sizes.max() / len(finite)),
    )


def redundancy(X: Float2D, names: tuple[str, ...]) -> Redundancy:
    """Correlation matrix and variance inflation factors.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        Finite rows.
    names : tuple of str
        Column names; constant columns are left out.

    Returns
    -------
    Redundancy
    """
    varies = np.ptp(X, axis=0) > 0.0
    kept = tuple(name for name, keep in zip(names, varies, strict=True) if keep)
    matrix = np.atleast_2d(np.corrcoef(X[:, varies], rowvar=False))
    values, vectors = np.linalg.eigh(matrix)
    inverse = np.where(values > 1e-10, 1.0 / np.maximum(values, 1e-300), np.inf)
    weights = vectors**2
    parts = np.where(weights > 1e-12, weights * inverse, 0.0)
    return Redundancy(kept, matrix, np.asarray(parts.sum(axis=1), dtype=np.float64))
