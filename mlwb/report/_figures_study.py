"""Figures about what features know, what it costs to use it, and what they share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwb.report._figure import Figure, draw, grouped, quiet_axes, shades, unmeasured
from mlwb.report._numbers import duration, interval, number, several
from mlwb.report._style import INK, QUIET, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from mlwb.study import Costed, Information, Redundancy, RegimeStudy

__all__ = ["costs", "information", "redundancy", "regimes"]

_MARKERS = ("o", "s", "^", "D")
_VIF_HIGH = 10.0
_PROVEN = 0.05


def information(items: Sequence[Information]) -> Figure:
    """Rank information coefficient by feature and horizon, with 95 % intervals.

    Parameters
    ----------
    items : sequence of Information
        Those without a value are left out.

    Returns
    -------
    Figure
        Full marks are proven after Holm over everything shown; hollow marks are not.
    """
    known = [item for item in items if np.isfinite(item.rank_ic)]
    if not known:
        return unmeasured("Information", "No feature and target vary together.")
    order = _by_strength(known)
    title = _strongest(known)
    horizons = sorted({item.horizon_s for item in known})
    subtitle = (
        "Spearman rank correlation with the target, by horizon; whiskers are 95 % block-bootstrap "
        f"intervals, up to {max(item.n_obs for item in known):,} rows; hollow: not proven after "
        f"Holm over {len(known)} looks"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for number_, horizon in enumerate(horizons):
            at = [item for item in known if item.horizon_s == horizon]
            _whiskers(ax, at, order, _Slot.of(duration(horizon), number_, len(horizons)))
        _dot_axes(ax, order, "rank IC", legend="ahead")

    return draw(paint, title=title, subtitle=subtitle, height=90 + 34 * len(order))


def regimes(items: Sequence[RegimeStudy]) -> Figure:
    """Rank information coefficient by feature and regime, with 95 % intervals.

    Parameters
    ----------
    items : sequence of RegimeStudy
        Regimes without rows are left out.

    Returns
    -------
    Figure
    """
    known = [i for regime in items for i in regime.information if np.isfinite(i.rank_ic)]
    if not known:
        return unmeasured("Regimes", "No row has a known regime and a target.")
    shown = [regime for regime in items if any(np.isfinite(i.rank_ic) for i in regime.information)]
    order = _by_strength(known)
    title = _between_regimes(shown, order[0])
    subtitle = (
        f"Rank IC at {duration(known[0].horizon_s)} by regime, 95 % block-bootstrap intervals, "
        "hollow where zero is inside; cuts from the first part of the training window, rows from "
        "the rest of it"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for place, regime in enumerate(shown):
            share = number(regime.share, "%", decimals=0)
            slot = _Slot.of(f"{regime.name}, {share}", place, len(shown))
            told = [i for i in regime.information if np.isfinite(i.rank_ic)]
            _whiskers(ax, told, order, slot)
        _dot_axes(ax, order, "rank IC", legend="regime, share of bars")

    return draw(paint, title=title, subtitle=subtitle, height=90 + 30 * len(order))


def costs(items: Sequence[Costed], known: Sequence[Information] = (), *, is_traded: bool) -> Figure:
    """What an information coefficient must exceed to pay for being traded, and what there is.

    Parameters
    ----------
    items : sequence of Costed
        Those without a value are left out.
    known : sequence of Information
        Of the same features and horizons: says which coefficients are told from luck.
    is_traded : bool
        Whether the label has a sign to be held; without one only the hurdles are drawn.

    Returns
    -------
    Figure
    """
    held = [item for item in items if np.isfinite(item.hurdle) and item.hurdle > 0.0]
    if not held:
        return unmeasured("Costs", "No feature and return vary together.")
    floors = {name: min(i.hurdle for i in held if i.name == name) for name in _names(held)}
    order = sorted(floors, key=lambda name: (floors[name], name))
    horizons = sorted({item.horizon_s for item in held})
    sure = {(item.name, item.horizon_s) for item in known if _is_proven(item)}
    title = _earners(held, sure) if is_traded else _cheapest(held)
    paid = float(np.median([item.cost_bp for item in held]))
    rest = "the label is a volatility, so there is no IC of a sign to compare it with"
    if is_traded:
        rest = "coloured lines go beyond it and earn; hollow: an IC not told from luck"
    subtitle = (
        f"Hurdle: one-way cost (median {number(paid, 'bp')}) times turnover over the sd of the "
        f"return, in IC units; {rest}"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for place, horizon in enumerate(horizons):
            at = [item for item in held if item.horizon_s == horizon]
            slot = _Slot.of(duration(horizon), place, len(horizons))
            _hurdles(ax, at, order, slot, sure=sure if is_traded else None)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(grouped)
        what = (
            "size of the IC, log axis; a bar marks the hurdle" if is_traded else "hurdle, log axis"
        )
        _dot_axes(ax, order, what, legend="held", zero=False)

    return draw(paint, title=title, subtitle=subtitle, height=90 + 34 * len(order))


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


@dataclass(frozen=True)
class _Slot:
    """Where a series stands within a row, and how it looks."""

    label: str
    colour: str
    marker: str
    offset: float

    @classmethod
    def of(cls, label: str, place: int, n: int) -> _Slot:
        offset = (place - (n - 1) / 2.0) * min(0.72 / n, 0.2)
        return cls(label, SERIES[place % len(SERIES)], _MARKERS[place % len(_MARKERS)], offset)


def _whiskers(ax: Axes, items: Sequence[Information], order: Sequence[str], slot: _Slot) -> None:
    y = [order.index(item.name) + slot.offset for item in items]
    ax.hlines(y, [i.low for i in items], [i.high for i in items], color=slot.colour, linewidth=1.2)
    ax.plot([], [], slot.marker, color=slot.colour, markersize=4, label=slot.label)
    for item, height in zip(items, y, strict=True):
        face = slot.colour if _is_proven(item) else "white"
        ax.plot(
            item.rank_ic, height, slot.marker, color=slot.colour, markersize=4,
            markerfacecolor=face, markeredgewidth=1.1,
        )  # fmt: skip


def _earners(held: Sequence[Costed], sure: Collection[tuple[str, int]]) -> str:
    best = max(held, key=lambda item: item.net)
    earn = [(item.name, item.horizon_s) for item in held if item.net > 0.0]
    n = sum(pair in sure for pair in earn)
    said = f"{len(earn)} of {len(held)} pairs of feature and horizon exceed their costs"
    at = f"{best.name} at {duration(best.horizon_s)}, net {number(best.net)}"
    if not earn:
        return f"{said}; closest is {at}"
    luck = "none of them told from luck" if n == 0 else f"{n} of them told from luck"
    return f"{said}, {luck}; best is {at}"


def _cheapest(known: Sequence[Costed]) -> str:
    cheap = min(known, key=lambda item: item.hurdle)
    return (
        f"To hold {cheap.name} as a position for {duration(cheap.horizon_s)}, an IC above "
        f"{number(cheap.hurdle, decimals=4)} would be needed; for the others more"
    )


def _hurdles(
    ax: Axes,
    items: Sequence[Costed],
    order: Sequence[str],
    slot: _Slot,
    *,
    sure: Collection[tuple[str, int]] | None,
) -> None:
    """Hurdles alone, or with ``sure`` the way from each hurdle to what there is."""
    y = np.asarray([order.index(item.name) + slot.offset for item in items])
    hurdle = np.asarray([item.hurdle for item in items])
    look: dict[str, Any] = {"color": slot.colour, "markersize": 4, "linestyle": "none"}
    if sure is None:
        ax.plot(hurdle, y, slot.marker, label=slot.label, **look)
        return
    ax.plot([], [], slot.marker, label=slot.label, **look)
    ax.vlines(hurdle, y - 0.1, y + 0.1, color=slot.colour, linewidth=2.4, zorder=3)
    for item, low, height in zip(items, hurdle, y, strict=True):
        size = max(abs(item.ic), hurdle.min() / 30.0)
        colour = slot.colour if size > low else "#c3cad3"
        face = slot.colour if (item.name, item.horizon_s) in sure else "white"
        ax.hlines(height, min(low, size), max(low, size), color=colour, linewidth=1.0)
        ax.plot(size, height, slot.marker, markerfacecolor=face, zorder=4, **look)


def _dot_axes(ax: Axes, order: Sequence[str], what: str, *, legend: str, zero: bool = True) -> None:
    if zero:
        ax.axvline(0.0, color=QUIET, linewidth=0.9)
    ax.set_yticks(range(len(order)), order)
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.tick_params(axis="y", labelcolor=INK)
    ax.set_xlabel(what)
    quiet_axes(ax, grid="x")
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.0), title=legend, title_fontsize=8.5,
        alignment="left",
    )  # fmt: skip


def _is_proven(item: Information) -> bool:
    """By the adjusted p value where there is one, else by the interval alone."""
    if np.isfinite(item.p_holm):
        return item.p_holm < _PROVEN
    return item.low > 0.0 or item.high < 0.0


def _strongest(known: Sequence[Information]) -> str:
    """Who knows most among those proven to know anything."""
    proven = [item for item in known if _is_proven(item)]
    best = max(proven or known, key=lambda item: abs(item.rank_ic))
    ends = interval(best.low, best.high)
    said = f"rank IC {number(best.rank_ic)} at {duration(best.horizon_s)} ({ends})"
    if not proven:
        return f"No feature is shown to know anything; the largest is {best.name}, {said}"
    n = len({item.name for item in known})
    return (
        f"{best.name} knows most: {said}; {len({item.name for item in proven})} of {n} features "
        "differ from zero"
    )


def _between_regimes(shown: Sequence[RegimeStudy], name: str) -> str:
    """Where the strongest feature knows most, if the regimes differ beyond their intervals."""
    found = sorted((abs(_of(regime, name).rank_ic), regime.name) for regime in shown)
    (low, where_low), (high, where_high) = found[0], found[-1]
    least, most = (
        next(_of(regime, name) for regime in shown if regime.name == where)
        for where in (where_low, where_high)
    )
    if most.low > least.high or most.high < least.low:
        return (
            f"{name} knows most in {where_high} bars, rank IC {number(most.rank_ic)}, and least in "
            f"{where_low} ones, {number(least.rank_ic)}"
        )
    told = sum(_is_proven(_of(regime, name)) for regime in shown)
    return (
        f"{name}: size of rank IC {interval(low, high)}, no regime stands out; "
        f"told from zero in {told} of {several(len(shown), 'regime')}"
    )


def _of(regime: RegimeStudy, name: str) -> Information:
    return next(item for item in regime.information if item.name == name)


def _names(items: Sequence[Costed]) -> list[str]:
    return list(dict.fromkeys(item.name for item in items))


def _by_strength(items: Sequence[Information]) -> list[str]:
    strength: dict[str, float] = {}
    for item in items:
        strength[item.name] = max(strength.get(item.name, 0.0), abs(item.rank_ic))
    return sorted(strength, key=lambda name: (-strength[name], name))
