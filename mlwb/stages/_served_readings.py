"""Numbers about a version in place, each with why it is not known: one definition for all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mlwb.core.clock import DAY_S
from mlwb.core.errors import EvidenceSchemaError
from mlwb.core.home import Home
from mlwb.core.linelog import read_all_lines
from mlwb.drift import SCORE, BinnedReference, psi_of_counts
from mlwb.monitor import (
    Beats,
    Binned,
    Comparisons,
    Fold,
    Reading,
    Snapshot,
    increases,
    parse_snapshot,
)

__all__ = [
    "answer_errors",
    "counted_between",
    "enough",
    "flips_of",
    "looks_between",
    "p95_of",
    "psi_of",
    "rank_corr_of",
    "requests_of",
    "share_of",
    "snapshots_path",
    "watched_in",
]

P95_ROWS = 59
"""Distribution-free: the least rows whose largest bounds a 95 % quantile at 95 %."""
_REQUESTS = re.compile(
    r'^ml_predict_requests_total\{model_version="([^"]*)",status="([^"]*)"\}$'
)  # as the server writes it


def p95_of(*timed: Binned) -> Reading:
    """The slowest of several ways a version works, each with enough rows to speak of it."""
    used = [item for item in timed if item.n]
    n = min((item.n for item in used), default=0)
    if n < P95_ROWS:
        return Reading(math.nan, n, f"{n} rows timed, a 95 % quantile needs {P95_ROWS}")
    return Reading(max(item.quantile(0.95) for item in used), n)


def share_of(k: int, n: int, least: int) -> Reading:
    """K of n, where n is enough to speak of a share."""
    return Reading(math.nan, n, _few(n, least)) if n < max(least, 1) else Reading(k / n, n)


def rank_corr_of(compared: Comparisons, least: int) -> Reading:
    """Spearman's, of both scores."""
    if compared.compared < least:
        return Reading(math.nan, compared.compared, _few(compared.compared, least))
    value = compared.rank_corr()
    why = "" if math.isfinite(value) else "one side gives the same score to every row"
    return Reading(value, compared.compared, why)


def psi_of(reference: BinnedReference, rows: Fold, compared: Comparisons, least: int) -> Reading:
    """Of the scores of a fold against the frozen reference, the plain number."""
    pairs = zip(rows.answers.score.counts, compared.score.counts, strict=True)
    counts = np.zeros(len(reference.counts), dtype=np.int64)
    counts[: reference.n_bins] = [answered + shadowed for answered, shadowed in pairs]
    n = int(counts.sum())
    if n < least:
        return Reading(math.nan, n, _few(n, least))
    return Reading(psi_of_counts(SCORE, reference.counts, counts).value, n)


def enough(reading: Reading, least: int) -> Reading:
    """The reading, or why it says nothing: too few rows."""
    n = reading.n
    return Reading(math.nan, n, _few(n, least)) if 0 < n < least else reading


def snapshots_path(home: Home, moment: datetime) -> Path:
    """Where a look at a server's counters is kept: a file for each UTC day."""
    return home.artifacts / "metrics" / f"{moment.astimezone(UTC):%Y-%m-%d}.jsonl"


def looks_between(home: Home, first_s: int, last_s: int) -> list[Snapshot]:
    """Looks at the counters of all servers in a window and on the day before it."""
    days = range(first_s // DAY_S - 1, (last_s - 1) // DAY_S + 1)
    found = []
    for day in days:
        path = snapshots_path(home, datetime.fromtimestamp(day * DAY_S, UTC))
        found += [item for item in read_all_lines(path, _snapshot_or_none) if item]
    return found


def counted_between(home: Home, first_s: int, last_s: int) -> dict[str, float] | None:
    """What the counters of all servers grew by in a window; None where nobody looked twice."""
    return increases(looks_between(home, first_s, last_s), first_s, last_s)


def watched_in(looks: Iterable[Snapshot], first_s: int, last_s: int) -> Beats:
    """Seconds of a window in which somebody looked at a server's counters."""
    found = Beats(first_s, last_s)
    for item in looks:
        found.add(item.ts.timestamp())
    return found


def requests_of(grown: Mapping[str, float] | None, version: str = "") -> dict[str, int] | None:
    """Requests by status, of one version or of all; None where nothing is known."""
    if grown is None:
        return None
    found: dict[str, int] = {}
    for name, value in grown.items():
        match = _REQUESTS.match(name)
        if match and version in ("", match[1]):
            found[match[2]] = found.get(match[2], 0) + round(value)
    return found


def answer_errors(requests: Mapping[str, int] | None, least: int) -> Reading:
    """Share of requests that the server failed; a caller's own errors are not among them."""
    if requests is None:
        return Reading(math.nan, 0, "no server's counters were looked at: mlwb report scrape")
    failed = requests.get("server_error", 0)
    return share_of(failed, failed + requests.get("success", 0), least)


def flips_of(grown: Mapping[str, float] | None) -> dict[str, Reading]:
    """Flips of `latest` that no log explains, as a reading to ask the policy; empty if unknown."""
    if grown is None:
        return {}
    n = round(grown.get('ml_registry_flips_total{status="unaudited"}', 0.0))
    return {"unaudited": Reading(float(n), n)}


def _few(n: int, least: int) -> str:
    return f"{n} rows, {least} are needed"


def _snapshot_or_none(data: bytes) -> Snapshot | None:
    try:
        return parse_snapshot(data)
    except EvidenceSchemaError:
        return None
