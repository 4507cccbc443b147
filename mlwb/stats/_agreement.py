"""How closely two scorers agree on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DataSchemaError

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """Two scorers beside each other.

    Parameters
    ----------
    n, n_matched : int
        Rows scored by both, and those closer than the match delta.
    mean_abs_delta, median_abs_delta, p95_abs_delta, max_abs_delta : float
        Of ``|second - first|``, in units of the scores; NaN without rows. Quantiles interpolate.
    rank_corr : float
        Spearman's, tied scores at their mean rank; NaN when one side is constant.
    """

    n: int
    n_matched: int
    mean_abs_delta: float
    median_abs_delta: float
    p95_abs_delta: float
    max_abs_delta: float
    rank_corr: float

    @property
    def match_rate(self) -> float:
        """Share of rows that match; NaN without rows."""
        return self.n_matched / self.n if self.n else math.nan


def agreement(first: Float1D, second: Float1D, *, match_delta: float) -> Agreement:
    """Hold two scorers against each other, row by row.

    Parameters
    ----------
    first, second : ndarray of shape (n,), float64
        Their scores of the same rows, finite.
    match_delta : float
        Largest difference that is a match.

    Returns
    -------
    Agreement

    Raises
    ------
    DataSchemaError
        The two are not of one length.

    Examples
    --------
    >>> import numpy as np
    >>> found = agreement(np.array([0.1, 0.2, 0.9]), np.array([0.1, 0.3, 0.8]), match_delta=0.05)
    >>> found.n_matched, found.n, found.rank_corr
    (1, 3, 1.0)
    """
    if first.shape != second.shape or first.ndim != 1:
        raise DataSchemaError(
            "the two scorers did not score the same rows", got=f"{first.shape}, {second.shape}"
        )
    if len(first) == 0:
        return Agreement(0, 0, math.nan, math.nan, math.nan, math.nan, math.nan)
    delta = np.sort(np.abs(second - first))
    return Agreement(
        n=len(delta),
        n_matched=int((delta <= match_delta).sum()),
        mean_abs_delta=float(delta.mean()),
        median_abs_delta=_quantile(delta, 0.5),
        p95_abs_delta=_quantile(delta, 0.95),
        max_abs_delta=float(delta[-1]),
        rank_corr=_rank_correlation(first, second),
    )


def _quantile(ordered: Float1D, share: float) -> float:
    """Between neighbours, as np.quantile does it."""
    # Not by it: its first call imports all of numpy.ma, 14 ms on the event loop of a server.
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _rank_correlation(x: Float1D, y: Float1D) -> float:
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    found = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])
    return min(1.0, max(-1.0, found))


def _ranks(values: Float1D) -> Float1D:
    """Ranks from 1, tied values at their mean."""
    ordered = np.sort(values)
    first, after = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray((first + 1 + after) / 2.0, dtype=np.float64)
