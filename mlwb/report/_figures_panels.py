"""One panel a feature: distributions, what moved, what chance gives, which hours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwb.report._drift_words import read_as, tone
from mlwb.report._figure import Figure, draw, shades, unmeasured
from mlwb.report._figures_drift import bin_label
from mlwb.report._numbers import number
from mlwb.report._style import BAND, FAIL, GOOD, INK, OTHER, PAPER, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from mlwb.core.arrays import Float1D
    from mlwb.report._shapes import Drift

__all__ = ["MOST", "drift_panels", "telling_first"]

MOST = 8
"""Panels shown; more cannot be read."""
_GREY, _NULL = "#9aa5b1", "#c9d1d9"
_COLOURS = 40
"""Few colours but many edges: with more of them eight panels weigh twice as much."""
_COLUMNS, _HEIGHT = 2, 168
"""Panels beside each other, and CSS pixels of each row of them."""
_LEFT, _WIDTH, _PITCH = 0.012, 0.476, 0.508
"""Left edge of the first panel, width of each, and from one to the next; shares of the drawing."""
_ORDER = ("fail", "insufficient", "not_gateable", "pass")
_BY_CHANCE = 0.05
_DEPTH = 0.4
"""Height of the longest addition over that of the tallest bar."""
_SPAN_H = 6


def drift_panels(rows: Sequence[Drift]) -> Figure:
    """Small multiples: where each feature moved, how much of it is chance, and at which hours.

    Parameters
    ----------
    rows : sequence of Drift
        One a feature. Of many, those that tell most are drawn and the others named.

    Returns
    -------
    Figure
    """
    moving = [row for row in rows if row.reference.n_bins > 1]
    if not moving:
        return unmeasured("Panels", "No feature varies.")
    shown = telling_first(moving)[:MOST]
    first = shown[0]
    title = f"{first.name} tells most. {_what_moved(first)}"
    left = [row.name for row in rows if row not in shown]
    subtitle = (
        "Share of rows by frozen bin, training grey, now blue; orange: what each bin adds to the "
        "PSI. Right: PSI (blue) with its bounds over what chance reaches in 95 of 100 windows "
        "(grey), limit dashed; PSI by UTC hour, darkest is most."
    )
    if left:
        subtitle += f" Not drawn: {', '.join(left)}."

    def paint(drawing: Drawing) -> None:
        drawing.set_layout_engine("none")
        for place, row in enumerate(shown):
            line, column = divmod(place, _COLUMNS)
            corner = (_LEFT + column * _PITCH, 1.0 - (line + 1) / lines)
            _panel(drawing, row, corner, (_WIDTH, 1.0 / lines))

    lines = -(-len(shown) // _COLUMNS)
    detail = "; ".join(f"{row.name}: {_what_moved(row)}" for row in shown)
    return draw(
        paint,
        title=title,
        subtitle=subtitle,
        detail=detail,
        height=_HEIGHT * lines,
        colours=_COLOURS,
    )


def telling_first(rows: Sequence[Drift]) -> list[Drift]:
    """What is refused, then what is open, then the rest; the nearest to its limit first."""
    return sorted(rows, key=lambda row: (_ORDER.index(row.reading), -row.value))


def _panel(
    drawing: Drawing, row: Drift, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    """Small axes at fixed places: title, bars, additions, null band, hours."""

    def axes(x: float, y: float, width: float, height: float) -> Axes:
        """Axes at shares of the panel, from its lower left corner."""
        place = (
            corner[0] + x * size[0], corner[1] + y * size[1], width * size[0], height * size[1]
        )  # fmt: skip
        ax = drawing.add_axes(place)
        ax.grid(visible=False)
        ax.tick_params(length=0, labelsize=7.0, pad=2)
        return ax

    def words(x: float, y: float, said: str, **how: Any) -> None:
        drawing.text(corner[0] + x * size[0], corner[1] + y * size[1], said, va="center", **how)

    words(0.0, 0.91, row.name, fontsize=9.5, fontweight="bold", color=INK)
    how = {"fontsize": 8.5, "ha": "right", "fontweight": "bold"}
    words(1.0, 0.91, read_as(row), color=tone(row.reading, on_paper=True), **how)
    words(0.0, 0.815, _what_moved(row), fontsize=7.5, color=QUIET)
    _bars(axes(0.0, 0.17, 0.60, 0.58), row)
    _chance(axes(0.66, 0.47, 0.34, 0.18), row)
    _hours(axes(0.66, 0.21, 0.34, 0.11), row)


def _bars(ax: Axes, row: Drift) -> None:
    """Shares above the line, what each bin adds to the PSI below it, on a scale of its own."""
    used = _used(row)
    place, (before, now) = np.arange(len(used)), (side[used] for side in _shares(row))
    adds = row.psi.per_bin[used]
    most = float(max(before.max(), now.max()))
    scale = _DEPTH * most / float(adds.max()) if adds.max() > 0.0 else 0.0
    ax.bar(place, before, width=0.92, color=_NULL)
    ax.bar(place, now, width=0.46, color=GOOD)
    ax.bar(place, -scale * adds, width=0.7, color=OTHER)
    ax.axhline(0.0, color=PAPER, linewidth=2.0)
    ax.set_xlim(-0.6, len(used) - 0.4)
    ax.set_ylim(-1.05 * _DEPTH * most, 1.02 * most)
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    ends = [0, len(used) - 1]
    ax.set_xticks(ends, [bin_label(row.reference, int(used[i])) for i in ends])
    for label, side in zip(ax.get_xticklabels(), ("left", "right"), strict=False):
        label.set_horizontalalignment(side)  # type: ignore[arg-type]


def _chance(ax: Axes, row: Drift) -> None:
    """The observed value over the null band, on one axis with the limit."""
    if row.null95 is not None:
        ax.barh(0.0, row.null95, height=0.9, color=_NULL)
    if row.lower is not None and row.upper is not None:
        ax.hlines(0.0, row.lower, row.upper, color=INK, linewidth=1.1)
    ax.plot([row.value], [0.0], "o", color=GOOD, markersize=5.5, zorder=5)
    ax.axvline(row.limit, color=FAIL, linewidth=1.1, linestyle=(0, (4, 2)))
    most = max(row.value, row.null95 or 0.0, row.upper or 0.0, row.limit)
    ax.set_xlim(-0.02 * most, 1.08 * most)
    ax.set_ylim(-0.75, 0.75)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    zero = "0" if row.limit > 0.15 * most else ""  # beside a limit that near, it hides it
    ax.set_xticks([0.0, row.limit], [zero, f"{row.limit:g}"])
    said = f"PSI {number(row.value, 'nats')}"
    if row.null95 is not None:
        said += f", chance {number(row.null95, 'nats')}"
    ax.set_title(said, fontsize=7.5, color=QUIET, pad=2)


def _hours(ax: Axes, row: Drift) -> None:
    found = np.where(np.isfinite(row.by_hour), row.by_hour, 0.0)
    most = float(found.max())
    depth = found[None, :] / most if most > 0.0 else np.zeros((1, 24))
    ax.imshow(
        depth, aspect="auto", cmap=shades(BAND, GOOD), vmin=0.0, vmax=1.0, extent=(0, 24, 0, 1)
    )
    ax.set_yticks([])
    ax.set_xticks([0, 12, 24], ["0", "12", "24 h"])
    ax.get_xticklabels()[-1].set_horizontalalignment("right")  # the figure ends here
    ax.spines[["left", "bottom"]].set_visible(False)


def _used(row: Drift) -> Any:
    """Cells that hold a row on either side, and all bins."""
    cells = np.arange(len(row.current))
    return np.flatnonzero((row.reference.counts + row.current > 0) | (cells < row.reference.n_bins))


def _shares(row: Drift) -> tuple[Float1D, Float1D]:
    first, second = (side / side.sum() for side in (row.reference.counts, row.current))
    return np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)


def _what_moved(row: Drift) -> str:
    """The bin that adds most with its shares; the hours only where chance does not explain it."""
    if row.value <= 0.0:
        return "no bin moved"
    before, now = _shares(row)
    top = int(row.psi.per_bin.argmax())
    said = (
        f"{bin_label(row.reference, top)}: {number(float(before[top]), '%')} of rows in training, "
        f"{number(float(now[top]), '%')} now"
    )
    if row.p_value is None or row.p_value > _BY_CHANCE:
        return said
    return said + _when(row.by_hour)


def _when(by_hour: Float1D) -> str:
    """The six hours that hold most of it, where they hold more than half."""
    found = np.where(np.isfinite(by_hour), by_hour, 0.0)
    total = float(found.sum())
    spans = [float(np.take(found, np.arange(h, h + _SPAN_H), mode="wrap").sum()) for h in range(24)]
    start = int(np.argmax(spans))
    if total <= 0.0 or spans[start] <= total / 2.0:
        return "; at all hours"
    return f"; most from {start:02d} to {(start + _SPAN_H) % 24:02d} h UTC"
