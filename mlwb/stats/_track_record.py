"""Shown, refuted or neither: what a record of this length can say about a Sharpe ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

from mlwb.core.errors import ParamsError
from mlwb.stats._sharpe import SharpeRatio, psr, ratio_error

__all__ = ["TrackRecord", "track_record"]

Standing: TypeAlias = Literal["shown", "refuted", "unproven"]


@dataclass(frozen=True)
class TrackRecord:
    """Where a Sharpe ratio stands against a value, and how long it would take to know.

    Parameters
    ----------
    standing : {"shown", "refuted", "unproven"}
        Whether the true ratio is above the value at the level, below it, or neither is shown.
    probability : float
        That the true ratio is above the value.
    low, high : float
        Bounds, each with the level's confidence, per period.
    n_obs : int
        Periods there are.
    n_needed : float
        Periods after which a ratio of this size is shown or refuted; infinite when it is the
        value itself.
    """

    standing: Standing
    probability: float
    low: float
    high: float
    n_obs: int
    n_needed: float

    def reason(self, unit: str = "periods") -> str:
        """The same in words for a table or a null value.

        Examples
        --------
        >>> track_record(SharpeRatio(0.08, 14, 0.0, 3.0)).reason("days")
        'unproven: 14 days are too few, 426 would decide a ratio of this size'
        """
        if self.standing != "unproven":
            return f"{self.standing} by {self.n_obs} {unit}"
        if math.isinf(self.n_needed):
            return f"unproven: the ratio of {self.n_obs} {unit} is the limit itself"
        needed = f"{math.ceil(self.n_needed):,}"
        return (
            f"unproven: {self.n_obs} {unit} are too few, {needed} would decide a ratio of this size"
        )


def track_record(found: SharpeRatio, *, above: float = 0.0, level: float = 0.95) -> TrackRecord:
    """Hold a Sharpe ratio against a value, and admit when the record is too short.

    Parameters
    ----------
    found : SharpeRatio
        As :func:`sharpe_ratio` gives it.
    above : float, default=0.0
        Value the true ratio should exceed, per period: an annual limit over the root of the
        periods of a year.
    level : float, default=0.95
        Confidence of either answer, in (0.5, 1).

    Returns
    -------
    TrackRecord

    Raises
    ------
    ParamsError
        The level is no confidence, or the moments are impossible.

    Notes
    -----
    In a fortnight the annual ratio has a standard error of about 5: no honest daily strategy is
    shown or refuted by it.

    Examples
    --------
    >>> track_record(SharpeRatio(0.08, 14, 0.0, 3.0)).standing
    'unproven'
    >>> track_record(SharpeRatio(0.08, 900, 0.0, 3.0)).standing
    'shown'
    """
    if not 0.5 < level < 1.0:
        raise ParamsError("no such confidence", expected="0.5 < level < 1", got=str(level))
    moments = {"skew": found.skew, "kurtosis": found.kurtosis}
    probability = psr(found.ratio, found.n_obs, benchmark=above, **moments)
    reach = NormalDist().inv_cdf(level)
    gap = abs(found.ratio - above)
    single = ratio_error(found.ratio, 2.0, **moments)
    needed = math.inf if gap == 0.0 else 1.0 + (single * reach / gap) ** 2
    standing: Standing = "unproven"
    if probability >= level:
        standing = "shown"
    elif probability <= 1.0 - level:
        standing = "refuted"
    low, high = found.ratio - reach * found.error, found.ratio + reach * found.error
    return TrackRecord(standing, probability, low, high, found.n_obs, needed)
