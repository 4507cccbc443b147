"""The newest scored rows of the version that answers, and what they look like."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.drift import BinnedReference, bin_counts

__all__ = [
    "Moments",
    "ScoredRows",
    "ScoredWindow",
    "Spread",
    "shift",
    "shift_from_bins",
    "spread_of",
]

_QUANTILES = ("p05", "p25", "p50", "p75", "p95", "p99")
_SHARES = tuple(int(name[1:]) / 100 for name in _QUANTILES)


class Moments(msgspec.Struct):
    """Mean and standard deviation of a column."""

    mean: float
    sd: float


class Spread(Moments, kw_only=True):
    """How values lie; ``p95`` is what 95 % of them do not exceed."""

    min: float
    max: float
    p05: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float


class ScoredRows(NamedTuple):
    """A copy of the window.

    Parameters
    ----------
    version : str
        That scored them; empty before the first.
    rows : ndarray of shape (n_rows, n_features), float64
        Raw features, oldest first.
    scores : ndarray of shape (n_rows,), float64
        P(label = 1).
    latency_ms : ndarray of shape (n_requests,), float64
        Of the newest requests, as many as the window may hold rows.
    first_ts, last_ts : float
        Unix seconds of the oldest and the newest row; 0 without rows.
    """

    version: str
    rows: Float2D
    scores: Float1D
    latency_ms: Float1D
    first_ts: float
    last_ts: float


_Scored: TypeAlias = tuple[Sequence[tuple[float, ...]], Sequence[float], Sequence[float]]


class ScoredWindow:
    """A ring of scored rows; another version starts it anew. Changed on the event loop only.

    Parameters
    ----------
    size : int
        Rows held.

    Examples
    --------
    >>> window = ScoredWindow(2)
    >>> for x in (1.0, 2.0, 3.0):
    ...     window.add("v1", [(x,)], [0.5], 0.1, ts=x)
    >>> window.copy().rows.tolist()
    [[2.0], [3.0]]
    """

    __slots__ = ("_latencies", "_n_rows", "_parts", "_size", "_version")

    def __init__(self, size: int) -> None:
        self._size, self._version = size, ""
        self._parts: deque[_Scored] = deque()
        self._n_rows = 0
        self._latencies: deque[float] = deque(maxlen=size)

    def add(
        self,
        version: str,
        rows: Sequence[tuple[float, ...]],
        scores: Sequence[float],
        latency_ms: float,
        *,
        ts: float,
    ) -> None:
        """Take in the rows of one request."""
        self.extend(version, rows, scores, latencies_ms=[latency_ms], stamps=[ts] * len(rows))

    def extend(
        self,
        version: str,
        rows: Sequence[tuple[float, ...]],
        scores: Sequence[float],
        *,
        latencies_ms: Sequence[float],
        stamps: Sequence[float],
    ) -> None:
        """Take in the rows of several requests: each with its Unix seconds, all with their times.

        The sequences are kept and must not change.
        """
        if version != self._version:
            self._version, self._n_rows = version, 0
            self._parts.clear()
            self._latencies.clear()
        self._latencies.extend(latencies_ms)
        # As they come: rows that are too old are left out when somebody looks.
        parts = self._parts
        parts.append((rows, scores, stamps))
        self._n_rows += len(rows)
        while self._n_rows - len(parts[0][0]) >= self._size:
            self._n_rows -= len(parts.popleft()[0])

    def copy(self) -> ScoredRows:
        """What is held now."""
        held = [line for part in self._parts for line in zip(*part, strict=True)][-self._size :]
        return ScoredRows(
            self._version,
            np.array([row for row, _, _ in held]),
            np.array([score for _, score, _ in held]),
            np.array(self._latencies),
            held[0][2] if held else 0.0,
            held[-1][2] if held else 0.0,
        )


def spread_of(values: Float1D) -> Spread:
    """Mean, sd (ddof 0), ends and quantiles of at least one value."""
    quantiles = np.quantile(values, _SHARES)
    return Spread(
        float(values.mean()),
        float(values.std()),
        min=float(values.min()),
        max=float(values.max()),
        **dict(zip(_QUANTILES, map(float, quantiles), strict=True)),
    )


def shift_from_bins(values: Float1D, bins: BinnedReference) -> float | None:
    """How many of the reference's standard deviations a mean lies from the reference's.

    A frozen reference holds counts and no moments, so both sides are read at the middles of its
    bins: without a change the difference is 0 on average, however coarse the bins are.

    Parameters
    ----------
    values : ndarray of shape (n_obs,), float64
        At least one, finite.
    bins : BinnedReference
        Of the training window.

    Returns
    -------
    float or None
        None where the reference does not vary and the values are others.
    """
    bounds = np.array([bins.low, *bins.edges, bins.high])
    middles = (bounds[:-1] + bounds[1:]) / 2.0
    expected = bins.counts[: bins.n_bins] / max(1, int(bins.counts[: bins.n_bins].sum()))
    mean = float(expected @ middles)
    sd = float(np.sqrt(expected @ (middles - mean) ** 2))
    found = bin_counts(bins.edges, values)[: bins.n_bins] / len(values)
    return shift(float(found @ middles), Moments(mean, sd))


def shift(mean: float, baseline: Moments) -> float | None:
    """How many standard deviations a mean lies from the baseline's; None where there are none."""
    if baseline.sd > 0.0:
        return (mean - baseline.mean) / baseline.sd
    return 0.0 if mean == baseline.mean else None
