"""How sure a Sharpe ratio is: its error, its probability, the length it needs, the luck of trials.

Every ratio here is **per period**: mean over standard deviation of the returns it was computed
from, never annualised. ``n_obs`` counts the same periods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError, ParamsError

__all__ = [
    "DAYS_A_YEAR",
    "SharpeRatio",
    "deflated_benchmark",
    "dsr",
    "min_track_record",
    "near_one",
    "psr",
    "ratio_error",
    "sharpe_ratio",
]

DAYS_A_YEAR = 365.0
"""Of a market without holidays; a day on which nothing is held has return 0."""
_ROUNDING = 1e-9
"""Share by which computed moments may miss the bound that exact moments keep."""
_CONSTANT = 1e-12
"""A spread below this share of the largest return is rounding: the series is constant."""


@dataclass(frozen=True)
class SharpeRatio:
    """A Sharpe ratio per period with the moments that its error depends on.

    Parameters
    ----------
    ratio : float
        Mean over standard deviation (ddof 1), per period.
    n_obs : int
        Periods.
    skew, kurtosis : float
        Plain third and fourth standardised moments of the returns (no bias correction); a normal
        distribution has 0 and 3.
    """

    ratio: float
    n_obs: int
    skew: float
    kurtosis: float

    @property
    def error(self) -> float:
        """Standard error, per period; see :func:`ratio_error`."""
        return ratio_error(self.ratio, self.n_obs, skew=self.skew, kurtosis=self.kurtosis)


def sharpe_ratio(returns: Float1D) -> SharpeRatio:
    """Sharpe ratio per period of a return series, with skewness and kurtosis.

    Parameters
    ----------
    returns : ndarray of shape (n_obs,), float64
        Excess returns a period, at least two, finite, not all equal.

    Returns
    -------
    SharpeRatio

    Raises
    ------
    EmptyWindowError
        Fewer than two returns, one that is not finite, or no spread.

    Examples
    --------
    >>> found = sharpe_ratio(np.array([0.01, 0.03, -0.02, 0.02]))
    >>> round(found.ratio, 4), found.n_obs, round(found.skew, 4), round(found.kurtosis, 4)
    (0.4629, 4, -0.6872, 2.0)
    """
    n = len(returns)
    known = n >= 2 and bool(np.isfinite(returns).all())
    returns = near_one(returns)
    spread = float(returns.std()) if known else 0.0
    if not known or spread <= _CONSTANT * float(np.abs(returns).max()):
        raise EmptyWindowError(
            "no Sharpe ratio", expected=">= 2 finite returns that differ", got=f"{n} returns"
        )
    z = (returns - returns.mean()) / spread
    ratio = float(returns.mean()) / float(returns.std(ddof=1))
    return SharpeRatio(ratio, n, float((z**3).mean()), float((z**4).mean()))


def near_one(returns: Float1D) -> Float1D:
    """Returns times a power of two, so that the largest is in [0.5, 1).

    That loses nothing: ratios of moments stay, and squares neither vanish nor burst.

    Parameters
    ----------
    returns : ndarray of shape (n_obs,), float64
        Those with one that is not finite stay as they are.

    Returns
    -------
    ndarray of shape (n_obs,), float64

    Examples
    --------
    >>> near_one(np.array([3e-200, -1.5e-200])).tolist()
    [0.5740878879676573, -0.28704394398382865]
    """
    most = float(np.abs(returns).max(initial=0.0))
    return np.ldexp(returns, -math.frexp(most)[1])


def ratio_error(ratio: float, n_obs: float, *, skew: float, kurtosis: float) -> float:
    """Standard error of a Sharpe ratio, also for skewed and heavy-tailed returns.

    ``sqrt((1 - skew SR + (kurtosis - 1)/4 SR^2) / (n - 1))`` (Mertens 2002); normal returns give
    the error of Lo (2002).

    Parameters
    ----------
    ratio : float
        Per period.
    n_obs : float
        Periods, > 1; where returns overlap or are correlated, the number of independent ones.
    skew, kurtosis : float
        Of the returns; kurtosis is raw (3 for a normal distribution), not excess.

    Returns
    -------
    float
        Per period, >= 0.

    Raises
    ------
    ParamsError
        A value is not finite, ``n_obs <= 1``, or no distribution has these moments
        (``kurtosis < 1 + skew^2``): then an excess kurtosis was passed for a raw one.

    Examples
    --------
    >>> round(ratio_error(0.1, 101, skew=0.0, kurtosis=3.0), 6)
    0.10025
    """
    if not all(map(math.isfinite, (ratio, n_obs, skew, kurtosis))) or n_obs <= 1:
        raise ParamsError(
            "no Sharpe ratio", expected="finite values, n_obs > 1", got=f"{ratio}, n_obs {n_obs}"
        )
    least = 1.0 + skew * skew
    if kurtosis < least * (1.0 - _ROUNDING):
        raise ParamsError(
            "no distribution has such moments",
            expected=f"kurtosis >= {least:.4g} for a skewness of {skew:.4g}",
            got=f"{kurtosis:.4g}",
            todo="pass the raw kurtosis, 3 for a normal distribution, not the excess",
        )
    # with kurtosis >= 1 + skew^2 this is at least (1 - skew SR / 2)^2, so only rounding is cut
    shape = max(1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio * ratio, 0.0)
    return math.sqrt(shape / (n_obs - 1.0))


def psr(
    ratio: float, n_obs: float, *, skew: float, kurtosis: float, benchmark: float = 0.0
) -> float:
    """Probabilistic Sharpe ratio: how probable it is that the true ratio exceeds a benchmark.

    ``Phi((SR - SR*) / error)`` with the error of :func:`ratio_error`.

    Parameters
    ----------
    ratio : float
        Observed, per period.
    n_obs : float
        Periods, > 1; where returns overlap or are correlated, the number of independent ones.
    skew, kurtosis : float
        Of the returns; raw kurtosis.
    benchmark : float, default=0.0
        Ratio to exceed, per period like ``ratio``.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ParamsError
        As :func:`ratio_error`.

    Notes
    -----
    Assumes independent periods. An annualised ratio with a number of days is the classic wrong
    use: divide it by ``sqrt(periods a year)`` first.

    References
    ----------
    .. [1] Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, J. of Risk 15(2).

    Examples
    --------
    The fund of the paper: 24 months, 0.458 a month, not shown to be above 0 at 95 %.

    >>> round(psr(0.458, 24, skew=-2.448, kurtosis=10.164), 3)
    0.913
    """
    error = ratio_error(ratio, n_obs, skew=skew, kurtosis=kurtosis)
    gap = ratio - benchmark
    if error == 0.0:
        return 0.5 if gap == 0.0 else float(gap > 0.0)
    return NormalDist().cdf(gap / error)


def min_track_record(
    ratio: float, *, skew: float, kurtosis: float, benchmark: float = 0.0, level: float = 0.95
) -> float:
    """Periods after which a ratio of this size is shown to exceed a benchmark.

    ``1 + (1 - skew SR + (kurtosis - 1)/4 SR^2) (z / (SR - SR*))^2``: the ``n_obs`` at which
    :func:`psr` equals ``level``.

    Parameters
    ----------
    ratio : float
        Observed or assumed, per period.
    skew, kurtosis : float
        Of the returns; raw kurtosis.
    benchmark : float, default=0.0
        Ratio to exceed, per period.
    level : float, default=0.95
        Confidence, in (0.5, 1).

    Returns
    -------
    float
        Periods, > 1; infinite when the ratio is not above the benchmark.

    Raises
    ------
    ParamsError
        As :func:`ratio_error`, or a level outside (0.5, 1).

    References
    ----------
    .. [1] Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, J. of Risk 15(2).

    Examples
    --------
    A true Sharpe ratio of 1.5 a year takes 442 days to show, of 2.0 takes 250.

    >>> for annual in (1.5, 2.0):
    ...     print(math.ceil(min_track_record(annual / 365**0.5, skew=0.0, kurtosis=3.0)))
    442
    250
    """
    if not 0.5 < level < 1.0:
        raise ParamsError("no such confidence", expected="0.5 < level < 1", got=str(level))
    error = ratio_error(ratio, 2.0, skew=skew, kurtosis=kurtosis)
    if ratio <= benchmark:
        return math.inf
    errors = error * NormalDist().inv_cdf(level) / (ratio - benchmark)
    return 1.0 + errors * errors  # a product becomes infinite where a power would raise


def deflated_benchmark(trial_ratios: Float1D) -> float:
    """Sharpe ratio that the best of so many trials without skill is expected to reach.

    ``sd(trials) ((1 - g) z(1 - 1/N) + g z(1 - 1/(N e)))`` with Euler's constant g: what
    :func:`psr` takes as its benchmark, so that the probability is the deflated one.

    Parameters
    ----------
    trial_ratios : ndarray of shape (n_trials,), float64
        Ratios of **every** trial that was made, the chosen one included, per period, finite.

    Returns
    -------
    float
        Per period, >= 0; 0 for a single trial, which had no choice to profit from.

    Raises
    ------
    EmptyWindowError
        No trials, or a ratio that is not finite.

    Notes
    -----
    Takes trials as independent; correlated ones are fewer in effect, so the benchmark errs on the
    strict side.

    References
    ----------
    .. [1] Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, J. of Portfolio
       Management 40(5).

    Examples
    --------
    >>> round(deflated_benchmark(np.array([0.02, -0.01, 0.05, 0.00])), 4)
    0.0278
    """
    n = len(trial_ratios)
    if n == 0 or not np.isfinite(trial_ratios).all():
        raise EmptyWindowError(
            "no trials to deflate by", expected=">= 1 finite ratio", got=f"{n} ratios"
        )
    if n == 1:
        return 0.0
    normal = NormalDist()
    highest = (1.0 - np.euler_gamma) * normal.inv_cdf(1.0 - 1.0 / n)
    highest += np.euler_gamma * normal.inv_cdf(1.0 - 1.0 / (n * math.e))
    return float(trial_ratios.std(ddof=1)) * highest


def dsr(
    ratio: float, n_obs: float, *, skew: float, kurtosis: float, trial_ratios: Float1D
) -> float:
    """Deflated Sharpe ratio: :func:`psr` against the best that trials reach by luck.

    Parameters
    ----------
    ratio : float
        Of the chosen trial, per period.
    n_obs : float
        Periods, > 1.
    skew, kurtosis : float
        Of its returns; raw kurtosis.
    trial_ratios : ndarray of shape (n_trials,), float64
        Ratios of every trial, the chosen one included, per period.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ParamsError
        The ratio is above that of every trial: a trial is missing, or one side is annualised.
        Also as :func:`ratio_error`.
    EmptyWindowError
        As :func:`deflated_benchmark`.

    Examples
    --------
    >>> trials = np.array([0.02, -0.01, 0.05, 0.00])
    >>> round(dsr(0.05, 1000, skew=0.0, kurtosis=3.0, trial_ratios=trials), 3)
    0.758
    """
    benchmark = deflated_benchmark(trial_ratios)
    highest = float(trial_ratios.max())
    if ratio > highest + _ROUNDING * abs(highest):
        raise ParamsError(
            "the chosen ratio is above that of every trial",
            expected=f"<= {highest:.6g}, per period",
            got=f"{ratio:.6g}",
            todo="count every trial, the chosen one too, in the unit of the ratio",
        )
    return psr(ratio, n_obs, skew=skew, kurtosis=kurtosis, benchmark=benchmark)
