"""What is left of an information coefficient after costs, in the same unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.stats import standardised

__all__ = ["Costed", "ic_after_costs"]


@dataclass(frozen=True)
class Costed:
    """A feature held as a position, paid for.

    Parameters
    ----------
    name : str
        Feature name.
    horizon_s : int
        Seconds each position is held.
    ic : float
        Pearson correlation of feature and coming return; NaN when one side is constant.
    hurdle : float
        Costs in the unit of the IC: what the size of ``ic`` must exceed for holding the feature to
        earn anything.
    net : float
        ``|ic| - hurdle``: the mean net return of holding the standardised feature, the way round
        that earns, over the standard deviation of the return.
    turnover : float
        Mean change of the position a row, standard deviations.
    break_even_bp : float
        One-way cost at which nothing is left, bp.
    cost_bp : float
        Mean one-way cost paid, weighted by what was traded, bp.
    n_obs : int
        Rows held.
    """

    name: str
    horizon_s: int
    ic: float
    hurdle: float
    net: float
    turnover: float
    break_even_bp: float
    cost_bp: float
    n_obs: int


def ic_after_costs(
    name: str,
    values: Float1D,
    forward: Float1D,
    cost: Float1D,
    *,
    horizon_s: int,
    horizon_rows: int,
) -> Costed:
    """Charge a feature for being traded.

    Holding for h bars is h sleeves that take turns: each bar one of them closes the position it
    took h bars ago and takes the new one, so the book changes by ``z_t - z_{t-h}``. Then ::

        net = |IC| - mean_t(cost_t |z_t - z_{t-h}|) / sd(r_h)

    is exactly the mean net return of the book over the standard deviation of ``r_h``. A row without
    value or return holds nothing; getting out of the sleeve before it is paid for as well.

    Parameters
    ----------
    name : str
        Feature name.
    values : ndarray of shape (n_minutes,), float64
        One a minute, see :func:`on_grid`; standardised here over the rows held.
    forward : ndarray of shape (n_minutes,), float64
        Log return over the horizon that follows.
    cost : ndarray of shape (n_minutes,), float64
        One-way cost of a unit of turnover as a fraction (half spread, fee, slippage), known on
        every row.
    horizon_s, horizon_rows : int
        How long a position is held.

    Returns
    -------
    Costed

    Notes
    -----
    Only a feature that foretells the sign of a return can be held this way. For a volatility label
    ``hurdle`` and ``turnover`` still say what a sign would have to be worth; ``net`` means nothing.
    """
    held = np.isfinite(values) & np.isfinite(forward)
    n, nan = int(held.sum()), float("nan")
    if n == 0 or np.ptp(values[held]) == 0.0 or np.ptp(forward[held]) == 0.0:
        return Costed(name, horizon_s, nan, nan, nan, nan, nan, nan, n)
    x, r = values[held], forward[held]
    z = np.zeros(len(values))
    z[held] = standardised(x)
    before = np.concatenate([np.zeros(horizon_rows), z])[: len(z)]
    traded = np.abs(z - before)
    turnover = float(traded.sum()) / n
    sd = float(r.std())
    if not (0.0 < sd < np.inf and turnover > 0.0):  # moves too small, or too large, to be squared
        return Costed(name, horizon_s, nan, nan, nan, nan, nan, nan, n)
    paid = float((cost * traded).sum()) / n
    ic = float((z[held] * r).mean()) / sd
    return Costed(
        name=name,
        horizon_s=horizon_s,
        ic=ic,
        hurdle=paid / sd,
        net=abs(ic) - paid / sd,
        turnover=turnover,
        break_even_bp=1e4 * abs(ic) * sd / turnover,
        cost_bp=1e4 * paid / turnover,
        n_obs=n,
    )
