"""What a version's trades came to: a picture and a table of the last days."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.monitor import TradingDay
from mlwb.params import Policy
from mlwb.report._figure import Figure, dates, draw, limit_line, percent, quiet_axes, unmeasured
from mlwb.report._numbers import NOT_MEASURED, count, interval, number, several, signed
from mlwb.report._style import FAIL, GOOD, OTHER, QUIET
from mlwb.stats import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["money", "money_section"]

_SHOWN = 7
_SOURCES = {"broker": "fills of the desk", "paper": "paper, simulated"}


def money(trading: Sequence[TradingDay], policy: Policy) -> Figure:
    """Return and win rate of the last days.

    Parameters
    ----------
    trading : sequence of TradingDay
        Of one version, oldest first.
    policy : Policy
        Draws the limit of the win rate, and says how many trades make a day.

    Returns
    -------
    Figure
    """
    if len(trading) < 2:
        why = "It takes two days of trades: mlwb report pnl tells them."
        return unmeasured("Trades", why)
    limit = next(item for item in policy.watch["rollback"] if item.metric == "win_rate")
    net = np.array([item.net for item in trading])
    total = float(np.prod(1.0 + net) - 1.0)
    lost = int((net < 0.0).sum())
    title = (
        f"{_signed(total)} after costs in {several(len(trading), 'day')} told, {lost} of them lost"
    )
    subtitle = (
        f"Left: compounded net return since {trading[0].day}; right: win rate of each UTC day with "
        f"its 95 % interval, hollow below {limit.min_n} trades; blue: fills, orange: paper, "
        "red: below the limit"
    )

    def paint(drawing: Drawing) -> None:
        left, right = drawing.subplots(1, 2)
        _equity(left, trading, net)
        _win_rates(right, trading, limit.min_n, float(limit.value))

    return draw(paint, title=title, subtitle=subtitle, height=300)


def _equity(ax: Axes, trading: Sequence[TradingDay], net: Float1D) -> None:
    x = _days(trading)
    grown = np.cumprod(1.0 + net) - 1.0
    ax.axhline(0.0, color=QUIET, linewidth=0.8)
    ax.plot(x, grown, color=QUIET, linewidth=1.2, drawstyle="steps-post")
    for item, at, value in zip(trading, x, grown, strict=True):
        ax.plot(at, value, "o", color=_colour(item), markersize=4)
    ax.set_title("net return, compounded", color=QUIET)
    ax.yaxis.set_major_formatter(percent)
    _frame(ax, x)


def _win_rates(ax: Axes, trading: Sequence[TradingDay], least: int, limit: float) -> None:
    x = _days(trading)
    for item, at in zip(trading, x, strict=True):
        if not item.trades:
            continue
        low, high = wilson(item.wins, item.trades)
        beyond = item.trades >= least and item.win_rate < limit
        colour = FAIL if beyond else _colour(item)
        face = colour if item.trades >= least else "none"
        ax.vlines(at, low, high, color=colour, linewidth=1.0, alpha=0.6)
        ax.plot(at, item.win_rate, "o", color=colour, markerfacecolor=face, markersize=4.5)
    limit_line(ax, limit, percent(limit, 0), horizontal=True)
    if not any(item.trades for item in trading):
        said = "no bets" if not any(item.is_bet for item in trading) else "no closed trades"
        ax.text(0.5, 0.3, said, transform=ax.transAxes, ha="center", color=QUIET)
    ax.set_ylim(0.0, 1.0)
    ax.set_title("win rate of the day", color=QUIET)
    ax.yaxis.set_major_formatter(percent)
    _frame(ax, x)


def _frame(ax: Axes, x: Float1D) -> None:
    ax.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    dates(ax)
    quiet_axes(ax, grid="y")


def _days(trading: Sequence[TradingDay]) -> Float1D:
    first = np.datetime64("1970-01-01")
    return np.array([(np.datetime64(item.day) - first).astype(float) for item in trading])


def _colour(item: TradingDay) -> str:
    return GOOD if item.source == "broker" else OTHER


def money_section(trading: Sequence[TradingDay], policy: Policy) -> str:
    """The part of a day's page about trades; says where there are none how to tell them.

    Parameters
    ----------
    trading, policy
        As :func:`money`.
    """
    heading = '<section aria-labelledby="trades"><h2 id="trades">Trades</h2>'
    if not trading:
        why = "No trades of this version were told: <code>mlwb report pnl</code>."
        return f'{heading}<p class="note">{why}</p></section>'
    rows = "".join(_row(item) for item in reversed(trading[-_SHOWN:]))
    return (
        f"{heading}{money(trading, policy)._repr_html_()}"
        '<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">Day</th>'
        '<th scope="col">Whose</th><th scope="col" class="num">Won</th>'
        '<th scope="col">Behind it</th><th scope="col" class="num">Net</th>'
        f'<th scope="col" class="num">Costs</th></tr></thead><tbody>{rows}</tbody></table></div>'
        "</section>"
    )


def _row(item: TradingDay) -> str:
    won, behind = NOT_MEASURED, "the rule makes no bets"
    if item.trades:
        low, high = wilson(item.wins, item.trades)
        won = number(item.win_rate, "%")
        behind = f"{count(item.wins)} of {count(item.trades)}, 95 %: {interval(low, high, '%')}"
    elif item.is_bet:
        behind = "no trade was closed"
    return (
        f'<tr><th scope="row">{item.day}</th><td>{escape(_SOURCES[item.source])}</td>'
        f'<td class="num">{escape(won)}</td><td class="quiet">{escape(behind)}</td>'
        f'<td class="num">{escape(_signed(item.net))}</td>'
        f'<td class="num">{escape(number(item.cost, "%", decimals=2))}</td></tr>'
    )


def _signed(value: float) -> str:
    return signed(value, "%", decimals=2)
