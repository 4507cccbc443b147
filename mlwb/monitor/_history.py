"""One row a day: the table that trends are drawn from."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from mlwb.core.errors import EvidenceSchemaError
from mlwb.evidence import Record
from mlwb.stats import wilson

__all__ = ["HISTORY_COLUMNS", "Week", "history_csv", "history_row", "parse_history", "week_of"]

_NUMBERS = (
    "rows", "covered_h", "longest_gap_s", "error_rate", "score_mean", "score_p50", "p50_ms",
    "p95_ms", "p99_ms", "match_rate", "match_k", "match_n", "shadow_error_rate", "rank_corr",
    "mean_abs_delta", "prediction_psi", "psi_highest", "critical_alerts", "lines_damaged",
)  # fmt: skip
_WORDS = ("date", "risk", "model_version", "candidate", "drift_check", "run_id")
_WEEK_DAYS = 7
HISTORY_COLUMNS = (*_WORDS, *_NUMBERS)
"""Of ``ml_daily_reports.csv``, in order."""


@dataclass(frozen=True)
class Week:
    """Seven days in one look.

    Parameters
    ----------
    first, last : str
        UTC dates, both inside.
    days : int
        Days with a report.
    risks : mapping of str to int
        Days by their risk.
    rows, matched, compared : int
        Over all days.
    match_low, match_high : float
        Wilson's 95 % interval of the pooled match rate; NaN where nothing was compared.
    covered_h : float
        Hours with rows.
    p95_ms : float
        Of the slowest day; NaN where none was timed.
    """

    first: str
    last: str
    days: int
    risks: Mapping[str, int]
    rows: int
    matched: int
    compared: int
    match_low: float
    match_high: float
    covered_h: float
    p95_ms: float

    @property
    def risk(self) -> str:
        """The worst of its days; a day that was not told is not OK."""
        if self.risks.get("CRITICAL"):
            return "CRITICAL"
        return "OK" if self.risks.get("OK", 0) == _WEEK_DAYS else "WARN"


def history_row(record: Record) -> dict[str, str]:
    """The row of a record of kind ``daily_report``; a number not measured is an empty cell."""
    found = {metric.name: metric for metric in record.metrics if not metric.segment}
    match = found["match_rate"]
    numbers: dict[str, float | None] = {name: found[name].value for name in found}
    numbers |= {"match_k": match.k, "match_n": match.n}
    details = record.details
    words = {
        **{name: str(details[name]) for name in ("date", "risk", "candidate")},
        "model_version": record.model_version,
        "drift_check": str(details["drift_check"]["outcome"]),
        "run_id": record.run_id,
    }
    cells = {name: "" if numbers.get(name) is None else repr(numbers[name]) for name in _NUMBERS}
    return {name: words.get(name, cells.get(name, "")) for name in HISTORY_COLUMNS}


def parse_history(text: str) -> dict[str, dict[str, str]]:
    """Rows of the table by date; what a later version adds or drops is an empty cell.

    Raises
    ------
    EvidenceSchemaError
        A row has no date.
    """
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        try:
            day = date.fromisoformat(row.get("date") or "").isoformat()
        except ValueError as error:
            raise EvidenceSchemaError(
                "not a table of daily reports", expected="a UTC date", got=f"line {number}"
            ) from error
        found[day] = {name: row.get(name) or "" for name in HISTORY_COLUMNS}
    return found


def history_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """The table, oldest day first."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["date"]))
    return out.getvalue()


def week_of(rows: Sequence[Mapping[str, str]], last: date) -> Week:
    """The seven days that end with a date.

    Parameters
    ----------
    rows : sequence of mapping
        Of :func:`parse_history`; days outside are passed over.
    last : date
        UTC.
    """
    first = last - timedelta(days=_WEEK_DAYS - 1)
    days = [row for row in rows if first.isoformat() <= row["date"] <= last.isoformat()]
    risks: dict[str, int] = {}
    for row in days:
        risks[row["risk"]] = risks.get(row["risk"], 0) + 1
    matched, compared = int(_sum(days, "match_k")), int(_sum(days, "match_n"))
    low, high = wilson(matched, compared) if compared else (math.nan, math.nan)
    return Week(
        first=first.isoformat(),
        last=last.isoformat(),
        days=len(days),
        risks=risks,
        rows=int(_sum(days, "rows")),
        matched=matched,
        compared=compared,
        match_low=low,
        match_high=high,
        covered_h=_sum(days, "covered_h"),
        p95_ms=max((float(row["p95_ms"]) for row in days if row["p95_ms"]), default=math.nan),
    )


def _sum(rows: Sequence[Mapping[str, str]], name: str) -> float:
    return math.fsum(float(row[name]) for row in rows if row[name])
