"""Figures about drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.drift import BinnedReference, psi_of_counts
from mlwb.report._figure import Figure, draw, limit_line, quiet_axes, unmeasured
from mlwb.report._numbers import count, interval, number, significant
from mlwb.report._shapes import Drift
from mlwb.report._style import GOOD, INK, OTHER, PAPER, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["psi_bins", "psi_by_feature", "psi_rolling"]

_GREY = "#9aa5b1"
_NULL_BAND = "#d5dbe2"
_STRETCH = 3.0
"""A value this many limits out asks for a square-root axis."""
_SPECIAL = ("missing", "+∞", "−∞")


def psi_by_feature(rows: Sequence[Drift], *, limit: float | str) -> Figure:
    """PSI of every feature with its bounds, over what the reference alone would give.

    Parameters
    ----------
    rows : sequence of Drift
        One a feature.
    limit : float or str
        Of the population PSI.

    Returns
    -------
    Figure
    """
    if not rows:
        return unmeasured("PSI", "No feature was compared.")
    most = float(limit)
    ordered = sorted(rows, key=lambda row: -row.psi.value)
    readings = [_reading(row, most) for row in ordered]
    below = readings.count(_BELOW)
    title = (
        f"{below} of {len(ordered)} features {'is' if below == 1 else 'are'} shown below {limit}"
    )
    for reading, verb in ((_ABOVE, "is shown above"), (_BLIND, "cannot be judged in this window")):
        if reading in readings:
            title += (
                f"; {_listed(ordered, readings, reading)} {_plural(verb, readings.count(reading))}"
            )
    n = max(row.psi.n_obs for row in ordered)
    subtitle = (
        f"PSI against frozen bins, nats, up to {count(n)} rows; whiskers: 95 % bounds of the "
        "population PSI; grey: 95 % of the reference's own windows of this length"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for y, (row, reading) in enumerate(zip(ordered, readings, strict=True)):
            _drift_row(ax, y, row, reading)
        highest = max(_ends(row) for row in ordered)
        right = 1.12 * max(highest, most)
        if highest > _STRETCH * most:
            ax.set_xscale("function", functions=(_root, np.square))
            ax.set_xlabel("PSI, nats (square-root axis)")
        else:
            ax.set_xlabel("PSI, nats")
        ax.set_xlim(0.0, right)
        ax.set_yticks(range(len(ordered)), [row.name for row in ordered])
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_ylim(len(ordered) - 0.4, -0.6)
        limit_line(ax, most, f"limit {limit}")
        quiet_axes(ax, grid="x")

    return draw(paint, title=title, subtitle=subtitle, height=90 + 30 * len(ordered))


def psi_bins(reference: BinnedReference, current: Int1D) -> Figure:
    """Shares of reference and current rows in every bin, and what each bin adds to the PSI.

    Parameters
    ----------
    reference : BinnedReference
        Frozen bins with their counts.
    current : ndarray of shape (n_bins + 3,), int64
        Counts of the rows judged.

    Returns
    -------
    Figure
    """
    if reference.n_obs == 0 or int(current.sum()) == 0:
        return unmeasured(f"Bins of {reference.name}", "One side has no rows.")
    found = psi_of_counts(reference.name, reference.counts, current)
    used = np.flatnonzero(
        (reference.counts + current > 0) | (np.arange(len(current)) < reference.n_bins)
    )
    labels = [_bin_label(reference, int(i)) for i in used]
    shares = [(counts / counts.sum())[used] for counts in (reference.counts, current)]
    adds = found.per_bin[used]
    top = int(adds.argmax())
    title = f"{reference.name}: PSI {number(found.value, 'nats')}, no bin moved"
    if found.value > 0.0:
        title = (
            f"{reference.name}: PSI {number(found.value, 'nats')}, "
            f"{number(float(adds[top]) / found.value, '%', decimals=0)} of it from the bin "
            f"{labels[top]}, which held {number(float(shares[0][top]), '%')} of rows and now holds "
            f"{number(float(shares[1][top]), '%')}"
        )
    subtitle = (
        f"Share of rows by frozen bin, reference {count(found.n_ref)} rows, now "
        f"{count(found.n_obs)}; below: what each bin adds to the PSI, nats"
    )

    def paint(drawing: Drawing) -> None:
        upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=[2.4, 1.0])
        place = np.arange(len(used))
        upper.bar(place - 0.2, 100 * shares[0], width=0.38, color=_GREY, label="reference")
        upper.bar(place + 0.2, 100 * shares[1], width=0.38, color=GOOD, label="now")
        upper.set_ylabel("share of rows, %")
        upper.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.0)
        lower.bar(place, adds, width=0.5, color=[OTHER if i == top else _GREY for i in place])
        lower.set_ylabel("adds")
        lower.set_xticks(place, [label.replace(" to ", "\nto ") for label in labels], fontsize=7.5)
        lower.locator_params(axis="y", nbins=3)
        for ax in (upper, lower):
            quiet_axes(ax, grid="y")

    return draw(paint, title=title, subtitle=subtitle, height=340)


def psi_rolling(values: Float1D, *, limit: float | str) -> Figure:
    """Overall PSI of every rolling window of the held-out days.

    Parameters
    ----------
    values : ndarray of shape (n_windows,), float64
        Nats, in time order.
    limit : float or str
        Of the overall PSI.

    Returns
    -------
    Figure
    """
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return unmeasured("Rolling PSI", "The held-out window is shorter than one window.")
    over = int((known >= float(limit)).sum())
    held = f"{over} at or above {limit}" if over else f"none reaches {limit}"
    span = interval(float(known.min()), float(known.max()), "nats")
    title = f"Overall PSI over {len(known)} rolling windows: {span}, {held}"
    if len(known) == 1:
        side = "at or above" if over else "below"
        title = f"Overall PSI over one window: {number(float(known[0]), 'nats')}, {side} {limit}"

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        place = np.arange(1, len(values) + 1)
        ax.plot(place, values, "-o", color=GOOD, markersize=5)
        limit_line(ax, float(limit), f"limit {limit}", horizontal=True)
        ax.set_ylim(0.0, 1.2 * max(float(known.max()), float(limit)))
        ax.set_xlim(0.5, len(values) + 0.5)
        ax.set_xticks(place[:: max(len(values) // 12, 1)])
        ax.set_xlabel("window, each one day after the last")
        ax.set_ylabel("overall PSI, nats")
        quiet_axes(ax, grid="y")

    return draw(
        paint, title=title, subtitle="Mean PSI over features by rolling window, nats", height=260
    )


_BELOW, _ABOVE, _OPEN, _BLIND = "below", "above", "undecided", "cannot be judged"


def _reading(row: Drift, limit: float) -> str:
    """What a feature's bounds say about the limit."""
    if row.null is None or row.bounds is None or row.null.limit95 >= limit:
        return _BLIND
    if row.bounds.upper < limit:
        return _BELOW
    return _ABOVE if row.bounds.lower >= limit else _OPEN


def _listed(rows: Sequence[Drift], readings: Sequence[str], wanted: str) -> str:
    names = [row.name for row, reading in zip(rows, readings, strict=True) if reading == wanted]
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return (", ".join(names[:2]) if more else " and ".join(names)) + more


def _plural(verb: str, n: int) -> str:
    return verb.replace("is ", "are ", 1) if n > 1 and verb.startswith("is ") else verb


def _ends(row: Drift) -> float:
    others = [row.null.limit95] if row.null else []
    return max([row.psi.value, *others, *([row.bounds.upper] if row.bounds else [])])


def _drift_row(ax: Axes, y: int, row: Drift, reading: str) -> None:
    colour = {_BELOW: GOOD, _ABOVE: OTHER}.get(reading, _GREY)
    if row.null is not None:
        ax.barh(y, row.null.limit95, height=0.8, color=_NULL_BAND)
    ax.barh(y, row.psi.value, height=0.36, color=colour)
    if row.bounds is not None:
        ax.hlines(y, row.bounds.lower, row.bounds.upper, color=INK, linewidth=1.1)
        ends: Any = [row.bounds.lower, row.bounds.upper]
        ax.plot(ends, [y, y], "|", color=INK, markersize=7)
    ax.annotate(
        f"{number(row.psi.value, 'nats')}  {reading}", (_ends(row), y), xytext=(7, 0),
        textcoords="offset points", va="center", fontsize=8.5, color=QUIET, zorder=5,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def _bin_label(reference: BinnedReference, cell: int) -> str:
    n = reference.n_bins
    if cell >= n:
        return _SPECIAL[cell - n]
    if n == 1:
        return "any value"
    if cell == 0:
        return f"≤ {significant(float(reference.edges[0]))}"
    if cell == n - 1:
        return f"> {significant(float(reference.edges[-1]))}"
    low, high = (significant(float(edge)) for edge in reference.edges[cell - 1 : cell + 1])
    return f"{low} to {high}"


def _root(values: Any) -> Any:
    return np.sqrt(np.maximum(values, 0.0))
