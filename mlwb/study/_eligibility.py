"""Whether a PSI gate can judge a feature at all, and with how long a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import fit_reference, in_full_blocks
from mlwb.drift.calibration import block_counts, block_null

__all__ = ["WINDOWS_DAYS", "Eligibility", "WindowNull", "eligibility"]

WINDOWS_DAYS = (1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 84)
"""Window lengths tried, as far as the reference is at least twice as long."""


@dataclass(frozen=True)
class WindowNull:
    """What chance alone gives in a window of some days.

    Parameters
    ----------
    days : int
        Length of the window.
    limit95 : float
        95 % quantile of the PSI between such a window of the reference and the rest of it, nats.
    n_eff : float
        Independent rows the window is worth: rows over the design effect, which is the mean of
        those PSIs over the mean they would have if rows were independent.
    n_disjoint : int
        Windows that share no day: what the quantile rests on.
    """

    days: int
    limit95: float
    n_eff: float
    n_disjoint: int


@dataclass(frozen=True)
class Eligibility:
    """Whether PSI can gate a feature, and why not.

    Parameters
    ----------
    name : str
        Feature name.
    reason : str
        ``"quiet"`` (eligible), ``"unit root"`` (it has no fixed distribution to be held against),
        ``"constant"``, ``"too short"`` (no null from so few days), ``"noisy"`` (chance alone
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
    nulls = _nulls(name, block_counts(reference.edges, values, days))
    if has_unit_root or not nulls:
        reason = "unit root" if has_unit_root else "too short"
        return Eligibility(name, reason, None, math.nan, limit, nulls)
    loud = [item.days for item in nulls if item.limit95 >= limit]
    quiet = [item.days for item in nulls if item.days > max(loud, default=0)]
    if quiet:
        return Eligibility(name, "quiet", quiet[0], float(quiet[0]), limit, nulls)
    last = nulls[-1]
    needed = math.ceil(last.days * last.limit95 / limit)
    return Eligibility(name, "noisy", None, float(needed), limit, nulls)


def _nulls(name: str, counts: Sequence[Int1D]) -> tuple[WindowNull, ...]:
    table = np.asarray(counts)
    n, n_cells = int(table.sum()), int((table.sum(axis=0) > 0).sum())
    found = []
    for width in WINDOWS_DAYS:
        try:
            null = block_null(name, counts, window_blocks=width)
        except EmptyWindowError:
            break
        rows = n * width / len(table)
        independent = (n_cells - 1) * (1.0 / rows + 1.0 / (n - rows))
        effect = max(float(null.scores.mean()) / independent, 1.0)
        found.append(WindowNull(width, null.limit95, rows / effect, null.n_disjoint))
    return tuple(found)
