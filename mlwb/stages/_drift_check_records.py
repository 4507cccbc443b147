"""The daily check as evidence: numbers, counts of both sides, the state of the watch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwb.drift import HourLog
from mlwb.drift.calibration import Calibrated, is_gateable, reading
from mlwb.evidence import Metric
from mlwb.stages._drift_check_result import Column, Result, day_name
from mlwb.stages.common import null
from mlwb.stats import holm

__all__ = ["Limits", "check_details", "check_metrics"]

NATS = "nats"
_NO_DAY = "the rolling window holds no full UTC day yet"
_SHORT = "the reference is too short for a null of this window"


@dataclass(frozen=True)
class Limits:
    """Numbers that readings are held against, and their levels; their home is the policy."""

    feature: float
    overall: float
    prediction: float
    level: float
    sure: float


def check_metrics(
    result: Result,
    limits: Limits,
    *,
    golden: tuple[float, int],
    logged: Mapping[int, int] | None,
    taken_back: int | None,
) -> list[Metric]:
    """Every number of the check.

    Parameters
    ----------
    result : Result
        What was measured.
    limits : Limits
        For the metrics that say whether a window of this length can be judged.
    golden : tuple of (float, int)
        Largest difference of the golden rows, and how many there are.
    logged : mapping of int to int, or None
        Rows in the prediction log by UTC day; None where it cannot be read.
    taken_back : int or None
        Rows that the check before saw in cells where they no longer stand.
    """
    columns = [_of_column(item, limits.feature) for item in result.features]
    return [
        Metric("golden_max_abs_diff", golden[0], n=golden[1]),
        Metric("days", len(result.rolling_days), unit="d"),
        _rows(result),
        _rows_logged(result, logged),
        _taken_back(taken_back),
        *(metric for found in columns for metric in found),
        *_window("psi_overall", result.overall, limits.overall, prefix="overall_"),
        *_window(
            "prediction_psi", result.prediction.rolling, limits.prediction, prefix="prediction_"
        ),
        *_moved(result, limits),
        *_ks(result),
        *_watch(result),
    ]


def check_details(result: Result, reference: str, log: HourLog) -> dict[str, Any]:
    """What the numbers can be worked out from again, and the state the next check takes up."""
    return {
        "reference": reference,
        "days": [day_name(day) for day in result.days],
        "rolling_days": [day_name(day) for day in result.rolling_days],
        "partial_days": [day_name(day) for day in result.partial_days],
        "averaged": list(result.averaged),
        "features": [_detail(item) for item in (*result.features, result.prediction)],
        "watch": {watch.name: watch.to_json() for watch in result.watches},
        "highest": _highest(result),
        "volatile": {"damaged_lines": log.damaged, "foreign_lines": log.foreign},
    }


def _of_column(item: Column, limit: float) -> Iterator[Metric]:
    yield from _window("psi", item.rolling, limit, segment=item.name)
    day = item.day
    if day is None:
        yield null("psi_day", _NO_DAY, NATS, item.name)
    else:
        yield Metric("psi_day", day.psi.value, unit=NATS, n=day.psi.n_obs, segment=item.name)
    watch = item.watch
    if watch is not None:
        yield Metric("e_value", watch.e_value, n=watch.n_watched, segment=item.name)


def _window(
    name: str, found: Calibrated | None, limit: float, *, prefix: str = "", segment: str = ""
) -> Iterator[Metric]:
    """A statistic of the rolling days with bounds, p value and whether it can be judged."""
    bounded = (f"{name}_upper", f"{name}_lower", f"{prefix}p_block", f"{prefix}psi_null95")
    gateable = f"{prefix}gateable"
    if found is None or found.null is None or found.bounds is None:
        why = _NO_DAY if found is None else _SHORT
        value = None if found is None else found.psi.value
        yield Metric(name, value, unit=NATS, segment=segment, null_reason="" if found else why)
        for lacking in bounded:
            yield null(lacking, why, NATS, segment)
        # Before a full day nothing says that a feature cannot be judged: unproven, not left out.
        yield Metric(gateable, int(found is None), segment=segment, definition=why)
        return
    n, windows = found.psi.n_obs, len(found.null.scores)
    yield Metric(name, found.psi.value, unit=NATS, n=n, segment=segment)
    yield Metric(bounded[0], found.bounds.upper, unit=NATS, n=n, segment=segment)
    yield Metric(bounded[1], found.bounds.lower, unit=NATS, n=n, segment=segment)
    yield Metric(bounded[2], found.p_value, n=windows, segment=segment)
    yield Metric(bounded[3], found.null.limit95, unit=NATS, n=windows, segment=segment)
    definition = f"95 % of the reference's own windows stay below the limit of {limit:g}"
    yield Metric(gateable, int(is_gateable(found, limit)), segment=segment, definition=definition)


def _moved(result: Result, limits: Limits) -> Iterator[Metric]:
    """Whether a window is beyond chance and no smaller than its limit, Holm over the features."""
    judged = [item.rolling for item in result.features if _is_judged(item.rolling, limits.feature)]
    known = {item.name: item.p_value for item in judged if item and item.p_value is not None}
    adjusted = dict(zip(known, holm(np.array(list(known.values()))), strict=True))
    score = result.prediction
    columns = [
        *((item.name, item.rolling, limits.feature) for item in result.features),
        ("overall", result.overall, limits.overall),
        (score.name, score.rolling, limits.prediction),
    ]
    for segment, found, limit in columns:
        if found is None:
            yield null("moved", _NO_DAY, segment=segment)
            continue
        said = reading(found, limit, adjusted.get(segment), limits.level, sure=limits.sure)
        about = f"beyond chance and at least {limit:g}"
        n = found.psi.n_obs
        yield Metric("moved", int(said == "fail"), n=n, segment=segment, definition=about)


def _is_judged(found: Calibrated | None, limit: float) -> bool:
    return found is not None and is_gateable(found, limit)


def _rows(result: Result) -> Metric:
    counts = result.prediction.counts
    return Metric("rows", 0 if counts is None else int(counts.sum()), unit="rows")


def _rows_logged(result: Result, logged: Mapping[int, int] | None) -> Metric:
    if logged is None:
        why = "a line of the prediction log is damaged"
        return Metric("rows_logged", None, unit="rows", null_reason=why, deterministic=False)
    rows = sum(logged.get(day, 0) for day in result.rolling_days)
    about = "of the same days in the prediction log, which may have been set aside or dropped lines"
    return Metric("rows_logged", rows, unit="rows", definition=about, deterministic=False)


def _taken_back(rows: int | None) -> Metric:
    """Not of what was served alone, but of what was looked at before: no part of a digest."""
    return Metric(
        "rows_taken_back",
        rows,
        unit="rows",
        definition="of the days of the check before, no longer in their cells: counts were edited",
        null_reason="there is no check of the last weeks before this one" if rows is None else "",
        deterministic=False,
    )


def _ks(result: Result) -> Iterator[Metric]:
    if result.ks is None:
        yield null("prediction_ks", _NO_DAY)
        return
    yield Metric("prediction_ks", result.ks[0])
    yield Metric("prediction_ks_p", result.ks[1], definition="for independent rows")


def _watch(result: Result) -> Iterator[Metric]:
    watch, n = result.watch, len(result.days)
    if watch is None or not n:
        for name in ("e_value", "e_value_highest", "sr_highest"):
            yield null(name, _NO_DAY)
        return
    about = "mean over " + ", ".join(item.name for item in result.features if item.watches)
    yield Metric("e_value", watch.e_value, n=n, definition=about)
    yield Metric("e_value_highest", watch.highest_e_value, n=n, definition=f"{about}, on any day")
    yield Metric("sr_highest", watch.highest_sr, n=n, definition=f"{about}, on any day")


def _highest(result: Result) -> dict[str, float]:
    watch = result.watch
    return {} if watch is None else {"e_value": watch.highest_e_value, "sr": watch.highest_sr}


def _detail(item: Column) -> dict[str, Any]:
    bins = item.frozen.bins
    return {
        "name": item.name,
        "edges": bins.edges,
        "reference_counts": bins.counts,
        "current_counts": [] if item.counts is None else item.counts,
        "per_bin": [] if item.rolling is None else item.rolling.psi.per_bin,
        "reference_digest": bins.digest,
    }
