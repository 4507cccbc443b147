"""What a live rollout cannot measure, from the observing one that went before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from mlwb.core.clock import parse_utc
from mlwb.evidence import Metric, Record, Upstream, rate

__all__ = ["observed_before", "with_agreement"]

_AGREEMENT = ("match_rate", "mean_abs_delta", "prediction_psi")
_QUESTION = "mismatch"


def observed_before(
    records: Iterable[Record], lock: Mapping[str, str], *, oldest: datetime
) -> Record | None:
    """The newest observing rollout about exactly these digests that went through.

    Parameters
    ----------
    records : iterable of Record
        Of kind ``canary_run``, oldest first.
    lock : mapping of str to str
        Versions, digests of both and of the policy.
    oldest : datetime
        One that ended before says nothing any more.
    """
    found = [
        record
        for record in records
        if record.details.get("mode") == "observe_only"
        and record.details.get("lock") == dict(lock)
        and not record.details.get("aborted")
        and parse_utc(record.timestamp) >= oldest
    ]
    return found[-1] if found else None


def with_agreement(record: Record, before: Record, *, e_value: float) -> Record:
    """A live rollout's record with the agreement that the one before it showed, and says so.

    The same bytes scored every row of that one, so what they agreed on holds of them still. Its
    record is named upstream; each number taken over names it as well.

    Parameters
    ----------
    record : Record
        Of the live rollout, whose agreement was not measured.
    before : Record
        Of :func:`observed_before`.
    e_value : float
        Evidence from which on the question of agreement is shown.
    """
    known = {(metric.name, metric.segment): metric for metric in before.metrics}
    metrics = [_taken(metric, known, before.run_id) for metric in record.metrics]
    asked = [
        metric
        for metric in before.metrics
        if metric.segment == _QUESTION and metric.name in ("beyond_limit", "e_value_shown")
    ]
    shown = known.get(("e_value_shown", _QUESTION))
    is_shown = shown is not None and shown.value is not None and shown.value >= e_value
    metrics = [
        rate(
            metric.name,
            (metric.k or 0) + is_shown,
            (metric.n or 0) + 1,
            definition=f"agreement as {before.run_id} showed it",
            deterministic=False,
        )
        if metric.name == "questions_shown"
        else metric
        for metric in metrics
    ]
    return replace(
        record,
        metrics=(*metrics, *(_named(metric, before.run_id) for metric in asked)),
        details={**record.details, "agreement": before.run_id},
        upstream=(*record.upstream, Upstream(before.run_id, before.sha256)),
    )


def _taken(metric: Metric, known: Mapping[tuple[str, str], Metric], run_id: str) -> Metric:
    other = known.get((metric.name, metric.segment))
    if metric.name not in _AGREEMENT or metric.value is not None or other is None:
        return metric
    return _named(other, run_id)


def _named(metric: Metric, run_id: str) -> Metric:
    return replace(metric, definition=f"of {run_id}, the same digests")
