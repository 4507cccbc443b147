"""Figures about traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.report._figure import Figure, draw, limit_line, quiet_axes, shades, unmeasured
from mlwb.report._numbers import number, several
from mlwb.report._style import BAND, FAIL, GOOD, INK, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["agreement", "latency"]


def latency(samples: Mapping[str, Float1D], *, limit_ms: float | str) -> Figure:
    """Quantiles of the latency, one strip a phase.

    Parameters
    ----------
    samples : mapping of str to ndarray
        Milliseconds seen by the client, by test or phase; NaN is left out.
    limit_ms : float or str
        Of the 95 % quantile.

    Returns
    -------
    Figure
    """
    known = {name: values[np.isfinite(values)] for name, values in samples.items()}
    known = {name: values for name, values in known.items() if len(values)}
    if not known:
        return unmeasured("Latency", "No request was answered.")
    p95 = {name: float(np.quantile(values, 0.95)) for name, values in known.items()}
    slowest = max(p95, key=lambda name: p95[name])
    most = float(limit_ms)
    title = (
        f"In the slowest phase ({slowest}) 95 % of answers come within "
        f"{number(p95[slowest], 'ms')}, {_beside(p95[slowest], most)} the limit of {most:g} ms"
    )
    total = sum(len(values) for values in known.values())
    subtitle = (
        f"Client latency, {several(total, 'request')}; dot: median, bar: to 95 %, line: to 99 %, "
        "cross: slowest"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for y, values in enumerate(known.values()):
            _strip(ax, y, values)
        ax.set_xscale("log")
        ax.set_yticks(range(len(known)), list(known))
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_ylim(len(known) - 0.4, -0.6)
        limit_line(ax, most, f"limit of p95: {most:g} ms")
        low = min(float(values.min()) for values in known.values())
        high = max(float(values.max()) for values in known.values())
        ax.set_xlim(low / 1.3, max(high, most) * 3.0)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.set_xlabel("milliseconds (logarithmic)")
        quiet_axes(ax, grid="x")

    return draw(paint, title=title, subtitle=subtitle, height=90 + 34 * len(known))


def agreement(score: Float1D, shadow_score: Float1D, *, match_delta: float) -> Figure:
    """Scores of champion and candidate on the same requests.

    Parameters
    ----------
    score, shadow_score : ndarray of shape (n_requests,), float64
        Pairs with a NaN are left out.
    match_delta : float
        Largest difference that still agrees.

    Returns
    -------
    Figure
    """
    both = np.isfinite(score) & np.isfinite(shadow_score)
    n = int(both.sum())
    if n == 0:
        return unmeasured("Agreement", "No request was answered by both.")
    x, y = score[both], shadow_score[both]
    difference = y - x
    matched = int((np.abs(difference) <= match_delta).sum())
    mean = float(difference.mean())
    side = "higher" if mean > 0.0 else "lower" if mean < 0.0 else "apart"
    title = (
        f"{number(matched / n, '%')} of {several(n, 'pair')} differ by at most {match_delta:g}; "
        f"the candidate scores {number(abs(mean), decimals=3)} {side} on average"
    )
    subtitle = (
        f"Left: candidate against champion, darker is more requests; right: difference of the "
        f"scores; band: ±{match_delta:g}"
    )

    def paint(drawing: Drawing) -> None:
        left, right = drawing.subplots(1, 2, width_ratios=[1.0, 1.25])
        _cloud(left, x, y, match_delta)
        reach = max(float(np.abs(difference).max()), match_delta) * 1.1
        right.axvspan(-match_delta, match_delta, color=BAND, linewidth=0)
        right.hist(difference, bins=np.linspace(-reach, reach, 61), color=GOOD)
        for edge in (-match_delta, match_delta):
            right.axvline(edge, color=FAIL, linewidth=1.0, linestyle=(0, (5, 3)))
        right.set_xlabel("candidate − champion")
        right.set_ylabel("requests")
        quiet_axes(right, grid="y")

    return draw(paint, title=title, subtitle=subtitle)


def _beside(value: float, limit: float) -> str:
    if value >= limit:
        return "not below"
    return f"{limit / value:.0f} times below" if 2.0 * value <= limit else "below"


def _strip(ax: Axes, y: int, values: Float1D) -> None:
    p50, p95, p99 = (float(q) for q in np.quantile(values, [0.5, 0.95, 0.99]))
    ax.hlines(y, p50, p99, color=GOOD, linewidth=1.2)
    ax.hlines(y, p50, p95, color=GOOD, linewidth=6, alpha=0.55)
    ax.plot(p50, y, "o", color=GOOD, markersize=6)
    ax.plot(float(values.max()), y, "x", color=QUIET, markersize=5)
    ax.annotate(f"p95 {p95:.2f}", (p95, y), xytext=(0, 7), textcoords="offset points", ha="center",
                fontsize=8, color=QUIET)  # fmt: skip


def _cloud(ax: Axes, x: Float1D, y: Float1D, delta: float) -> None:
    ends = np.asarray([min(x.min(), y.min()), max(x.max(), y.max())])
    margin = 0.04 * max(float(np.ptp(ends)), 0.05)
    ends = ends + np.asarray([-margin, margin])
    ax.fill_between(ends, ends - delta, ends + delta, color=BAND, linewidth=0)
    ax.plot(ends, ends, color=QUIET, linewidth=0.9, linestyle=(0, (5, 3)))
    shade = shades("#a9c8e8", GOOD, "#06294d")
    span = (float(ends[0]), float(ends[1]))
    ax.hexbin(x, y, gridsize=45, extent=(*span, *span), mincnt=1, bins="log", cmap=shade,
              linewidths=0.1)  # fmt: skip
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    ax.set_xlabel("champion's score")
    ax.set_ylabel("candidate's score")
    quiet_axes(ax)
