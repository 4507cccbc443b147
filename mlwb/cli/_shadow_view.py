"""A comparison of candidate and champion in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
from rich.markup import escape
from rich.table import Table

from mlwb.canary import Summary, Traffic
from mlwb.cli._common import console
from mlwb.cli._run import STYLES
from mlwb.evidence import Record
from mlwb.gates import Verdict

__all__ = ["Comparison", "show_comparison"]

_WIDTH = 32
_STEPS = (0.02, 0.1, 0.5, 1.0, 2.0)
"""Edges of the picture, in match limits."""


class Comparison(Protocol):
    """What both commands have to show."""

    @property
    def champion(self) -> str:
        """Version that answered."""
        ...

    @property
    def candidate(self) -> str:
        """Version that was compared."""
        ...

    @property
    def summary(self) -> Summary:
        """Counts and quantiles."""
        ...

    @property
    def traffic(self) -> Traffic:
        """The rows."""
        ...

    @property
    def errors(self) -> Mapping[str, int]:
        """Rows without a candidate's score, by the reason."""
        ...

    @property
    def covered_s(self) -> float:
        """Seconds covered."""
        ...

    @property
    def match_delta(self) -> float:
        """Largest difference that is a match."""
        ...


def show_comparison(found: Comparison, record: Record, verdict: Verdict) -> None:
    """Print numbers, a picture of the differences, and what the policy says."""
    span = next((item for item in record.inputs if item.time_min), None)
    said = f", {span.time_min[:16]} to {span.time_max[:16]} UTC" if span else ""
    console.print(
        f"[bold]{escape(found.candidate)}[/] beside {escape(found.champion)} "
        f"[dim]({record.origin}{said})[/]",
        soft_wrap=True,
    )
    console.print(_numbers(found, record))
    for line in _picture(found):
        console.print(line, soft_wrap=True)
    console.print()
    for check in sorted(verdict.checks, key=lambda check: check.outcome == "PASS"):
        style = STYLES[check.outcome]
        said = f"  [{style}]{check.outcome:<9}[/] {check.id}: {escape(check.reason)}"
        console.print(said, soft_wrap=True)
    style = STYLES[verdict.outcome]
    console.print(f"GATE shadow: [{style}]{verdict.outcome}[/] {escape(verdict.reason)}")


def _numbers(found: Comparison, record: Record) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    summary = found.summary
    left_out: Mapping[str, int] = record.details["left_out"]
    table.add_row("rows", f"{summary.n_requests:,}{_listed(left_out, ' (left out: ', ')')}")
    table.add_row("matched", _rate(record, "match_rate"))
    table.add_row("errors", f"{_rate(record, 'error_rate')}{_listed(found.errors, ': ')}")
    table.add_row(
        "difference",
        f"mean {_known(summary.mean_abs_delta)}, median {_known(summary.median_abs_delta)}, "
        f"p95 {_known(summary.p95_abs_delta)}, max {_known(summary.max_abs_delta)}",
    )
    table.add_row("rank correlation", _known(summary.rank_corr))
    is_log = any(item.role == "shadow_log" for item in record.inputs)
    seen_by = "in the server" if is_log else "at the client"
    table.add_row(f"champion, {seen_by}", _times(summary.p50_ms, summary.p95_ms, summary.p99_ms))
    table.add_row(
        "candidate, in the server",
        _times(summary.shadow_p50_ms, summary.shadow_p95_ms, summary.shadow_p99_ms),
    )
    table.add_row("covered", f"{found.covered_s / 3600.0:.2f} h")
    return table


def _rate(record: Record, name: str) -> str:
    metric = next(item for item in record.metrics if item.name == name)
    if metric.ci is None or metric.value is None:
        return "none"
    low, high = metric.ci.lo, metric.ci.hi
    return f"{metric.k:,} of {metric.n:,}, {metric.value:.2%} ({low:.2%} to {high:.2%})"


def _listed(counts: Mapping[str, int], before: str, after: str = "") -> str:
    said = ", ".join(f"{n:,} {escape(why)}" for why, n in counts.items())
    return f"{before}{said}{after}" if said else ""


def _times(*values: float) -> str:
    p50, p95, p99 = map(_known, values)
    return f"p50 {p50} ms, p95 {p95} ms, p99 {p99} ms"


def _known(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


def _picture(found: Comparison) -> Iterator[str]:
    """How many rows differ by how much; a bar a range, red beyond the match limit."""
    delta = np.abs(found.traffic.shadow_score - found.traffic.score)
    delta = delta[np.isfinite(delta)]
    if len(delta) == 0:
        return
    edges = [step * found.match_delta for step in _STEPS]
    counts = np.bincount(np.searchsorted(edges, delta, side="left"), minlength=len(edges) + 1)
    labels = [f"<= {edge:.4g}" for edge in edges] + [f"> {edges[-1]:.4g}"]
    width = max(map(len, labels))
    yield ""
    for label, step, count in zip(labels, (*_STEPS, np.inf), counts.tolist(), strict=True):
        bar = "█" * round(_WIDTH * count / counts.max()) or ("▏" if count else "")
        colour = "green" if step <= 1.0 else "red"
        yield f"  [dim]{label:>{width}}[/] [{colour}]{bar:<{_WIDTH}}[/] {count:,}"
