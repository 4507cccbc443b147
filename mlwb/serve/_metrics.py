"""What one process counts.

Plain numbers changed on the event loop and read at a scrape. The number of series is fixed by
this module: no label is ever taken from a request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import add
from typing import NamedTuple, TypeAlias

import numpy as np

__all__ = [
    "HELP",
    "LATENCY_EDGES_MS",
    "NOBODY",
    "NO_DRIFT",
    "REFUSED",
    "DriftGauges",
    "Histogram",
    "Metrics",
    "Samples",
]

Samples: TypeAlias = dict[str, dict[str, float]]
"""By family the samples of an exposition: the text before the number, and the number."""

NOBODY = "none"
"""Stands for the version where a request was refused without one."""

# Every latency limit in use is an edge (10, 20, 60, 80, 120, 200), so that a rule on a limit
# reads an exact count and not an interpolation.
LATENCY_EDGES_MS = (
    0.1,
    0.5,
    1.0,
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
# The same for both sides of a comparison, so that they can be laid side by side.
_SHADOW_EDGES_MS = (0.1, 1.0, 10.0, 60.0)
_DELTA_EDGES = (0.01, 0.025, 0.05, 0.1)
_MANY = 48
"""Values from which one call of numpy costs less than a call for each."""
_SCORE_EDGES = tuple(tenth / 10 for tenth in range(1, 10))
_KEPT_VERSIONS = 6
"""More than are shown, so that a worker that takes up a version first takes none from the sum."""
REFUSED = ("key", "rate", "load", "http")
"""Why requests are refused before any work: no valid key or one that does not permit it, too many
of one caller, too many of all, no HTTP request of a proper size in time."""

HELP = {
    "ml_predict_requests_total": "counter Prediction requests answered, by outcome.",
    "ml_predict_latency_ms": "histogram Milliseconds from request to answer, of scored requests.",
    "ml_prediction_score": "histogram Scores served.",
    "ml_shadow_success_total": "counter Rows the candidate scored within its budget.",
    "ml_shadow_error_total": "counter Rows the candidate did not score.",
    "ml_shadow_dropped_total": "counter Comparisons not made because too many were waiting.",
    "ml_shadow_match_total": "counter Compared rows within the match limit.",
    "ml_shadow_mismatch_total": "counter Compared rows beyond the match limit.",
    "ml_shadow_skipped_total": "counter Rows not shown to the candidate: its breaker is open.",
    "ml_shadow_match_rate": "gauge Share of the newest compared rows within the match limit.",
    "ml_shadow_rank_corr": "gauge Rank correlation of both scores over the newest compared rows.",
    "ml_shadow_breaker_state": "gauge 0 the candidate is asked, 1 it is tried, 2 left alone.",
    "ml_shadow_breaker_opened_total": "counter Times the candidate failed too often.",
    "ml_shadow_abs_delta": "histogram Absolute difference of candidate and champion.",
    "ml_shadow_latency_ms": "histogram Milliseconds the candidate took a request.",
    "ml_baseline_latency_ms": "histogram Milliseconds of the champion on shadowed requests.",
    "ml_model_reload_total": "counter Versions taken up or refused since start.",
    "ml_model_swap_ms": "gauge Milliseconds the event loop took for the last change of version.",
    "ml_registry_flips_total": "counter Changes of the version that answers, by how they came.",
    "ml_registry_unaudited": "gauge 1 while `latest` is not where the registry's log says.",
    "ml_canary_percent": "gauge Share of the requests that an open canary takes, in percent.",
    "ml_canary_lease_seconds": "gauge Seconds until an open canary ends unless it is renewed.",
    "ml_canary_answers_total": "counter Answers during a live split, by who gave them.",
    "ml_canary_ended_total": "counter Canaries that the server ended by itself, by why.",
    "ml_model_info": "gauge 1 for the version that answers.",
    "ml_ready": "gauge 1 while predictions are answered.",
    "ml_killed": "gauge 1 while the kill switch is on.",
    "ml_mode": "gauge 0 inference, 1 training, 2 maintenance.",
    "ml_log_dropped_total": "counter Lines of any log lost: too many waited, or the disk refused.",
    "ml_refused_total": "counter Requests refused before any work, by reason.",
    "ml_limit_store_up": "gauge 1 while the store of the shared rate limits answers.",
    "ml_limit_store_failures_total": "counter Times that store gave no answer.",
    "ml_observe_bars_total": "counter Bars taken in.",
    "ml_observe_symbols": "gauge Symbols observed.",
    "ml_observe_write_failures_total": "counter Times the state of a symbol was not written.",
    "ml_audit_lost_total": "counter Audit lines that could not be written.",
    "ml_psi_score": "gauge PSI of the last 24 clock hours against the frozen reference.",
    "ml_psi_rows": "gauge Rows of the last 24 clock hours.",
    "ml_drift_evalue": "gauge Highest evidence of the daily checks against no change.",
    "ml_drift_write_failures_total": "counter Times the counts of live rows were not written.",
    "ml_workers": "gauge Processes that answer.",
}
"""Kind and meaning of every family, in the order of the exposition."""


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

    __slots__ = ("_bounds", "counts", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges, self._bounds = edges, np.array(edges)
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def observe_all(self, values: Sequence[float]) -> None:
        """Count many.

        Parameters
        ----------
        values : sequence of float
            Finite.
        """
        edges, counts = self.edges, self.counts
        if len(values) < _MANY:
            for value in values:
                counts[bisect_left(edges, value)] += 1
        else:
            cells = np.bincount(self._bounds.searchsorted(values), minlength=len(counts))
            counts[:] = map(add, counts, cells.tolist())
        self.total += sum(values)

    def samples(self, name: str, labels: str = "") -> dict[str, float]:
        """Cumulative buckets, sum and count."""
        found: dict[str, float] = {}
        below, comma = 0, "," if labels else ""
        for edge, count in zip((*map(_number, self.edges), "+Inf"), self.counts, strict=True):
            below += count
            found[f'{name}_bucket{{{labels}{comma}le="{edge}"}}'] = below
        braces = f"{{{labels}}}" if labels else ""
        return {**found, f"{name}_sum{braces}": self.total, f"{name}_count{braces}": below}


class Metrics:
    """Everything a server counts. One thread writes: the event loop's."""

    __slots__ = (
        "_latencies",
        "abs_delta",
        "baseline_ms",
        "canary_answers",
        "canary_ended",
        "dropped",
        "errors",
        "flips",
        "latency_ms",
        "match",
        "mismatch",
        "refused",
        "reloads",
        "requests",
        "score",
        "shadow_ms",
        "skipped",
        "success",
        "versions",
    )

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.requests: dict[tuple[str, str], int] = {}
        self.latency_ms = Histogram(LATENCY_EDGES_MS)
        self._latencies: dict[str, Histogram] = {}
        self.score = Histogram(_SCORE_EDGES)
        self.abs_delta = Histogram(_DELTA_EDGES)
        self.shadow_ms = Histogram(_SHADOW_EDGES_MS)
        self.baseline_ms = Histogram(_SHADOW_EDGES_MS)
        self.success = self.errors = self.match = self.mismatch = 0
        self.dropped = self.skipped = 0
        self.canary_answers: dict[str, int] = {}
        self.canary_ended = dict.fromkeys(("lease_expired", "other"), 0)
        self.flips = dict.fromkeys(("promoted", "rolled_back", "unaudited"), 0)
        self.refused = dict.fromkeys(REFUSED, 0)
        self.reloads = dict.fromkeys(
            ("loaded", "rejected", "candidate_loaded", "candidate_rejected"), 0
        )

    @property
    def version(self) -> str:
        """The one that answers."""
        return self.versions[-1] if self.versions else NOBODY

    def count(self, version: str, status: str, n: int = 1) -> None:
        """Count answered requests; ``status`` is success, client_error or server_error."""
        key = (version, status)
        self.requests[key] = self.requests.get(key, 0) + n

    def latency(self, version: str) -> Histogram:
        """Of one version; that of the newest where it is not known any more."""
        return self._latencies.get(version, self.latency_ms)

    def compared(self, deltas: Sequence[float], *, n_matched: int, n_failed: int) -> None:
        """Count rows shown to the candidate.

        Parameters
        ----------
        deltas : sequence of float
            Candidate minus champion, of the rows that it scored.
        n_matched : int
            Those of them within the match limit.
        n_failed : int
            Rows that it gave no score.
        """
        self.errors += n_failed
        self.success += len(deltas)
        self.match += n_matched
        self.mismatch += len(deltas) - n_matched
        self.abs_delta.observe_all(list(map(abs, deltas)))

    def follow(self, version: str) -> None:
        """Time this version from now on, and forget versions long gone."""
        if self.versions[-1:] == [version]:
            return
        kept = [*(name for name in self.versions if name != version), version][-_KEPT_VERSIONS:]
        self._latencies = {
            name: self._latencies.get(name) or Histogram(LATENCY_EDGES_MS) for name in kept
        }
        self.requests = {key: n for key, n in self.requests.items() if key[0] in (*kept, NOBODY)}
        self.versions, self.latency_ms = kept, self._latencies[version]

    def samples(self, readings: Mapping[str, float], drift: DriftGauges = NO_DRIFT) -> Samples:
        """Everything that is counted here, and what was read elsewhere.

        Parameters
        ----------
        readings : mapping of str to float
            Families of one series whose number somebody else keeps.
        drift : DriftGauges, optional
            Of live drift.
        """
        latencies: dict[str, float] = {}
        for name, histogram in self._latencies.items():
            labels = f'model_version="{name}"'
            latencies.update(histogram.samples("ml_predict_latency_ms", labels))
        plain = {
            "ml_shadow_success_total": self.success,
            "ml_shadow_error_total": self.errors,
            "ml_shadow_dropped_total": self.dropped,
            "ml_shadow_match_total": self.match,
            "ml_shadow_mismatch_total": self.mismatch,
            "ml_shadow_skipped_total": self.skipped,
            "ml_workers": 1,
            **readings,
        }
        return {
            "ml_predict_requests_total": {
                f'ml_predict_requests_total{{model_version="{name}",status="{status}"}}': n
                for (name, status), n in self.requests.items()
            },
            "ml_predict_latency_ms": latencies,
            "ml_prediction_score": self.score.samples("ml_prediction_score"),
            "ml_shadow_abs_delta": self.abs_delta.samples("ml_shadow_abs_delta"),
            "ml_shadow_latency_ms": self.shadow_ms.samples("ml_shadow_latency_ms"),
            "ml_baseline_latency_ms": self.baseline_ms.samples("ml_baseline_latency_ms"),
            "ml_model_reload_total": _by("ml_model_reload_total", "result", self.reloads),
            "ml_refused_total": _by("ml_refused_total", "reason", self.refused),
            "ml_canary_answers_total": _by(
                "ml_canary_answers_total", "status", self.canary_answers
            ),
            "ml_canary_ended_total": _by("ml_canary_ended_total", "status", self.canary_ended),
            "ml_registry_flips_total": _by("ml_registry_flips_total", "status", self.flips),
            "ml_model_info": {
                f'ml_model_info{{model_version="{name}"}}': 1 for name in self.versions[-1:]
            },
            **{name: {name: value} for name, value in plain.items()},
            **_drift_samples(drift),
        }


def _by(family: str, label: str, counts: Mapping[str, int]) -> dict[str, float]:
    return {f'{family}{{{label}="{name}"}}': n for name, n in counts.items()}


def _drift_samples(drift: DriftGauges) -> Samples:
    return {
        "ml_psi_score": {
            f'ml_psi_score{{feature="{name}"}}': value for name, value in drift.psi.items()
        },
        "ml_psi_rows": {"ml_psi_rows": drift.rows},
        "ml_drift_evalue": {"ml_drift_evalue": drift.e_value},
        "ml_drift_write_failures_total": {"ml_drift_write_failures_total": drift.lost},
    }


def _number(edge: float) -> str:
    return f"{edge:g}"
