"""How much history a value needs: the same bar, reached from later and later starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float2D
from mlwb.core.bars import TS
from mlwb.features._spec import FeatureSpec
from mlwb.features.batch import compute

__all__ = ["StartSensitivity", "start_sensitivity"]

WARM_UPS_S = (0, 60, 300, 900, 1_800, 3_600, 3_660, 7_200, 21_600, 43_200, 60_000, 86_400)
"""Seconds of history tried."""


@dataclass(frozen=True)
class StartSensitivity:
    """What a later start does to a feature.

    Parameters
    ----------
    name : str
        Feature.
    lookback_s : int
        Seconds of history the row of the feature asks for.
    warm_up_s : tuple of int
        Seconds of history given.
    worst : tuple of float
        Largest difference from the value with all history, in the feature's unit; infinite where
        one of the two is not known.
    """

    name: str
    lookback_s: int
    warm_up_s: tuple[int, ...]
    worst: tuple[float, ...]

    @property
    def needed_s(self) -> int | None:
        """Least warm-up tried from which on all values are the same bits; None if none is."""
        needed = None
        for warm_up, difference in zip(self.warm_up_s[::-1], self.worst[::-1], strict=True):
            if difference != 0.0:
                break
            needed = warm_up
        return needed

    @property
    def is_enough(self) -> bool:
        """True where every warm-up of at least the look-back gives the same bits."""
        tried = zip(self.warm_up_s, self.worst, strict=True)
        return all(worst == 0.0 for warm_up, worst in tried if warm_up >= self.lookback_s)


def start_sensitivity(
    chosen: Sequence[FeatureSpec],
    bars: Float2D,
    *,
    warm_ups_s: Sequence[int] = WARM_UPS_S,
    n_points: int = 8,
    seed: int = 0,
) -> tuple[StartSensitivity, ...]:
    """Compare values with those of streams that began shortly before.

    A feature with a memory that fades, as Wilder's averages, differs for a while; a server that
    starts cold must wait that long.

    Parameters
    ----------
    chosen : sequence of FeatureSpec
        What to try.
    bars : ndarray of shape (n_bars, n_fields), float64
        As :func:`mlwb.features.batch.compute` takes them.
    warm_ups_s : sequence of int
        Seconds of history to try; those longer than the market are left out.
    n_points : int, default=8
        Bars compared at each warm-up, in the last quarter of the market.
    seed : int, default=0
        Of the points.

    Returns
    -------
    tuple of StartSensitivity
        One a feature.
    """
    n = len(bars)
    rng = np.random.default_rng(seed)
    points = np.sort(
        rng.choice(np.arange(3 * n // 4, n), min(n_points, n - 3 * n // 4), replace=False)
    )
    whole, ts = compute(chosen, bars), bars[:, TS]
    tried = sorted({w for w in warm_ups_s if len(points) and ts[points[0]] - ts[0] >= w})
    worst = np.zeros((len(tried), len(chosen)))
    for i, warm_up in enumerate(tried):
        for row in points.tolist():
            first = int(np.searchsorted(ts, ts[row] - warm_up))
            got = compute(chosen, bars[first : row + 1])[-1]
            worst[i] = np.maximum(worst[i], _apart(whole[row], got))
    return tuple(
        StartSensitivity(spec.name, spec.lookback_s, tuple(tried), tuple(worst[:, j].tolist()))
        for j, spec in enumerate(chosen)
    )


def _apart(left: Float2D, right: Float2D) -> Float2D:
    unknown = np.isnan(left), np.isnan(right)
    apart = np.abs(left - right)
    apart[unknown[0] ^ unknown[1]] = np.inf
    apart[unknown[0] & unknown[1]] = 0.0
    return apart
