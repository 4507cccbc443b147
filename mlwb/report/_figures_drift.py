"""Figures about drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwb.core.arrays import Int1D
from mlwb.drift import BinnedReference, psi_of_counts
from mlwb.report._drift_words import read_as, tone
from mlwb.report._figure import Figure, dates, days, draw, limit_line, quiet_axes, unmeasured
from mlwb.report._numbers import count, interval, number, significant
from mlwb.report._shapes import Judged, Weeks
from mlwb.report._style import GOOD, INK, OTHER, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["bin_label", "psi_bins", "psi_by_feature", "psi_rolling"]

_GREY = "#9aa5b1"
_NULL_BAND = "#d5dbe2"
_STRETCH = 3.0
"""A value this many limits out asks for a square-root axis."""
_SPECIAL = ("missing", "+∞", "−∞")
_PLOT, _PSI_AT, _READ_AT, _PLAIN_AT = 0.68, 0.695, 0.765, 0.935
"""Right end of the bars, and where the columns beside them stand; shares of the drawing."""
_HEADS = {_PSI_AT: "PSI", _READ_AT: "reading", _PLAIN_AT: "plain rule"}


def psi_by_feature(rows: Sequence[Judged], *, limit: float | str) -> Figure:
    """PSI of every feature with its bounds, what chance gives, and what two rules say.

    Parameters
    ----------
    rows : sequence of Judged
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
    ordered = sorted(rows, key=lambda row: -row.value)
    title = _shown(ordered, f"{limit}")
    subtitle = (
        "PSI against frozen bins, nats; whiskers: 95 % bounds of the population PSI; grey: what "
        "the training data reach by themselves in 95 of 100 windows of this length"
    )

    def paint(drawing: Drawing) -> None:
        engine: Any = drawing.get_layout_engine()
        engine.set(rect=(0.0, 0.0, _PLOT, 1.0))
        ax = drawing.subplots()
        for y, row in enumerate(ordered):
            _drift_row(ax, y, row)
        highest = max(_ends(row) for row in ordered)
        if highest > _STRETCH * most:
            ax.set_xscale("function", functions=(_root, np.square))
            ax.set_xlabel("PSI, nats (square-root axis)")
        else:
            ax.set_xlabel("PSI, nats")
        ax.set_xlim(0.0, 1.04 * max(highest, most))
        ax.set_yticks(range(len(ordered)), [row.name for row in ordered])
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_ylim(len(ordered) - 0.4, -0.6)
        limit_line(ax, most, f"limit {limit}")
        for place, words in _HEADS.items():
            _beside(ax, (place, None), words, QUIET)
        quiet_axes(ax, grid="x")

    return draw(paint, title=title, subtitle=subtitle, height=104 + 27 * len(ordered))


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
    labels = [bin_label(reference, int(i)) for i in used]
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


def psi_rolling(found: Weeks, *, limit: float | str) -> Figure:
    """Overall PSI of every so many held-out days in a row, over what chance gives.

    Parameters
    ----------
    found : Weeks
        Windows in time order.
    limit : float or str
        Of the overall PSI.

    Returns
    -------
    Figure
    """
    values, most = found.values, float(limit)
    if len(values) == 0:
        return unmeasured("Rolling PSI", f"Fewer than {found.days} full days are held out.")
    over = int((values >= most).sum())
    held = f"{over} at or above {limit}" if over else f"none reaches {limit}"
    span = interval(float(values.min()), float(values.max()), "nats")
    title = f"Overall PSI over {len(values)} windows of {found.days} days: {span}, {held}"
    if len(values) == 1:
        side = "at or above" if over else "below"
        said = number(float(values[0]), "nats")
        title = f"Overall PSI over one window of {found.days} days: {said}, {side} {limit}"
    own = None if found.null is None else [found.null.quantile(p) for p in (0.05, 0.5, 0.95)]
    band = (
        "" if own is None else "; grey: 90 % of the training data's own weeks, line: their median"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        at = days(found.ends)
        ax.set_xlim(at[0] - 0.5, at[-1] + 0.5)
        if own is not None:
            ax.axhspan(own[0], own[2], color=_NULL_BAND, linewidth=0)
            ax.axhline(own[1], color=_GREY, linewidth=1.0)
        ax.plot(at, values, "-o", color=GOOD, markersize=5)
        limit_line(ax, most, f"limit {limit}", horizontal=True)
        highest = max(float(values.max()), most, 0.0 if own is None else own[2])
        ax.set_ylim(0.0, 1.2 * highest)
        dates(ax)
        ax.set_xlabel(f"end of the {found.days} days, UTC")
        ax.set_ylabel("overall PSI, nats")
        quiet_axes(ax, grid="y")

    subtitle = f"Mean PSI over features by rolling window, nats{band}"
    return draw(paint, title=title, subtitle=subtitle, height=240)


def _shown(rows: Sequence[Judged], limit: str) -> str:
    """How many are shown below the limit, and which are not."""
    readings = [row.reading for row in rows]
    below = readings.count("pass")
    title = f"{below} of {len(rows)} features {'is' if below == 1 else 'are'} shown below {limit}"
    for reading, verb in _OTHERWISE.items():
        if n := readings.count(reading):
            title += f"; {_listed(rows, readings, reading)} {_plural(verb, n)}"
    return title


_OTHERWISE = {
    "fail": "is shown above",
    "insufficient": "is undecided",
    "not_gateable": "cannot be judged in this window",
}


def _listed(rows: Sequence[Judged], readings: Sequence[str], wanted: str) -> str:
    names = [row.name for row, reading in zip(rows, readings, strict=True) if reading == wanted]
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return (", ".join(names[:2]) if more else " and ".join(names)) + more


def _plural(verb: str, n: int) -> str:
    return verb.replace("is ", "are ", 1) if n > 1 and verb.startswith("is ") else verb


def _ends(row: Judged) -> float:
    return max(row.value, row.null95 or 0.0, row.upper or 0.0)


def _drift_row(ax: Axes, y: int, row: Judged) -> None:
    if row.null95 is not None:
        ax.barh(y, row.null95, height=0.8, color=_NULL_BAND)
    ax.barh(y, row.value, height=0.36, color=tone(row.reading))
    if row.lower is not None and row.upper is not None:
        ax.hlines(y, row.lower, row.upper, color=INK, linewidth=1.1)
        ends: Any = [row.lower, row.upper]
        ax.plot(ends, [y, y], "|", color=INK, markersize=7)
    is_below = row.value < row.limit
    columns = (
        (_PSI_AT, number(row.value, "nats"), INK),
        (_READ_AT, read_as(row), tone(row.reading, on_paper=True)),
        (_PLAIN_AT, "pass" if is_below else "fail", QUIET if is_below else OTHER),
    )
    for place, words, colour in columns:
        _beside(ax, (place, y), words, colour)


def _beside(ax: Axes, place: tuple[float, int | None], words: str, colour: str) -> None:
    """Words right of the axes, in a row of it or above the first one."""
    x, y = place
    ax.annotate(
        words, (x, 1.0 if y is None else y),
        xycoords=("figure fraction", "axes fraction" if y is None else "data"),
        xytext=(0, 4 if y is None else 0), textcoords="offset points",
        va="bottom" if y is None else "center", fontsize=8.0 if y is None else 8.5, color=colour,
        annotation_clip=False, in_layout=False,
    )  # fmt: skip


def bin_label(reference: BinnedReference, cell: int) -> str:
    """The values of a cell in words."""
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
