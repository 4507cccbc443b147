"""What a rule earned on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.report._figure import Figure, dates, days, draw, percent, quiet_axes, shades, unmeasured
from mlwb.report._numbers import count, interval, moment, number, several, signed
from mlwb.report._shapes import Traded
from mlwb.report._style import GOOD, INK, OTHER, PAPER, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from mlwb.backtest import CostCell, RegimeMoney, TimingEffect

__all__ = ["paper"]

_POINTS = 1_200
_HEIGHT = 640
_LUMINANCE = np.asarray([0.2126, 0.7152, 0.0722])
"""Of red, green and blue light; text is white where the ground is nearer to black."""
_HALFWAY = 0.25


def paper(found: Traded | None) -> Figure:
    """Everything about a traded rule in one picture, or why there is none.

    Equity before and after costs, the fall from its peak, what costs and delay leave, and where
    the money was made. Where exposure is timed, the fall is that of the timed and of the constant
    book.

    Parameters
    ----------
    found : Traded or None
        None where nothing was traded.

    Returns
    -------
    Figure
    """
    if found is None or len(found.ts) < 2:
        return unmeasured("Paper trading", "No rule was traded.")
    ts, ledger = found.ts, found.ledger
    falls = _falls(found)

    def paint(drawing: Drawing) -> None:
        grid = drawing.add_gridspec(2, 1, height_ratios=[1.45, 1.0])
        top, bottom = (drawing.add_subfigure(grid[row]) for row in (0, 1))
        upper, lower = top.subplots(2, 1, sharex=True, height_ratios=[1.9, 1.0])
        _paint_equity(upper, ts, ledger.net, ledger.gross)
        _paint_falls(lower, ts, falls)
        left, right = bottom.subplots(1, 2, width_ratios=[1.0, 1.25])
        _paint_costs(left, found.curve)
        _paint_regimes(right, found.regimes)

    subtitle = (
        f"{found.rule.capitalize()}: sum of simple returns, {moment(ts[0])} to {moment(ts[-1])} "
        f"UTC, {count(len(ts))} steps; at 0 bars an order is filled at the price it was decided on"
    )
    return draw(paint, title=_message(found), subtitle=subtitle, height=_HEIGHT)


def _message(found: Traded) -> str:
    """The finding: for timed exposure the risk first, because that is what it is for."""
    risk, ledger = found.risk, found.ledger
    earned = _earned(found.ts, ledger.net, ledger.gross)
    if found.effect is None:
        ratio = number(risk.sharpe, decimals=2)
        fall = number(risk.max_drawdown, "%")
        return f"{earned}; Sharpe {ratio}, largest drawdown {fall}"
    return f"{_variance(found.effect)}; against constant exposure {earned}"


def _variance(effect: TimingEffect) -> str:
    change = effect.variance_ratio - 1.0
    if not np.isfinite(change):
        return "Timing changed no exposure"
    low, high = effect.variance_low - 1.0, effect.variance_high - 1.0
    bounds = interval(low, high, "%", decimals=0)
    return f"Timing exposure changes variance by {signed(change, '%', decimals=0)} ({bounds})"


def _earned(ts: Int1D, net: Float1D, gross: Float1D) -> str:
    before, after = (float(np.nansum(values)) for values in (gross, net))
    span = (int(ts[-1]) - int(ts[0])) / 86_400
    return (
        f"{signed(after, '%')} after costs over {number(span, 'd')}, {signed(before, '%')} before"
    )


def _falls(found: Traded) -> dict[str, Float1D]:
    """Name to net returns whose falls are drawn."""
    if found.versus is None:
        return {"": found.ledger.net}
    return {"constant": found.versus.constant.net, "timed": found.versus.timed.net}


def _rows(n: int) -> Int1D:
    """Few enough points to draw, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, _POINTS).astype(np.int64))


def _paint_equity(ax: Axes, ts: Int1D, net: Float1D, gross: Float1D) -> None:
    rows = _rows(len(ts))
    when = days(ts[rows])
    lines = {}
    for values, name, colour, style in (
        (gross, "before costs", OTHER, "--"),
        (net, "after costs", GOOD, "-"),
    ):
        total = np.cumsum(np.nan_to_num(values))
        ax.plot(when, total[rows], style, color=colour)
        lines[name] = (float(when[-1]), float(total[-1]), colour)
    ax.axhline(0.0, color=QUIET, linewidth=0.9)
    ax.yaxis.set_major_formatter(percent)
    ax.set_ylabel("return")
    ax.margins(x=0.0)
    quiet_axes(ax, grid="y")
    _name_ends(ax, lines)


def _name_ends(ax: Axes, lines: dict[str, tuple[float, float, str]]) -> None:
    """Write names beside the ends of lines, apart from each other."""
    low, high = ax.get_ylim()
    least = 0.09 * (high - low)
    placed: list[float] = []
    for name, (x, y, colour) in sorted(lines.items(), key=lambda item: item[1][1]):
        at = max(y, placed[-1] + least) if placed else y
        placed.append(at)
        ax.annotate(
            f" {name}", (x, at), color=colour, va="center", annotation_clip=False, fontsize=8.5
        )


def _paint_falls(ax: Axes, ts: Int1D, falls: dict[str, Float1D]) -> None:
    """How far below its peak compounded equity stands."""
    rows = _rows(len(ts))
    when = days(ts[rows])
    lines = {}
    for (name, net), colour in zip(falls.items(), (OTHER, GOOD), strict=False):
        value = np.concatenate([[1.0], np.cumprod(1.0 + net)])
        fall = (value / np.maximum.accumulate(value) - 1.0)[1:]
        if name:
            ax.plot(when, fall[rows], "--" if colour == OTHER else "-", color=colour)
            lines[name] = (float(when[-1]), float(fall[-1]), colour)
        else:
            ax.fill_between(when, fall[rows], 0.0, color=GOOD, alpha=0.25, linewidth=0)
            ax.plot(when, fall[rows], color=GOOD, linewidth=0.9)
    ax.yaxis.set_major_formatter(percent)
    ax.set_ylabel("below peak")
    ax.margins(x=0.0)
    dates(ax)
    quiet_axes(ax, grid="y")
    _name_ends(ax, lines)


def _paint_costs(ax: Axes, curve: Sequence[CostCell]) -> None:
    """Net return in every cell; an upper bound is hatched."""
    factors = sorted({cell.factor for cell in curve})
    latencies = sorted({cell.latency_bars for cell in curve})
    net = {(cell.latency_bars, cell.factor): cell.net_return for cell in curve}
    table = np.asarray([[net[lag, factor] for factor in factors] for lag in latencies])
    most = float(np.abs(table).max()) or 1.0
    ramp = shades(OTHER, PAPER, GOOD)
    ax.imshow(table, cmap=ramp, vmin=-most, vmax=most, aspect="auto")
    for row, lag in enumerate(latencies):
        for column, factor in enumerate(factors):
            value = net[lag, factor]
            ground = np.asarray(ramp(0.5 + 0.5 * value / most)[:3])
            is_dark = float(ground**2.2 @ _LUMINANCE) < _HALFWAY
            colour = PAPER if is_dark else INK
            ax.annotate(
                signed(value, "%"), (column, row), ha="center", va="center", color=colour,
                fontsize=9, style="italic" if lag == 0 else "normal",
            )  # fmt: skip
    names = ["0 (bound)" if lag == 0 else f"{lag}" for lag in latencies]
    ax.set_yticks(range(len(latencies)), names)
    ax.set_xticks(range(len(factors)), [f"{factor:g}×" for factor in factors])
    ax.set_xlabel("times the costs")
    ax.set_ylabel("bars to the fill")
    ax.tick_params(labelcolor=INK)
    quiet_axes(ax, grid="none")


def _paint_regimes(ax: Axes, found: Sequence[RegimeMoney]) -> None:
    """Net return as bars, before costs as a mark, decisions and p in words."""
    for y, item in enumerate(found):
        ax.barh(y, item.net, height=0.5, color=GOOD if item.net >= 0.0 else OTHER)
        ax.vlines(item.gross, y - 0.32, y + 0.32, color=INK, linewidth=1.4)
    ax.axvline(0.0, color=QUIET, linewidth=0.9)
    ax.set_yticks(
        range(len(found)),
        [
            f"{item.name}\n{several(item.n_decisions, 'decision')}\np {number(item.p_holm, 'p')}"
            for item in found
        ],
    )
    ax.tick_params(axis="y", labelcolor=INK)
    ax.set_ylim(len(found) - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter(percent)
    ax.set_xlabel("return: bar after costs, line before; small p: it loses")
    quiet_axes(ax, grid="x")
