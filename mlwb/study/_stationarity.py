"""Is a series the same kind of thing throughout: tests with opposite nulls, read together."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from arch.unitroot import ADF, KPSS, PhillipsPerron, VarianceRatio, ZivotAndrews
from arch.utility.exceptions import InfeasibleTestException

from mlwb.core.arrays import Float1D
from mlwb.stats import holm

__all__ = ["Stationarity", "stationarity", "stationarity_of_all"]

LEVEL = 0.05
MAX_LAGS = 24
LEAST_ROWS = 4 * MAX_LAGS
"""Fewer leave the ADF regression with hardly a degree of freedom beside its lags."""
MAX_ROWS = 10_080
"""Rows tested: the last week. The tests grow more than linearly, and a week is the memory of the
longest feature seven times over."""
VARIANCE_LAGS = 60
"""Steps of the variance ratio: an hour of minutes against sixty single ones."""
BREAK_POINTS = 1_000
"""The break test fits a regression at every candidate, so a long series is averaged down to this
many points first; a level that moves for days is all there, a spike is not."""
BREAK_LAGS = 8


@dataclass(frozen=True)
class Stationarity:
    """What the tests say about one series.

    Parameters
    ----------
    name : str
        Feature name.
    verdict : str
        ``stationary`` (ADF rejects, KPSS does not), ``unit root`` (the reverse),
        ``conflict`` (both reject: often long memory), ``inconclusive`` (neither), ``constant``,
        ``deterministic`` (its own past explains it wholly, as the time of day), ``too short``.
    adf_p, kpss_p : float
        p values; NaN for a constant or deterministic series.
    n_obs : int
        Rows tested.
    adf_p_holm : float
        ADF p value adjusted for the other features tested with it; the verdict reads this one.
    pp_p : float
        Phillips-Perron: a unit root once more, without choosing lags.
    variance_ratio, variance_ratio_p : float
        Variance of an hour's change over sixty times that of a minute's: 1 for a random walk,
        near 0 for a series that returns; and the p value of a random walk.
    break_p : float
        Zivot-Andrews, a unit root against a level that breaks once, over all rows given.
    break_share : float
        Where the level moves most, as a share of the rows given, in [0, 1].
    """

    name: str
    verdict: str
    adf_p: float
    kpss_p: float
    n_obs: int
    adf_p_holm: float = math.nan
    pp_p: float = math.nan
    variance_ratio: float = math.nan
    variance_ratio_p: float = math.nan
    break_p: float = math.nan
    break_share: float = math.nan

    @property
    def has_break(self) -> bool:
        """A level break that ADF takes for a unit root and Zivot-Andrews sees through."""
        return self.adf_p_holm >= LEVEL and self.break_p < LEVEL


def stationarity(name: str, values: Float1D) -> Stationarity:
    """Test one series on its own; see :func:`stationarity_of_all`.

    Parameters
    ----------
    name : str
        Feature name.
    values : ndarray of shape (n_obs,), float64
        In time order; NaN is left out, the last 10,080 rows are tested.

    Returns
    -------
    Stationarity
        With nothing to adjust for: ``adf_p_holm`` is ``adf_p``.
    """
    return stationarity_of_all([(name, values)])[0]


def stationarity_of_all(
    named: Sequence[tuple[str, Float1D]], *, clocks: Collection[str] = ()
) -> tuple[Stationarity, ...]:
    """Test the features of a study together.

    The verdict reads ADF and KPSS at 5 %. Holm is applied to the ADF p values of all features that
    can be tested, one a feature: an ADF rejection is what earns *stationary*, and among many
    features one would be earned by luck. KPSS is left as it is, since its rejection takes
    *stationary* away and correcting it would only make the word cheaper. Phillips-Perron, variance
    ratio and Zivot-Andrews are context and decide nothing.

    Parameters
    ----------
    named : sequence of (str, ndarray of shape (n_obs,))
        Features in time order; NaN is left out, the last 10,080 rows are tested (the break test
        takes all of them, averaged down to 1,000 points).
    clocks : collection of str
        Features that read nothing but the time: *deterministic* without a test, which gaps in the
        series would fool.

    Returns
    -------
    tuple of Stationarity
        In the order given.

    Notes
    -----
    KPSS takes its lags from the data (Hobijn et al.) and still rejects slow stationary series
    too often: about 45 % of AR(1) draws with an hour's memory at a nominal 5 %. A *conflict* is
    a hint of long memory, not a proof.

    References
    ----------
    .. [1] MacKinnon (2010) for ADF; Kwiatkowski et al. (1992) and Hobijn et al. (2004) for KPSS;
       Phillips and Perron (1988); Lo and MacKinlay (1988); Zivot and Andrews (1992), break date by
       least squares (Bai 1997); Holm (1979).
    """
    found = [
        _tested(name, values[np.isfinite(values)], is_clock=name in clocks)
        for name, values in named
    ]
    told = [i for i, item in enumerate(found) if math.isfinite(item.adf_p)]
    adjusted = holm(np.asarray([found[i].adf_p for i in told])) if told else np.empty(0)
    for i, p in zip(told, adjusted, strict=True):
        verdict = _VERDICTS[bool(p < LEVEL), found[i].kpss_p < LEVEL]
        found[i] = replace(found[i], verdict=verdict, adf_p_holm=float(p))
    return tuple(found)


_VERDICTS = {
    (True, False): "stationary",
    (False, True): "unit root",
    (True, True): "conflict",
    (False, False): "inconclusive",
}


def _tested(name: str, known: Float1D, *, is_clock: bool) -> Stationarity:
    x, nan = known[-MAX_ROWS:], math.nan
    if len(x) < LEAST_ROWS or np.ptp(x) == 0.0:
        verdict = "too short" if len(x) < LEAST_ROWS else "constant"
        return Stationarity(name, verdict, nan, nan, len(x))
    if is_clock:
        return Stationarity(name, "deterministic", nan, nan, len(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # arch announces a changed default lag; it is set here
        try:
            adf = float(ADF(x, trend="c", max_lags=MAX_LAGS, method="aic").pvalue)
        except InfeasibleTestException:
            return Stationarity(name, "deterministic", nan, nan, len(x))
        ratio = VarianceRatio(x, lags=min(VARIANCE_LAGS, len(x) // 4))
        break_p, break_share = _level_break(known)
        return Stationarity(
            name,
            verdict="",
            adf_p=adf,
            kpss_p=float(KPSS(x, trend="c").pvalue),
            n_obs=len(x),
            pp_p=float(PhillipsPerron(x, trend="c").pvalue),
            variance_ratio=float(ratio.vr),
            variance_ratio_p=float(ratio.pvalue),
            break_p=break_p,
            break_share=break_share,
        )


def _level_break(known: Float1D) -> tuple[float, float]:
    """Zivot-Andrews p value and where the level moves most, on group means."""
    width = -(-len(known) // BREAK_POINTS)
    x = known[len(known) % width :].reshape(-1, width).mean(axis=1)
    try:
        p = float(ZivotAndrews(x, trend="c", max_lags=BREAK_LAGS).pvalue)
    except InfeasibleTestException:
        return math.nan, math.nan
    gone = np.cumsum(x - x.mean())[:-1]
    after = np.arange(1, len(x))
    moved = np.abs(gone) / np.sqrt(after * (len(x) - after))
    return p, float((1 + int(moved.argmax())) / len(x))
