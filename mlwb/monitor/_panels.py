"""The panels of the dashboard: what each shows, and its numbers over a day from noted looks.

The dashboard of Grafana is made from :data:`PANELS`, and so is the picture in the report of a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.monitor._counters import Snapshot
from mlwb.monitor._exposition import Series, read_series

__all__ = ["PANELS", "DayPanels", "Panel", "day_panels"]

BIN_S = 900
"""Numbers of a day are drawn by the quarter of an hour."""


@dataclass(frozen=True)
class Panel:
    """One panel of the dashboard.

    Parameters
    ----------
    title : str
        As it stands above it.
    kind : str
        Of Grafana: ``timeseries``, ``stat``, ``gauge``, ``heatmap``.
    unit : str
        Of Grafana: ``ms``, ``reqps``, ``percentunit``, ``short``.
    limits : tuple of str
        Ids of the policy's limits that are drawn, in the order of their colours.
    """

    title: str
    kind: str
    unit: str = "short"
    limits: tuple[str, ...] = ()


PANELS: Mapping[str, Panel] = MappingProxyType(
    {
        "latency": Panel("Prediction latency", "timeseries", "ms", ("canary.p95_ms",)),
        "requests": Panel("Requests", "timeseries", "reqps"),
        "version": Panel("Model version", "stat"),
        "gates": Panel("Gates a scrape can see (1: all hold)", "stat"),
        "match": Panel("Shadow match rate", "timeseries", "percentunit", ("canary.match_rate",)),
        "match_now": Panel("Match rate now", "gauge", "percentunit", ("canary.match_rate",)),
        "compared": Panel("Compared rows, last hour", "stat"),
        "delta": Panel("Shadow delta", "heatmap"),
        "beside": Panel(
            "Candidate and champion, p95", "timeseries", "ms", ("canary.shadow_p95_ms",)
        ),
        "psi": Panel(
            "PSI by feature, last 24 hours",
            "timeseries",
            limits=("psi.plain_overall", "psi.plain_feature"),
        ),
        "psi_mean": Panel(
            "PSI trend", "timeseries", limits=("psi.plain_overall", "psi.plain_feature")
        ),
    }
)
"""In the order of the dashboard."""


@dataclass(frozen=True, kw_only=True)
class DayPanels:
    """The numbers behind the panels, by the quarter of an hour; NaN where nothing was noted.

    Parameters
    ----------
    hours : ndarray of shape (n_bins,), float64
        Middle of each bin, hours since the day began.
    lines : mapping of str to mapping of str to ndarray of shape (n_bins,)
        By panel, then by the name of the line: milliseconds, requests a second, shares, PSI.
    below_p95_limit : mapping of str to ndarray of shape (n_bins,)
        By edge of the histogram, as it stands there: share of the answers within it.
    errors : ndarray of shape (n_bins,), float64
        Share of the requests that the server failed.
    versions : tuple of str
        That answered, in the order they were first seen.
    compared : tuple of (int, int)
        Matches and mismatches of the last hour of the day.
    deltas : ndarray of shape (n_edges, n_bins), float64
        Compared rows by their absolute difference.
    delta_edges : tuple of str
        Upper edges of its rows, as the server says them.
    n_looks : int
        Looks at the counters of servers.
    """

    hours: Float1D
    lines: Mapping[str, Mapping[str, Float1D]]
    below_p95_limit: Mapping[str, Float1D]
    errors: Float1D
    versions: tuple[str, ...]
    compared: tuple[int, int]
    deltas: Float2D
    delta_edges: tuple[str, ...]
    n_looks: int


class _Grown:
    """What counters grew by in each bin, and what gauges were at its last look."""

    def __init__(self, looks: Iterable[Snapshot], first_s: int, last_s: int) -> None:
        self.n_bins = -(-(last_s - first_s) // BIN_S)
        self.counters: dict[str, tuple[Series, Float1D]] = {}
        self.gauges: dict[str, tuple[Series, Float1D]] = {}
        self.versions: dict[str, float] = {}
        self.n_looks = 0
        self._first_s = first_s
        by_target: dict[str, dict[float, Snapshot]] = {}
        for look in looks:
            if look.ts.timestamp() < last_s:
                by_target.setdefault(look.target, {})[look.ts.timestamp()] = look
        for of_target in by_target.values():
            self._take([(ts, of_target[ts]) for ts in sorted(of_target)])

    def _take(self, looks: Sequence[tuple[float, Snapshot]]) -> None:
        for (_, before), (ts, after) in pairwise(looks):
            if ts >= self._first_s:
                self._grow(before, after, int(ts - self._first_s) // BIN_S)
        newest: dict[tuple[str, int], float] = {}
        for ts, look in looks:
            if ts < self._first_s:
                continue
            self.n_looks += 1
            for text, value in look.gauges.items():
                newest[text, int(ts - self._first_s) // BIN_S] = value
                self._version(text, ts)
        for (text, place), value in newest.items():
            self._gauge(text, place, value)

    def _grow(self, before: Snapshot, after: Snapshot, place: int) -> None:
        for text, value in after.values.items():
            start = before.values.get(text, 0.0)
            cells = _cells(self.counters, text, self.n_bins)
            step = value - start if value >= start else value
            cells[place] = step + (0.0 if math.isnan(cells[place]) else cells[place])

    def _gauge(self, text: str, place: int, value: float) -> None:
        """Of several servers the worse: the lower share of matches, the higher index."""
        cells = _cells(self.gauges, text, self.n_bins)
        worse = min if text == "ml_shadow_match_rate" else max
        cells[place] = value if math.isnan(cells[place]) else worse(value, cells[place])

    def _version(self, text: str, ts: float) -> None:
        if text.startswith("ml_model_info{"):
            name = _series(text).labels.get("model_version", "")
            self.versions[name] = min(ts, self.versions.get(name, ts))

    def by(self, name: str, label: str) -> dict[str, Float1D]:
        """Growth of a family, summed by one label."""
        found: dict[str, Float1D] = {}
        for series, cells in self.counters.values():
            if series.name == name:
                key = series.labels.get(label, "")
                found[key] = _plus(found[key], cells) if key in found else cells
        return found

    def gauge(self, name: str, label: str = "") -> dict[str, Float1D]:
        """A gauge by one label."""
        return {
            series.labels.get(label, ""): cells
            for series, cells in self.gauges.values()
            if series.name == name
        }


def day_panels(looks: Iterable[Snapshot], first_s: int, last_s: int) -> DayPanels:
    """Numbers of a window behind every panel.

    Parameters
    ----------
    looks : iterable of Snapshot
        In any order, of any servers; looks before the window say what had been counted then.
    first_s, last_s : int
        Seconds since 1970; ``last_s`` is outside.

    Returns
    -------
    DayPanels
    """
    grown = _Grown(looks, first_s, last_s)
    latency = grown.by("ml_predict_latency_ms_bucket", "le")
    statuses = grown.by("ml_predict_requests_total", "status")
    psi = grown.gauge("ml_psi_score", "feature")
    features = {name: _known(cells) for name, cells in psi.items() if name != "prediction"}
    match = grown.gauge("ml_shadow_match_rate").get("")
    score = {"score": _known(psi["prediction"])} if "prediction" in psi else {}
    deltas = grown.by("ml_shadow_abs_delta_bucket", "le")
    lines = {
        "latency": {f"p{q:g}": _quantile(latency, q / 100) for q in (50, 95, 99)},
        "requests": {name: cells / BIN_S for name, cells in sorted(statuses.items())},
        "match": {} if match is None else {"newest rows": match},
        "beside": {
            said: _quantile(grown.by(f"ml_{name}_latency_ms_bucket", "le"), 0.95)
            for said, name in (("candidate", "shadow"), ("champion", "baseline"))
        },
        "psi": {**features, **score},
        "psi_mean": {"mean": _mean(list(features.values()))} if features else {},
    }
    failed = statuses.get("server_error", np.zeros(grown.n_bins))
    asked = _all(list(statuses.values()), grown.n_bins)
    scored = latency.get("+Inf", np.full(grown.n_bins, np.nan))
    return DayPanels(
        hours=np.asarray((np.arange(grown.n_bins) + 0.5) * BIN_S / 3_600.0, dtype=np.float64),
        lines=lines,
        below_p95_limit={edge: _share(cells, scored) for edge, cells in latency.items()},
        errors=_share(np.nan_to_num(failed), asked),
        versions=tuple(sorted(grown.versions, key=lambda name: (grown.versions[name], name))),
        compared=_last_hour(grown),
        deltas=_between(deltas, grown.n_bins),
        delta_edges=tuple(_edges(deltas)),
        n_looks=grown.n_looks,
    )


def _series(text: str) -> Series:
    return next(read_series(f"{text} 0"))


def _cells(found: dict[str, tuple[Series, Float1D]], text: str, n_bins: int) -> Float1D:
    if text not in found:
        found[text] = (_series(text), np.full(n_bins, np.nan))
    return found[text][1]


def _plus(one: Float1D, other: Float1D) -> Float1D:
    """The sum, where either is known."""
    both = np.nan_to_num(one) + np.nan_to_num(other)
    return np.where(np.isnan(one) & np.isnan(other), np.nan, both)


def _all(items: Sequence[Float1D], n_bins: int) -> Float1D:
    found = np.full(n_bins, np.nan)
    for item in items:
        found = _plus(found, item)
    return found


def _share(part: Float1D, whole: Float1D) -> Float1D:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0.0, part / whole, np.nan))


def _known(cells: Float1D) -> Float1D:
    """A PSI that the server has not enough rows for is below 0."""
    return np.where(cells >= 0.0, cells, np.nan)


def _mean(items: Sequence[Float1D]) -> Float1D:
    table = np.array(items)
    n = np.isfinite(table).sum(axis=0)
    return _share(np.nansum(table, axis=0), n.astype(np.float64))


def _edges(buckets: Mapping[str, Float1D]) -> list[str]:
    return sorted(buckets, key=float)


def _between(buckets: Mapping[str, Float1D], n_bins: int) -> Float2D:
    """Counts of each cell, from counts up to its edge."""
    rows = np.array([np.nan_to_num(buckets[edge]) for edge in _edges(buckets)])
    empty = np.empty((0, n_bins))
    return np.asarray(np.maximum(np.diff(rows, axis=0, prepend=0.0), 0.0)) if len(rows) else empty


def _quantile(buckets: Mapping[str, Float1D], q: float) -> Float1D:
    """As Prometheus' ``histogram_quantile``: linear within a bucket, the last edge beyond all."""
    names = _edges(buckets)
    if not names:
        return np.empty(0)
    edges = [float(name) for name in names]
    found = np.full(len(buckets[names[0]]), np.nan)
    for place, counts in enumerate(np.array([buckets[name] for name in names]).T):
        total = counts[-1]
        if not total > 0.0:
            continue
        row = int(np.searchsorted(counts, q * total))
        low, before = (edges[row - 1], counts[row - 1]) if row else (0.0, 0.0)
        if math.isinf(edges[row]):
            found[place] = low
        else:
            share = (q * total - before) / (counts[row] - before)
            found[place] = low + share * (edges[row] - low)
    return found


def _last_hour(grown: _Grown) -> tuple[int, int]:
    counts = []
    for name in ("match", "mismatch"):
        cells = _all(list(grown.by(f"ml_shadow_{name}_total", "").values()), grown.n_bins)
        counts.append(round(float(np.nansum(cells[-3_600 // BIN_S :]))))
    return counts[0], counts[1]
