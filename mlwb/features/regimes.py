"""Market regimes known at the decision: volatile, trending or ranging.

Two numbers of the last four hours describe a bar; two cuts, fitted on training rows only, name its
regime. Volatile first: a bar above the volatility cut is volatile however straight its path; of the
others, a path straighter than the efficiency cut is trending; the rest is ranging. Offline only:
the inputs come from :mod:`mlwb.features.batch`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.features._trailing import efficiency_spec, trailing_vol_spec
from mlwb.features.batch import compute

__all__ = [
    "REGIMES",
    "RegimeCuts",
    "RegimeInputs",
    "fit_regimes",
    "regime_inputs",
    "regime_of",
]

REGIMES = ("ranging", "trending", "volatile")
_WINDOW = 240
"""Minutes looked back: long against a 1-minute decision, short against a trading day."""
_COVERAGE = 0.75
"""Share of the window's returns that must be known, as for the hour's realised volatility."""
_VOLATILE_Q, _TRENDING_Q = 0.80, 0.70
"""Quantiles of the training rows above which a bar is volatile, and a calm one trending."""


@dataclass(frozen=True)
class RegimeInputs:
    """What a regime is read from, one value a bar, known at the bar's close.

    Parameters
    ----------
    realised_vol : ndarray of shape (n_bars,), float64
        Root mean square 1-minute log return of mid over the last 240 minutes, bp; NaN where less
        than three quarters of the returns are known.
    efficiency : ndarray of shape (n_bars,), float64
        ``|sum r| / sum |r|`` of the same returns, in [0, 1]; 0 without a move, NaN as above.
    """

    realised_vol: Float1D
    efficiency: Float1D


@dataclass(frozen=True)
class RegimeCuts:
    """Fitted limits between the regimes.

    Parameters
    ----------
    volatile : float
        Realised volatility, bp, above which a bar is volatile.
    trending : float
        Efficiency ratio above which a bar that is not volatile is trending.
    """

    volatile: float
    trending: float


def regime_inputs(bars: Float2D) -> RegimeInputs:
    """Realised volatility and efficiency ratio of the last 240 minutes.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, n_fields), float64
        As :func:`mlwb.features.batch.compute` takes them. A return counts where the two bars are
        exactly one minute apart.

    Returns
    -------
    RegimeInputs

    Raises
    ------
    DataSchemaError
        Not an array of bars.
    """
    chosen = (trailing_vol_spec(_WINDOW, _COVERAGE), efficiency_spec(_WINDOW, _COVERAGE))
    found = compute(chosen, bars)
    return RegimeInputs(found[:, 0].copy(), found[:, 1].copy())


def fit_regimes(inputs: RegimeInputs, rows: Int1D | Bool1D) -> RegimeCuts:
    """Cuts from training rows: never from rows the regimes are later reported on.

    Parameters
    ----------
    inputs : RegimeInputs
        Of every bar.
    rows : ndarray of int64 or bool
        Positions of the training rows, or a mask over all bars. Unknown rows are passed over.

    Returns
    -------
    RegimeCuts
        The 80 % quantile of realised volatility, and the 70 % quantile of the efficiency ratio
        over the rows that are not volatile (linear interpolation).

    Raises
    ------
    EmptyWindowError
        No row is known.
    """
    vol, efficiency = inputs.realised_vol[rows], inputs.efficiency[rows]
    known = np.isfinite(vol) & np.isfinite(efficiency)
    if not known.any():
        raise EmptyWindowError(
            "no row has a known regime",
            expected="four hours of bars before some of the rows",
            got=f"{len(vol)} rows, all unknown",
        )
    volatile = float(np.quantile(vol[known], _VOLATILE_Q))
    calm = known & (vol <= volatile)
    return RegimeCuts(volatile, float(np.quantile(efficiency[calm], _TRENDING_Q)))


def regime_of(inputs: RegimeInputs, cuts: RegimeCuts) -> Int1D:
    """Regime of every bar.

    Parameters
    ----------
    inputs : RegimeInputs
        Of every bar.
    cuts : RegimeCuts
        From :func:`fit_regimes`.

    Returns
    -------
    ndarray of shape (n_bars,), int64
        Index into ``REGIMES``; -1 where an input is unknown.

    Examples
    --------
    >>> inputs = RegimeInputs(np.array([1.0, 1.0, 9.0, np.nan]), np.array([0.1, 0.9, 0.9, np.nan]))
    >>> [REGIMES[i] if i >= 0 else "unknown" for i in regime_of(inputs, RegimeCuts(5.0, 0.5))]
    ['ranging', 'trending', 'volatile', 'unknown']
    """
    unknown = np.isnan(inputs.realised_vol) | np.isnan(inputs.efficiency)
    out = np.where(inputs.efficiency > cuts.trending, 1, 0)
    out[inputs.realised_vol > cuts.volatile] = 2
    out[unknown] = -1
    return out.astype(np.int64)
