"""Whether a PSI gate can judge a feature at all, and with how long a window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.drift import fit_reference, in_full_blocks
from mlwb.drift.calibration import WindowNull, block_counts, first_quiet, window_nulls

__all__ = ["Eligibility", "WindowNull", "eligibility"]

_LEAST_BINS = 3


@dataclass(frozen=True)
class Eligibility:
    """Whether PSI can gate a feature, and why not.

    Parameters
    ----------
    name : str
        Feature name.
    reason : str
        ``"quiet"`` (eligible), ``"unit root"`` (it has no fixed distribution to be held against),
        ``"constant"``, ``"few values"`` (fewer than three bins remain, too coarse to see more than
        one share move), ``"too short"`` (no null from so few days), ``"noisy"`` (chance alone
        exceeds the limit in every window tried).
    window_days : int or None
        Smallest window from which on every longer one tried stays below the limit.
    needed_days : float
        The same as an outlook where none does: the longest window's chance PSI shrinks at best as
        one over the length, so at least this many days. NaN where nothing can be said.
    limit : float
        PSI the gate allows, nats.
    nulls : tuple of WindowNull
        One a window tried.
    """

    name: str
    reason: str
    window_days: int | None
    needed_days: float
    limit: float
    nulls: tuple[WindowNull, ...]

    @property
    def is_eligible(self) -> bool:
        """Some window tried keeps its chance PSI below the limit."""
        return self.window_days is not None


def eligibility(
    name: str,
    values: Float1D,
    days: Int1D,
    *,
    n_bins: int,
    limit: float,
    has_unit_root: bool = False,
) -> Eligibility:
    """Hold a feature's own past against itself, window by window.

    Every window of the reference is compared with the rest of it: nothing has changed, so what PSI
    shows is chance on dependent rows. A gate can only judge windows in which chance stays below the
    gate's limit in 95 of 100 cases.

    Parameters
    ----------
    name : str
        Feature name.
    values : ndarray of shape (n_rows,), float64
        In time order, from rows on which the model can score.
    days : ndarray of shape (n_rows,), int64
        UTC day of each row: the block; see :func:`mlwb.drift.in_full_blocks`.
    n_bins : int
        Bins of the reference.
    limit : float
        PSI the gate allows, nats, > 0.
    has_unit_root : bool, default=False
        What :func:`mlwb.study.stationarity_of_all` found. A wandering level can look quiet within
        one sample and is refused all the same.

    Returns
    -------
    Eligibility
    """
    full = in_full_blocks(days)
    values, days = values[full], days[full]
    known = np.isfinite(values)
    if not known.any() or np.ptp(values[known]) == 0.0:
        reason = "constant" if known.any() else "too short"
        return Eligibility(name, reason, None, math.nan, limit, ())
    reference = fit_reference(name, values, n_bins=n_bins)
    if reference.n_bins < _LEAST_BINS:
        return Eligibility(name, "few values", None, math.nan, limit, ())
    nulls = window_nulls(name, np.asarray(block_counts(reference.edges, values, days)))
    if has_unit_root or not nulls:
        reason = "unit root" if has_unit_root else "too short"
        return Eligibility(name, reason, None, math.nan, limit, nulls)
    quiet = first_quiet(nulls, limit)
    if quiet is not None:
        return Eligibility(name, "quiet", quiet, float(quiet), limit, nulls)
    last = nulls[-1]
    needed = math.ceil(last.days * last.limit95 / limit)
    return Eligibility(name, "noisy", None, float(needed), limit, nulls)
