"""Whether the clip bounds of earlier rows fit later ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.features import WINSOR

__all__ = ["CLIP_ALARM", "CLIP_EXPECTED", "Clipping", "clipping"]

CLIP_EXPECTED = 0.01
"""What lies beyond both bounds if nothing changes."""
CLIP_ALARM = 0.03
"""Beyond three times that, clipping hides the change from PSI: all of it falls into the outermost
bins."""


@dataclass(frozen=True)
class Clipping:
    """Values beyond bounds that were fitted before them.

    Parameters
    ----------
    name : str
        Feature name.
    low, high : float
        Bounds from the earlier rows, in the feature's unit; NaN without a value there.
    below, above, n_obs : int
        Later values beyond each bound, of how many.
    """

    name: str
    low: float
    high: float
    below: int
    above: int
    n_obs: int

    @property
    def rate(self) -> float:
        """Share of later values clipped; NaN where there are none."""
        return (self.below + self.above) / self.n_obs if self.n_obs else float("nan")

    @property
    def is_alarming(self) -> bool:
        """More than three times what is expected."""
        return self.rate > CLIP_ALARM


def clipping(name: str, earlier: Float1D, later: Float1D) -> Clipping:
    """Fit the clip bounds on earlier rows and count later values beyond them.

    Parameters
    ----------
    name : str
        Feature name.
    earlier, later : ndarray of shape (n_rows,), float64
        NaN is left out.

    Returns
    -------
    Clipping
        A value on a bound is not clipped, so a constant has a rate of 0.

    Examples
    --------
    >>> found = clipping("x", np.arange(1_000.0), np.array([-5.0, 0.0, 500.0, 2_000.0]))
    >>> found.below, found.above, found.n_obs
    (2, 1, 4)
    """
    fitted, seen = earlier[np.isfinite(earlier)], later[np.isfinite(later)]
    if len(fitted) == 0:
        return Clipping(name, float("nan"), float("nan"), 0, 0, 0)
    low, high = (float(q) for q in np.quantile(fitted, WINSOR))
    return Clipping(name, low, high, int((seen < low).sum()), int((seen > high).sum()), len(seen))
