"""Figures about what features know and share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlwb.report._figure import Figure, draw, quiet_axes, shades, unmeasured
from mlwb.report._numbers import duration, interval, number
from mlwb.report._style import INK, QUIET, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from mlwb.study import Information, Redundancy

__all__ = ["decay", "information", "redundancy"]

_MARKERS = ("o", "s", "^", "D")
_NAMED = 4
_VIF_HIGH = 10.0


def information(items: Sequence[Information]) -> Figure:
    """Rank information coefficient by feature and horizon, with 95 % intervals.

    Parameters
    ----------
    items : sequence of Information
        Those without a value are left out.

    Returns
    -------
    Figure
    """
    known = [item for item in items if np.isfinite(item.rank_ic)]
    if not known:
        return unmeasured("Information", "No feature and target vary together.")
    best = max(known, key=lambda item: abs(item.rank_ic))
    order = _by_strength(known)
    apart = {item.name for item in known if item.low > 0.0 or item.high < 0.0}
    title = (
        f"{best.name} knows most: rank IC {number(best.rank_ic)} at {duration(best.horizon_s)} "
        f"({interval(best.low, best.high)}); {len(apart)} of {len(order)} features differ from zero"
    )
    horizons = sorted({item.horizon_s for item in known})
    subtitle = (
        "Spearman rank correlation with the target, by horizon; whiskers are 95 % block-bootstrap "
        f"intervals, up to {max(item.n_obs for item in known):,} rows"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for number_, horizon in enumerate(horizons):
            _whiskers(
                ax, [i for i in known if i.horizon_s == horizon], order, _Slot(number_, horizons)
            )
        ax.axvline(0.0, color=QUIET, linewidth=0.9)
        ax.set_yticks(range(len(order)), order)
        ax.set_ylim(len(order) - 0.4, -0.6)
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_xlabel("rank IC")
        quiet_axes(ax, grid="x")
        ax.legend(
            loc="upper left", bbox_to_anchor=(1.0, 1.0), title="ahead", title_fontsize=8.5,
            alignment="left",
        )  # fmt: skip

    return draw(paint, title=title, subtitle=subtitle, height=90 + 34 * len(order))


class _Slot:
    """Where a horizon stands within a row, and how it looks."""

    def __init__(self, index: int, horizons: Sequence[int]) -> None:
        n = len(horizons)
        self.label = duration(horizons[index])
        self.colour = SERIES[index % len(SERIES)]
        self.marker = _MARKERS[index % len(_MARKERS)]
        self.offset = (index - (n - 1) / 2.0) * min(0.72 / n, 0.2)


def _whiskers(ax: Axes, items: Sequence[Information], order: Sequence[str], slot: _Slot) -> None:
    y = [order.index(item.name) + slot.offset for item in items]
    ax.hlines(y, [i.low for i in items], [i.high for i in items], color=slot.colour, linewidth=1.2)
    ax.plot(
        [item.rank_ic for item in items], y, slot.marker, color=slot.colour, markersize=4,
        label=slot.label,
    )  # fmt: skip


def decay(items: Sequence[Information]) -> Figure:
    """Rank information coefficient along the horizon: how fast a feature's knowledge fades.

    Parameters
    ----------
    items : sequence of Information
        The strongest four are named, the rest is grey.

    Returns
    -------
    Figure
    """
    known = [item for item in items if np.isfinite(item.rank_ic)]
    horizons = sorted({item.horizon_s for item in known})
    if len(horizons) < 2:
        return unmeasured("Decay", "It takes at least two horizons to see a change.")
    order = _by_strength(known)
    lines = {
        name: sorted((i.horizon_s, i.rank_ic) for i in known if i.name == name) for name in order
    }
    first, last = lines[order[0]][0], lines[order[0]][-1]
    kept = abs(last[1]) / abs(first[1]) if first[1] else float("nan")
    moves = "keeps" if kept <= 1.0 else "grows to"
    title = (
        f"{order[0]}, the strongest, {moves} {number(kept, '%', decimals=0)} of its "
        f"{duration(first[0])} rank IC at {duration(last[0])}"
    )
    named = order[:_NAMED]
    subtitle = f"Rank IC by horizon; the {len(named)} strongest features are named"

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for name in order[_NAMED:]:
            ax.plot(*zip(*lines[name], strict=True), color="#c3cad3", linewidth=1.0)
        for place, name in enumerate(named):
            ax.plot(
                *zip(*lines[name], strict=True), marker=_MARKERS[place], markersize=5,
                color=SERIES[place], label=name,
            )  # fmt: skip
        ax.axhline(0.0, color=QUIET, linewidth=0.9)
        ax.set_xscale("log")
        ax.set_xticks(horizons, [duration(horizon) for horizon in horizons])
        ax.minorticks_off()
        ax.set_xlabel("horizon")
        ax.set_ylabel("rank IC")
        quiet_axes(ax, grid="y")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    return draw(paint, title=title, subtitle=subtitle)


def redundancy(found: Redundancy) -> Figure:
    """Correlation of the features, numbers in the cells, inflation beside the names.

    Parameters
    ----------
    found : Redundancy
        Of the features that vary.

    Returns
    -------
    Figure
    """
    n = len(found.names)
    if n < 2:
        return unmeasured("Redundancy", "Fewer than two features vary.")
    matrix = np.asarray(found.correlation)
    apart = np.abs(np.where(np.eye(n, dtype=bool), 0.0, np.nan_to_num(matrix)))
    row, column = (int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
    pair = f"{found.names[min(row, column)]} and {found.names[max(row, column)]}"
    mixed = [name for name, vif in zip(found.names, found.vif, strict=True) if vif > _VIF_HIGH]
    rest = (
        f"nearly a mixture of others: {', '.join(mixed)}"
        if mixed
        else "none is a mixture of others"
    )
    title = f"{pair} are closest, r = {matrix[row, column]:.2f}".replace("-", "−") + f"; {rest}"
    labels = [
        f"{name}   VIF {vif:,.1f}" if np.isfinite(vif) else f"{name}   VIF ∞"
        for name, vif in zip(found.names, found.vif, strict=True)
    ]

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        ax.imshow(
            matrix, cmap=shades(SERIES[1], "#ffffff", SERIES[0]), vmin=-1.0, vmax=1.0, aspect="auto"
        )
        for i, j in np.ndindex(n, n):
            said = number(float(matrix[i, j]), decimals=2)
            light = abs(matrix[i, j]) > 0.6
            ax.text(j, i, said, ha="center", va="center", fontsize=8, color="w" if light else INK)
        ax.set_yticks(range(n), labels)
        ax.set_xticks(range(n), found.names, rotation=30, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="both", labelcolor=INK)
        ax.spines[:].set_visible(False)
        quiet_axes(ax, grid="none")

    subtitle = "Pearson correlation on the training window; VIF is the variance inflation factor"
    return draw(paint, title=title, subtitle=subtitle, height=110 + 30 * n)


def _by_strength(items: Sequence[Information]) -> list[str]:
    strength: dict[str, float] = {}
    for item in items:
        strength[item.name] = max(strength.get(item.name, 0.0), abs(item.rank_ic))
    return sorted(strength, key=lambda name: (-strength[name], name))
