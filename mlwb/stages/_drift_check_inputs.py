"""What the daily check reads: the served version, what was counted for it, the check before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from mlwb.core.clock import DAY_S
from mlwb.core.errors import EmptyWindowError, EvidenceSchemaError, ModelError
from mlwb.core.home import Home
from mlwb.core.predictionlog import read_all_predictions
from mlwb.drift import FeatureReference, HourLog, read_live_hours
from mlwb.evidence import Record
from mlwb.inference import Predictor, VersionReference
from mlwb.params import DriftCheckParams
from mlwb.stages._served_lines import drift_dir, prediction_log
from mlwb.stages.common import store_of

__all__ = ["Inputs", "check_before", "counted", "golden_difference", "rows_logged", "taken_back"]

_KEPT_DAYS = 28
"""Servers keep a month; the oldest days go hour by hour."""


@dataclass(frozen=True)
class Inputs:
    """What the daily check reads.

    Parameters
    ----------
    params : DriftCheckParams
        As loaded.
    version : str
        The version that serves.
    reference : VersionReference
        Frozen with it.
    names : tuple of str
        Its features in column order, then the score.
    golden_diff : float
        Largest difference of a golden row scored again with the model on disk.
    n_golden : int
        Golden rows.
    log : HourLog
        What all workers have counted.
    today : int
        UTC day number of now; only days before it are over.
    before : Record, optional
        The check before this one, of the same version and reference.
    logged : mapping of int to int, or None
        Rows of the version in the prediction log, by UTC day; None where a line of it is damaged.
    """

    params: DriftCheckParams
    version: str
    reference: VersionReference
    names: tuple[str, ...]
    golden_diff: float
    n_golden: int
    log: HourLog
    today: int
    before: Record | None
    logged: Mapping[int, int] | None

    @property
    def rows_taken_back(self) -> int | None:
        """See :func:`taken_back`."""
        return taken_back(self.before, self.log, self.today)

    @property
    def references(self) -> list[FeatureReference]:
        """In column order."""
        return [self.reference.features[name] for name in self.names]


def golden_difference(predictor: Predictor) -> tuple[float, int]:
    """Loading has refused any difference beyond the load check's; this is what is left of it."""
    if predictor.golden is None:
        raise ModelError(f"{predictor.version} has no golden rows", todo="publish it again")
    rows, scores = predictor.golden.arrays()
    return float(np.abs(predictor.predict(rows) - scores).max()), len(scores)


def counted(home: Home, version: str, reference: VersionReference, names: Sequence[str]) -> HourLog:
    """Rows all workers have counted; raises EmptyWindowError where there is none."""
    shape = [len(reference.features[name].bins.counts) for name in names]
    log = read_live_hours(drift_dir(home), version, reference.digest, shape)
    if not log.hours:
        unread = log.foreign + log.damaged
        raise EmptyWindowError(
            f"no served row of {version} was counted",
            expected=f"counts in {drift_dir(home) / version}",
            got=f"{log.foreign} lines of another reference, {log.damaged} damaged" * bool(unread),
            todo="serve it (mlwb serve) and send it requests; counts are written once a minute",
        )
    return log


def check_before(
    params: DriftCheckParams, version: str, reference: VersionReference
) -> Record | None:
    """The newest check of the version, if it was of the same reference."""
    store = store_of(params.run)
    entries = [
        entry
        for entry in store.index()
        if entry.kind == "drift_check" and entry.model_version == version
    ]
    found = store.read_each([entries[-1].run_id]) if entries else ()
    same = [item for item in found if item.details.get("reference") == reference.digest]
    return same[0] if same else None


def rows_logged(home: Home, version: str) -> dict[int, int] | None:
    """Rows of the version in the prediction log by UTC day; None where a line is damaged."""
    found: dict[int, int] = {}
    try:
        for line in read_all_predictions(prediction_log(home)):
            if line.model_version == version:
                day = int(line.ts.timestamp()) // DAY_S
                found[day] = found.get(day, 0) + 1
    except EvidenceSchemaError:  # a killed server leaves half a line; nothing is judged by it
        return None
    return found


def taken_back(before: Record | None, log: HourLog, today: int) -> int | None:
    """Rows that the check before saw in cells where they no longer stand.

    Counts only grow: rows that were written late come on top. The most over the columns; None
    without a check before, or where servers may have let go of its days.
    """
    days = {_day_of(name) for name in before.details["rolling_days"]} if before else set()
    if before is None or not days or min(days) < today - _KEPT_DAYS:
        return None
    kept = [table for hour, table in log.hours.items() if hour * 3_600 // DAY_S in days]
    lost = []
    for place, item in enumerate(before.details["features"]):
        then = np.array(item["current_counts"], dtype=np.int64)
        now = sum((np.array(table[place], dtype=np.int64) for table in kept), 0 * then)
        lost.append(int(np.maximum(then - now, 0).sum()))
    return max(lost)


def _day_of(name: str) -> int:
    """UTC day number of ``YYYY-MM-DD``."""
    return (date.fromisoformat(name) - date(1970, 1, 1)).days
