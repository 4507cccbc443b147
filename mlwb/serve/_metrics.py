"""Counters of one server and their Prometheus text.

Plain numbers changed on the event loop and read at a scrape. The number of series is fixed by
this module: no label is ever taken from a request.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["LATENCY_EDGES_MS", "NO_DRIFT", "DriftGauges", "Histogram", "Metrics"]

# Every latency limit in use is an edge (10, 20, 60, 80, 120, 200), so that a rule on a limit
# reads an exact count and not an interpolation.
LATENCY_EDGES_MS = (
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    20.0,
    40.0,
    60.0,
    80.0,
    120.0,
    200.0,
    500.0,
)
_BASELINE_EDGES_MS = (1.0, 10.0, 20.0, 60.0, 80.0, 120.0, 200.0)
_SHADOW_EDGES_MS = (0.1, 1.0, 10.0, 60.0)
_DELTA_EDGES = (0.001, 0.01, 0.025, 0.05, 0.1, 0.2)
_SCORE_EDGES = tuple(tenth / 10 for tenth in range(1, 10))
_KEPT_VERSIONS = 3

_HELP = {
    "ml_predict_requests_total": "counter Prediction requests answered, by outcome.",
    "ml_predict_latency_ms": "histogram Milliseconds from request to answer, of scored requests.",
    "ml_prediction_score": "histogram Scores served.",
    "ml_shadow_success_total": "counter Rows the candidate scored within its budget.",
    "ml_shadow_error_total": "counter Rows the candidate did not score.",
    "ml_shadow_dropped_total": "counter Comparisons not made because too many were waiting.",
    "ml_shadow_match_total": "counter Compared rows within the match limit.",
    "ml_shadow_mismatch_total": "counter Compared rows beyond the match limit.",
    "ml_shadow_match_rate": "gauge Share of compared rows within the match limit.",
    "ml_shadow_abs_delta": "histogram Absolute difference of candidate and champion.",
    "ml_shadow_latency_ms": "histogram Milliseconds the candidate took a request.",
    "ml_baseline_latency_ms": "histogram Milliseconds of the champion on shadowed requests.",
    "ml_model_reload_total": "counter Versions taken up or refused since start.",
    "ml_model_info": "gauge 1 for the version that answers.",
    "ml_ready": "gauge 1 while predictions are answered.",
    "ml_killed": "gauge 1 while the kill switch is on.",
    "ml_prediction_log_dropped_total": "counter Log lines lost because the buffer was full.",
    "ml_audit_lost_total": "counter Audit lines that could not be written.",
    "ml_psi_score": "gauge PSI of the last 24 clock hours against the frozen reference.",
    "ml_psi_rows": "gauge Rows of the last 24 clock hours.",
    "ml_drift_evalue": "gauge Highest evidence of the daily checks against no change.",
    "ml_drift_write_failures_total": "counter Times the counts of live rows were not written.",
}


class DriftGauges(NamedTuple):
    """What a scrape shows of live drift.

    Parameters
    ----------
    psi : mapping of str to float
        By feature, the score last; NaN while the window has not seen enough of a day.
    rows : int
        Rows of the last 24 clock hours.
    e_value : float
        The highest the daily checks have found; NaN before the first.
    lost : int
        Times the counts were not written.
    """

    psi: Mapping[str, float]
    rows: int
    e_value: float
    lost: int


NO_DRIFT = DriftGauges({}, 0, float("nan"), 0)
"""Nothing is counted."""


class Histogram:
    """Counts below fixed edges.

    Parameters
    ----------
    edges : sequence of float
        Increasing upper bounds, inclusive; one more cell takes the rest.

    Examples
    --------
    >>> found = Histogram((1.0, 10.0))
    >>> for value in (1.0, 1.1, 99.0):
    ...     found.observe(value)
    >>> found.counts
    [1, 1, 1]
    """

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str = "") -> Iterable[str]:
        """Exposition lines: cumulative buckets, sum and count."""
        below, comma = 0, "," if labels else ""
        for edge, count in zip((*map(_number, self.edges), "+Inf"), self.counts, strict=True):
            below += count
            yield f'{name}_bucket{{{labels}{comma}le="{edge}"}} {below}'
        braces = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braces} {self.total!r}"
        yield f"{name}_count{braces} {below}"


class Metrics:
    """Everything a server counts. One thread writes: the event loop's."""

    __slots__ = (
        "abs_delta",
        "baseline_ms",
        "dropped",
        "errors",
        "latency_ms",
        "match",
        "mismatch",
        "reloads",
        "requests",
        "score",
        "shadow_ms",
        "success",
        "version",
    )

    def __init__(self) -> None:
        self.version = "none"
        self.requests: dict[tuple[str, str], int] = {}
        self.latency_ms = Histogram(LATENCY_EDGES_MS)
        self.score = Histogram(_SCORE_EDGES)
        self.abs_delta = Histogram(_DELTA_EDGES)
        self.shadow_ms = Histogram(_SHADOW_EDGES_MS)
        self.baseline_ms = Histogram(_BASELINE_EDGES_MS)
        self.success = self.errors = self.dropped = self.match = self.mismatch = 0
        self.reloads = dict.fromkeys(
            ("loaded", "rejected", "candidate_loaded", "candidate_rejected"), 0
        )

    def count(self, version: str, status: str) -> None:
        """Count one answered request; ``status`` is success, client_error or server_error."""
        key = (version, status)
        self.requests[key] = self.requests.get(key, 0) + 1

    def compared(self, delta: float | None, *, is_match: bool | None) -> None:
        """Count one row shown to the candidate; ``delta`` is None when it gave no score."""
        if delta is None:
            self.errors += 1
            return
        self.success += 1
        self.abs_delta.observe(abs(delta))
        if is_match:
            self.match += 1
        else:
            self.mismatch += 1

    def follow(self, version: str) -> None:
        """Start the latency of a version anew and forget versions long gone."""
        if version == self.version:
            return
        self.version = version
        self.latency_ms = Histogram(LATENCY_EDGES_MS)
        seen = list(dict.fromkeys(name for name, _ in self.requests if name != version))
        for gone in seen[: max(0, len(seen) + 1 - _KEPT_VERSIONS)]:
            self.requests = {key: n for key, n in self.requests.items() if key[0] != gone}

    def text(
        self,
        *,
        is_ready: bool,
        is_killed: bool,
        log_dropped: int,
        audit_lost: int = 0,
        drift: DriftGauges = NO_DRIFT,
    ) -> str:
        """The exposition, format 0.0.4."""
        version = f'model_version="{self.version}"'
        compared = self.match + self.mismatch
        samples: dict[str, Iterable[str]] = {
            "ml_predict_requests_total": [
                f'ml_predict_requests_total{{model_version="{name}",status="{status}"}} {n}'
                for (name, status), n in self.requests.items()
            ],
            "ml_predict_latency_ms": self.latency_ms.lines("ml_predict_latency_ms", version),
            "ml_prediction_score": self.score.lines("ml_prediction_score"),
            "ml_shadow_abs_delta": self.abs_delta.lines("ml_shadow_abs_delta"),
            "ml_shadow_latency_ms": self.shadow_ms.lines("ml_shadow_latency_ms"),
            "ml_baseline_latency_ms": self.baseline_ms.lines("ml_baseline_latency_ms"),
            "ml_model_reload_total": [
                f'ml_model_reload_total{{result="{result}"}} {n}'
                for result, n in self.reloads.items()
            ],
            "ml_model_info": [f"ml_model_info{{{version}}} 1"],
        }
        plain = {
            "ml_shadow_success_total": self.success,
            "ml_shadow_error_total": self.errors,
            "ml_shadow_dropped_total": self.dropped,
            "ml_shadow_match_total": self.match,
            "ml_shadow_mismatch_total": self.mismatch,
            "ml_shadow_match_rate": self.match / compared if compared else "NaN",
            "ml_ready": int(is_ready),
            "ml_killed": int(is_killed),
            "ml_prediction_log_dropped_total": log_dropped,
            "ml_audit_lost_total": audit_lost,
        }
        samples.update({name: [f"{name} {value}"] for name, value in plain.items()})
        samples.update(_drift_samples(drift))
        parts: list[str] = []
        for name, about in _HELP.items():
            kind, _, text = about.partition(" ")
            parts += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples[name]]
        return "\n".join(parts) + "\n"


def _drift_samples(drift: DriftGauges) -> dict[str, Iterable[str]]:
    by_feature = drift.psi.items()
    return {
        "ml_psi_score": [
            f'ml_psi_score{{feature="{name}"}} {_exact(value)}' for name, value in by_feature
        ],
        "ml_psi_rows": [f"ml_psi_rows {drift.rows}"],
        "ml_drift_evalue": [f"ml_drift_evalue {_exact(drift.e_value)}"],
        "ml_drift_write_failures_total": [f"ml_drift_write_failures_total {drift.lost}"],
    }


def _exact(value: float) -> str:
    return repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "+Inf"


def _number(edge: float) -> str:
    return f"{edge:g}"
