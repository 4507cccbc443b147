"""Detectors of a bake-off: ours, the plain rules, dummies, and other libraries'.

Each takes one series, a reference and days to watch, and says of every day whether it raises an
alarm. Days are judged one by one against the whole reference; what watches a sequence is alarmed
once and rests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.bakeoff.scenarios import DAY
from benchmarks.peers.client import Peers
from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int2D
from mlwb.drift import BlockCounts, BlockMartingale, FeatureReference, count_blocks, psi_of_counts
from mlwb.drift import fit_feature_reference as fit
from mlwb.drift.calibration import Calibrated, calibrate

__all__ = ["DETECTORS", "LEVEL", "PEERS", "SEQUENTIAL", "Alarms", "Peer", "Watch", "first_only"]

Alarms = npt.NDArray[np.bool_]
LEVEL = 0.05
_RUN_LENGTH_DAYS = 365.0
_DISTANCE = 0.1
"""Of evidently's default for large samples: Wasserstein over the reference's deviation."""


@dataclass(frozen=True)
class Watch:
    """One series: its reference and the days after it.

    Parameters
    ----------
    reference : ndarray of shape (n_reference * 1440,), float64
        Minutes of full days.
    days : ndarray of shape (n_days, 1440), float64
        Minutes to watch; NaN where missing.
    """

    reference: Float1D
    days: Float2D

    @cached_property
    def frozen(self) -> FeatureReference:
        """Ten quantile bins, counts by block."""
        return fit("x", self.reference, 60 * np.arange(len(self.reference)))

    @cached_property
    def blocks(self) -> list[BlockCounts]:
        """Counts of every watched day."""
        first = len(self.reference) // DAY
        minutes = 60 * np.arange(DAY)
        return [
            count_blocks(self.frozen.bins.edges, day, minutes + (first + i) * DAY * 60)
            for i, day in enumerate(self.days)
        ]

    @cached_property
    def counts(self) -> Int2D:
        """Counts of every watched day, shape (n_days, n_cells)."""
        return np.array([blocks.total for blocks in self.blocks])

    def window(self, first: int, n_days: int) -> Calibrated:
        """Some days in a row beside what chance alone gives."""
        return calibrate(self.frozen, reduce(add, self.blocks[first : first + n_days]))

    @cached_property
    def psi(self) -> Float1D:
        """Plain PSI of every watched day."""
        bins = self.frozen.bins
        return np.array([psi_of_counts("x", bins.counts, row).value for row in self.counts])

    @cached_property
    def ordered(self) -> Float1D:
        """The reference's finite values in order."""
        return np.sort(self.reference[np.isfinite(self.reference)])


def block_p(watch: Watch) -> Bool1D:
    """A day further from the reference than its own days are; one null serves all full days."""
    null = watch.window(0, 1).null
    if null is None:
        raise RuntimeError("the reference is too short for a null")
    return np.array([null.p_value(value) <= LEVEL for value in watch.psi])


def martingale(watch: Watch) -> Bool1D:
    """Wealth has reached 20."""
    return _watched(watch, lambda state: state.alarm(LEVEL))


def shiryaev_roberts(watch: Watch) -> Bool1D:
    """One false alarm a year on average, at most."""
    return _watched(watch, lambda state: state.sr_alarm(_RUN_LENGTH_DAYS))


def _watched(watch: Watch, alarm: Callable[[BlockMartingale], bool]) -> Bool1D:
    blocks = watch.frozen.blocks
    state = BlockMartingale.start("x", blocks.daily, days=blocks.days)
    out = []
    for day, row in enumerate(watch.counts, start=int(blocks.days[-1]) + 1):
        state = state.update(day, row)
        out.append(alarm(state))
    return np.array(out)


def psi_over(limit: float) -> Callable[[Watch], Bool1D]:
    """The plain rule."""
    return lambda watch: np.asarray(watch.psi > limit)


def chi_square(watch: Watch) -> Bool1D:
    """Two samples of independent rows, cells of the frozen bins."""
    reference, current = watch.frozen.bins.counts, watch.counts
    used = (reference + current) > 0
    n, m = reference.sum(), current.sum(axis=1, keepdims=True)
    gap = np.sqrt(m / n) * reference - np.sqrt(n / m) * current
    statistic = np.where(used, gap**2 / np.maximum(reference + current, 1), 0.0).sum(axis=1)
    return np.asarray(stats.chi2.sf(statistic, used.sum(axis=1) - 1) < LEVEL)


def kolmogorov_smirnov(watch: Watch) -> Bool1D:
    """Two samples of independent rows, all values."""
    n, out = len(watch.ordered), []
    for day in watch.days:
        values = np.sort(day[np.isfinite(day)])
        m = len(values)
        above = np.arange(1, m + 1) / m - watch.ordered.searchsorted(values, "right") / n
        below = watch.ordered.searchsorted(values, "left") / n - np.arange(m) / m
        gap = max(above.max(), below.max())
        out.append(stats.kstwobign.sf(gap * np.sqrt(n * m / (n + m))) < LEVEL)
    return np.array(out, dtype=np.bool_)


def wasserstein(watch: Watch) -> Bool1D:
    """Distance over the reference's deviation at least 0.1."""
    out = []
    for day in watch.days:
        values = np.sort(day[np.isfinite(day)])
        at = (np.arange(len(values)) + 0.5) / len(values)
        partner = watch.ordered[(at * len(watch.ordered)).astype(int)]
        out.append(np.abs(values - partner).mean() >= _DISTANCE * watch.ordered.std())
    return np.array(out, dtype=np.bool_)


def never(watch: Watch) -> Bool1D:
    """Dummy."""
    return np.zeros(len(watch.days), dtype=np.bool_)


def always(watch: Watch) -> Bool1D:
    """Dummy."""
    return np.ones(len(watch.days), dtype=np.bool_)


def weekly(watch: Watch) -> Bool1D:
    """Dummy: every seventh day."""
    return np.asarray(np.arange(len(watch.days)) % 7 == 6)


DETECTORS: dict[str, Callable[[Watch], Bool1D]] = {
    "mlwb block p <= .05": block_p,
    "mlwb martingale 1/20": martingale,
    "mlwb SR 365 days": shiryaev_roberts,
    "PSI > 0.1": psi_over(0.1),
    "PSI > 0.2": psi_over(0.2),
    "PSI > 0.25": psi_over(0.25),
    "chi2 p < .05": chi_square,
    "KS p < .05": kolmogorov_smirnov,
    "Wasserstein/sd >= .1": wasserstein,
    "never": never,
    "always": always,
    "every 7th day": weekly,
}
SEQUENTIAL = {"mlwb martingale 1/20", "mlwb SR 365 days"}
"""Alarmed once, for good: a share of days means nothing there."""


@dataclass(frozen=True)
class Peer:
    """A detector of another library.

    Parameters
    ----------
    library : str
        Where it comes from.
    job, method : str
        What the worker is asked for.
    n_series, n_days : int
        How much of a scenario it is given: it is slower.
    warm_up : int
        Last rows of the reference that it is given; 0 is all.
    """

    library: str
    job: str
    method: str
    n_series: int
    n_days: int
    warm_up: int = 0

    def alarms(self, peers: Peers, watches: list[Watch], *, share: float = 1.0) -> Alarms | None:
        """Alarms by series and day; None where the library is not installed."""
        if self.library not in peers.versions:
            return None
        some = watches[: max(2, int(share * self.n_series))]
        reference = np.stack([watch.reference[-self.warm_up :] for watch in some], axis=1)
        current = np.stack([watch.days[: self.n_days] for watch in some], axis=2)
        found = peers.ask(self.job, self.method or None, reference=reference, current=current)
        return np.asarray(found, dtype=np.bool_).T


PEERS: dict[str, Peer] = {
    "evidently default": Peer("evidently", "evidently", "", 10, 1),
    "evidently PSI": Peer("evidently", "evidently", "psi", 10, 1),
    "nannyml JS": Peer("nannyml", "nannyml", "jensen_shannon", 10, 30),
    "nannyml KS": Peer("nannyml", "nannyml", "kolmogorov_smirnov", 10, 30),
    "river ADWIN": Peer("river", "river", "ADWIN", 10, 30),
    "river PageHinkley": Peer("river", "river", "PageHinkley", 10, 30),
    "river KSWIN": Peer("river", "river", "KSWIN", 5, 2, warm_up=DAY),
}


def first_only(alarms: Alarms) -> Alarms:
    """The first alarm of each series, and silence after it."""
    return np.asarray(alarms & (np.cumsum(alarms, axis=1) == 1))
