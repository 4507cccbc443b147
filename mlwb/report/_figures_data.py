"""Figures about the market and the features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.features import WINSOR
from mlwb.report._figure import Figure, dates, days, draw, grouped, quiet_axes, unmeasured
from mlwb.report._numbers import count, moment, number, significant
from mlwb.report._style import BAND, GOOD, INK, OTHER, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["distributions", "market"]

_COLUMNS = 860
"""Points of a long series: one a pixel, each with the lowest and the highest value behind it."""
_HOLE = 5.0
"""Points this many usual steps apart are not joined."""
_PANELS = 4
_PERIODS = {
    "champion_end": "champion and candidate learn",
    "train_end": "candidate learns",
    "end": "held out",
}
"""Cut to what ends there."""


def market(ts: Int1D, mid: Float1D, *, cuts: Mapping[str, int], symbol: str) -> Figure:
    """Price with the cuts between training and held-out bars.

    Parameters
    ----------
    ts : ndarray of shape (n_bars,), int64
        Bar opens, seconds since 1970.
    mid : ndarray of shape (n_bars,), float64
        Price; NaN leaves a hole.
    cuts : mapping of str to int
        ``start``, ``champion_end``, ``train_end``, ``end``, in the unit of ``ts``.
    symbol : str
        Of the market.

    Returns
    -------
    Figure
    """
    known = np.flatnonzero(np.isfinite(mid))
    if len(known) < 2:
        return unmeasured(f"Price of {symbol}", "Fewer than two bars have a price.")
    first, last = known[0], known[-1]
    change = float(mid[last] / mid[first] - 1.0)
    moved = f"{'rose' if change > 0.0 else 'fell'} {number(abs(change), '%')}"
    moved = moved if change else "is unchanged"
    span = number((int(ts[last]) - int(ts[first])) / 86_400, "d")
    held = (max(cuts.values()) - cuts["train_end"]) / 86_400 if "train_end" in cuts else 0.0
    kept = f"; the last {number(held, 'd')} are held out" if held > 0.0 else ""
    title = f"{symbol} {moved} over {span}{kept}"
    subtitle = (
        f"Mid price, {moment(ts[first])} to {moment(ts[last])} UTC, {count(len(ts))} bars; "
        "the shade spans low to high"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        starts = np.arange(0, len(ts), max(len(ts) // _COLUMNS, 1))
        low, high = np.fmin.reduceat(mid, starts), np.fmax.reduceat(mid, starts)
        when = days(ts[starts])
        when, low, high = _apart(when, low, high)
        ax.fill_between(when, low, high, color=GOOD, alpha=0.35, linewidth=0)
        ax.plot(when, (low + high) / 2.0, color=GOOD, linewidth=1.1)
        _mark_cuts(ax, cuts)
        dates(ax)
        ax.yaxis.set_major_formatter(grouped)
        ax.set_ylabel("price")
        ax.margins(x=0.0)
        quiet_axes(ax, grid="y")

    return draw(paint, title=title, subtitle=subtitle)


def distributions(X: Float2D, names: Sequence[str], units: Sequence[str]) -> Figure:
    """Small multiples of every feature, with the bounds the model clips at.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        NaN is left out.
    names, units : sequence of str
        Of the columns.

    Returns
    -------
    Figure
    """
    panels = [
        _Panel.of(name, unit, values) for name, unit, values in zip(names, units, X.T, strict=True)
    ]
    reach = [panel for panel in panels if np.isfinite(panel.reach)]
    if not panels or len(X) == 0:
        return unmeasured("Distributions", "There are no rows.")
    title = "No feature varies"
    if reach:
        far = max(reach, key=lambda panel: panel.reach)
        title = (
            f"{far.name} reaches furthest, {far.reach:.0f} standard deviations from its median; "
            f"clipping brings it to {far.clipped:.1f}"
        )
    subtitle = (
        f"Share of rows by value, {count(len(X))} rows; dashed lines are the clip bounds "
        "(0.5 % and 99.5 %), rows beyond them stand in the outermost bars"
    )
    n_lines = -(-len(panels) // _PANELS)

    def paint(drawing: Drawing) -> None:
        grid = drawing.subplots(n_lines, _PANELS, squeeze=False)
        for ax in grid.flat[len(panels) :]:
            ax.axis("off")
        for ax, panel in zip(grid.flat, panels, strict=False):
            _histogram(ax, panel)

    return draw(paint, title=title, subtitle=subtitle, height=40 + 130 * n_lines)


@dataclass(frozen=True)
class _Panel:
    """One feature, ready to be drawn."""

    name: str
    unit: str
    values: Float1D
    bounds: tuple[float, float]
    reach: float
    clipped: float

    @classmethod
    def of(cls, name: str, unit: str, values: Float1D) -> _Panel:
        known = values[np.isfinite(values)]
        nan = float("nan")
        if len(known) == 0:
            return cls(name, unit, known, (nan, nan), nan, nan)
        low, median, high = (float(q) for q in np.quantile(known, [WINSOR[0], 0.5, WINSOR[1]]))
        sd = float(known.std())
        if np.ptp(known) == 0.0:
            return cls(name, unit, known, (low, high), nan, nan)
        reach = float(np.abs(known - median).max()) / sd
        return cls(name, unit, known, (low, high), reach, max(high - median, median - low) / sd)


def _histogram(ax: Axes, panel: _Panel) -> None:
    ax.set_title(panel.name, color=INK, pad=3)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    quiet_axes(ax, grid="none")
    ax.tick_params(labelsize=7.5)
    low, high = panel.bounds
    if not np.isfinite(panel.reach) or high <= low:
        said = "no value" if len(panel.values) == 0 else f"always {significant(panel.values[0])}"
        ax.set_xticks([])
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center", color=QUIET)
        return
    margin = 0.08 * (high - low)
    edges = np.linspace(low - margin, high + margin, 61)
    inside = np.clip(panel.values, edges[0], edges[-1])
    shares = np.histogram(inside, edges)[0] / len(inside)
    ax.fill_between(edges, np.append(shares, 0.0), step="post", color=GOOD, alpha=0.8, linewidth=0)
    for bound in panel.bounds:
        ax.axvline(bound, color=OTHER, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.set_ylim(0.0, float(shares.max()) * 1.08)
    ax.locator_params(axis="x", nbins=3)
    ax.ticklabel_format(axis="x", scilimits=(-3, 4))
    ax.xaxis.get_offset_text().set(fontsize=7, color=QUIET)
    if panel.unit not in ("", "1"):
        ax.set_xlabel(panel.unit, fontsize=7.5, labelpad=1)


def _apart(when: Float1D, low: Float1D, high: Float1D) -> tuple[Float1D, Float1D, Float1D]:
    """A hole wherever the market was closed, so that no line is drawn through a weekend."""
    steps = np.diff(when)
    holes = np.flatnonzero(steps > _HOLE * np.median(steps)) + 1 if len(steps) else steps
    at = holes.astype(np.int64)
    return (
        np.insert(when, at, when[at - 1] if len(at) else at),
        np.insert(low, at, np.nan),
        np.insert(high, at, np.nan),
    )


def _mark_cuts(ax: Axes, cuts: Mapping[str, int]) -> None:
    ordered = sorted(cuts.items(), key=lambda item: item[1])
    for (_, begin), (name, end) in pairwise(ordered):
        left, right = begin / 86_400, end / 86_400
        if name == "end":
            ax.axvspan(left, right, color=BAND, zorder=0, linewidth=0)
        else:
            ax.axvline(right, color=INK if name == "train_end" else QUIET, linewidth=1.0,
                       linestyle=(0, (5, 3)))  # fmt: skip
        middle = (left + right) / 2
        ax.annotate(
            _PERIODS.get(name, name.replace("_", " ")),
            (middle, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=QUIET,
        )  # fmt: skip
