"""What the daily check finds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlwb.core.arrays import Int1D
from mlwb.drift import BlockMartingale, FeatureReference
from mlwb.drift.calibration import Calibrated

__all__ = ["Column", "Result", "day_name"]


@dataclass(frozen=True)
class Column:
    """One feature, or the score, as it was served.

    Parameters
    ----------
    frozen : FeatureReference
        What it is compared with.
    day, rolling : Calibrated or None
        Of the last full day and of the rolling days; None without a full day.
    counts : ndarray of shape (n_cells,), int64, or None
        Rows of the rolling days in each cell.
    watches : tuple of BlockMartingale
        As the check before left it, and after each full day since; empty for a constant or a
        clock, and where the reference is too short.
    """

    frozen: FeatureReference
    day: Calibrated | None
    rolling: Calibrated | None
    counts: Int1D | None
    watches: tuple[BlockMartingale, ...]

    @property
    def name(self) -> str:
        """Feature name."""
        return self.frozen.name

    @property
    def watch(self) -> BlockMartingale | None:
        """Of all full days since the version serves."""
        return self.watches[-1] if self.watches else None


@dataclass(frozen=True)
class Watch:
    """Evidence over the watched features.

    Parameters
    ----------
    e_value : float
        Mean of their e-values now.
    highest_e_value, highest_sr : float
        Highest mean of e-values, and of Shiryaev-Roberts sums, on any day so far: what the bounds
        on false alarms are about. Days that differ become part of what days are compared with,
        so that evidence falls again where nobody acts on it.
    """

    e_value: float
    highest_e_value: float
    highest_sr: float


@dataclass(frozen=True)
class Result:
    """What the daily check measured.

    Parameters
    ----------
    features : tuple of Column
        In column order.
    prediction : Column
        The scores served.
    overall : Calibrated or None
        Mean over the features named in ``averaged``, over the rolling days.
    averaged : tuple of str
        Features that vary and are no function of the clock.
    ks : tuple of float or None
        KS of the scores at the frozen edges, and its p value for independent rows.
    watch : Watch or None
        Evidence over the features that are watched.
    days, rolling_days, partial_days : tuple of int
        UTC day numbers: full ones, those of the rolling window, and those passed over.
    """

    features: tuple[Column, ...]
    prediction: Column
    overall: Calibrated | None
    averaged: tuple[str, ...]
    ks: tuple[float, float] | None
    watch: Watch | None
    days: tuple[int, ...]
    rolling_days: tuple[int, ...]
    partial_days: tuple[int, ...]

    @property
    def watches(self) -> list[BlockMartingale]:
        """Of every column that has one."""
        columns = (*self.features, self.prediction)
        return [item.watch for item in columns if item.watch is not None]


def day_name(day: int) -> str:
    """``YYYY-MM-DD`` of a UTC day number.

    Examples
    --------
    >>> day_name(20_454)
    '2026-01-01'
    """
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")
