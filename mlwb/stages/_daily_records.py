"""A day as evidence and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace

from mlwb.evidence import Interval, Metric, Record, rate
from mlwb.monitor import Alerts, Beats, Binned, Fold, Reading
from mlwb.stats import wilson

__all__ = ["daily_csv", "daily_metrics"]

_NEEDED = {"p50": 1, "p95": 59, "p99": 299}
"""Rows that a quantile stands on, distribution-free."""


def daily_metrics(
    rows: Fold,
    readings: Mapping[str, Reading],
    *,
    requests: Mapping[str, int] | None,
    psi: Mapping[str, Reading],
    alerts: Alerts,
    damaged: int,
    disk: int,
    max_gap_s: float,
    watched: Beats,
) -> list[Metric]:
    """Every number of the day.

    Parameters
    ----------
    rows : Fold
        Of the day.
    readings : mapping of str to Reading
        Numbers the policy was asked about.
    requests : mapping of str to int, or None
        By status.
    psi : mapping of str to Reading
        By feature.
    alerts : Alerts
        What the policy said.
    damaged : int
        Lines that cannot be read.
    disk : int
        Bytes free now.
    max_gap_s : float
        A longer silence is a gap.
    watched : Beats
        When a server's counters were looked at: what they say of the rest of the day is a guess.
    """
    compared, covered = rows.of(rows.candidate), rows.beats.coverage(max_gap_s=max_gap_s)
    unwatched_s = watched.coverage(max_gap_s=max_gap_s).longest_gap_s
    return [
        Metric("rows", rows.answers.n),
        Metric("covered_h", covered.seen_s / 3600.0, unit="h", n=covered.n_beats),
        Metric("gaps", len(covered.gaps)),
        Metric("longest_gap_s", covered.longest_gap_s, unit="s"),
        Metric("longest_unwatched_s", unwatched_s, unit="s"),
        *_requests(requests, readings["error_rate"]),
        Metric("score_mean", rows.answers.score.mean, n=rows.answers.n),
        *_quantiles("score", rows.answers.score, ""),
        *_quantiles("", rows.answers.latency_ms, "ms"),
        _share("match_rate", compared.matched, compared.compared),
        _share("shadow_error_rate", compared.failed, compared.asked),
        _number("rank_corr", readings["rank_corr"]),
        Metric("mean_abs_delta", compared.abs_delta.mean, n=compared.compared),
        _number("prediction_psi", readings["prediction_psi"], "nats"),
        *(_number("psi", item, "nats", segment=name) for name, item in psi.items()),
        Metric("psi_highest", max((item.value for item in psi.values()), default=None),
               unit="nats",
               null_reason="" if psi else "no server counted rows of this version that day"),
        Metric("critical_alerts", alerts.count, null_reason=alerts.why),
        Metric("rows_replayed", rows.replayed),
        Metric("lines_damaged", damaged, deterministic=False),
        Metric("disk_free_bytes", disk, unit="B", deterministic=False),
    ]  # fmt: skip


def daily_csv(record: Record) -> str:
    """One number a line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["date", "metric", "segment", "value", "unit", "n", "k", "low", "high", "why"])
    for metric in record.metrics:
        low, high = (metric.ci.lo, metric.ci.hi) if metric.ci else ("", "")
        cells = ("" if cell is None else cell for cell in (metric.value, metric.n, metric.k))
        value, n, k = cells
        writer.writerow([record.details["date"], metric.name, metric.segment, value, metric.unit,
                         n, k, low, high, metric.null_reason])  # fmt: skip
    return out.getvalue()


def _requests(requests: Mapping[str, int] | None, error: Reading) -> Iterator[Metric]:
    if requests is None:
        yield Metric("error_rate", None, null_reason=error.why)
        return
    for status, n in sorted(requests.items()):
        yield Metric("requests", n, segment=status)
    failed = requests.get("server_error", 0)
    yield _share("error_rate", failed, failed + requests.get("success", 0))


def _quantiles(prefix: str, values: Binned, unit: str) -> Iterator[Metric]:
    n = values.n
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        full = f"{prefix}_{name}" if prefix else f"{name}_{unit}"
        value = values.quantile(q) if n >= _NEEDED[name] else None
        why = "" if value is not None else f"{n} rows, {_NEEDED[name]} are needed"
        yield Metric(full, value, unit=unit or "1", n=n, null_reason=why,
                     definition="the edge at or above it")  # fmt: skip


def _share(name: str, k: int, n: int) -> Metric:
    found = rate(name, k, n)
    return replace(found, ci=Interval(0.95, *wilson(k, n), "Wilson")) if n else found


def _number(name: str, reading: Reading, unit: str = "1", segment: str = "") -> Metric:
    value = reading.value if reading.is_known else None
    return Metric(name, value, unit=unit, n=reading.n, segment=segment, null_reason=reading.why)
