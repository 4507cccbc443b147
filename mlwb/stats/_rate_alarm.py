"""A rate that went bad at an unknown time, found with alarms of a stated rarity."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D
from mlwb.core.errors import DataSchemaError
from mlwb.stats._sequential import log_mean, rates_above

__all__ = ["RateAlarm"]


@dataclass(frozen=True)
class RateAlarm:
    """A change for the worse at an unknown time: alarms rarer than a stated mean time apart.

    ``R <- (R + 1) L`` for each alternative, L its likelihood ratio; the mean of the R reaches A
    after A observations on average at the earliest while the rate is at most the limit.

    Parameters
    ----------
    limit : float
        Rate up to which all is well, in (0, 1).
    log_r : ndarray of shape (24,), float64
        Of each alternative.
    highest : float
        The highest logarithm of their mean so far.
    n_obs : int
        Observations taken.

    References
    ----------
    .. [1] Shin, Ramdas and Rinaldo (2024). E-detectors: a nonparametric framework for sequential
       change detection. New England Journal of Statistics in Data Science 2.

    Examples
    --------
    >>> alarm = RateAlarm.start(0.01).update(np.zeros(500, bool))
    >>> alarm.sounds(100_000.0), alarm.update(np.ones(5, bool)).sounds(100_000.0)
    (False, True)
    """

    limit: float
    log_r: Float1D
    highest: float = -math.inf
    n_obs: int = 0

    @classmethod
    def start(cls, limit: float) -> RateAlarm:
        """Begin.

        Raises
        ------
        DataSchemaError
            The limit is not inside (0, 1).
        """
        if not 0.0 < limit < 1.0:
            raise DataSchemaError("no limit of a rate", expected="inside (0, 1)", got=str(limit))
        return cls(limit, np.full(len(rates_above(limit)), -math.inf))

    def update(self, events: Bool1D) -> RateAlarm:
        """Take more observations, in the order in which they came; True is an event."""
        over = rates_above(self.limit)
        gain = np.log(over / self.limit)
        loss = np.log((1.0 - over) / (1.0 - self.limit))
        log_r, highest, before = self.log_r, self.highest, -1
        # Between two events each R goes on to a fixed point without turning back.
        for at in (*np.flatnonzero(events).tolist(), len(events)):
            log_r = _quiet(log_r, loss, at - before - 1)
            highest = max(highest, float(log_mean(log_r)))
            if at < len(events):
                log_r = np.logaddexp(log_r, 0.0) + gain
                highest = max(highest, float(log_mean(log_r)))
            before = at
        return replace(self, log_r=log_r, highest=highest, n_obs=self.n_obs + len(events))

    def update_batch(self, n_events: int, n_obs: int) -> RateAlarm:
        """Take observations of which only the number and that of the events is known.

        ``R <- (R + 1) L`` once, L the likelihood ratio of the whole batch: the mean between false
        alarms is then counted in batches, of whatever size.

        Parameters
        ----------
        n_events, n_obs : int
            ``0 <= n_events <= n_obs``; a batch without observations changes nothing.

        Raises
        ------
        DataSchemaError
            There are more events than observations, or fewer than none.

        Examples
        --------
        >>> RateAlarm.start(0.05).update_batch(40, 60).sounds(100_000.0)
        True
        """
        if not 0 <= n_events <= n_obs:
            raise DataSchemaError(
                "no batch", expected="0 <= events <= observations", got=f"{n_events} of {n_obs}"
            )
        if not n_obs:
            return self
        over = rates_above(self.limit)
        gain = n_events * np.log(over / self.limit)
        loss = (n_obs - n_events) * np.log((1.0 - over) / (1.0 - self.limit))
        log_r = np.asarray(np.logaddexp(self.log_r, 0.0) + gain + loss)
        highest = max(self.highest, float(log_mean(log_r)))
        return replace(self, log_r=log_r, highest=highest, n_obs=self.n_obs + n_obs)

    def sounds(self, mean_between: float) -> bool:
        """Whether it has ever alarmed, at a mean of so many observations between false alarms."""
        return self.highest >= math.log(mean_between)


def _quiet(log_r: Float1D, loss: Float1D, n: int) -> Float1D:
    """After n observations without an event: ``R L^n + L (1 - L^n) / (1 - L)``."""
    fed = loss + np.log(-np.expm1(n * loss)) - np.log(-np.expm1(loss)) if n else -np.inf
    return np.asarray(np.logaddexp(log_r + n * loss, fed))
