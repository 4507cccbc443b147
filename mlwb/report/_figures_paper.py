"""What a rule earned on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.report._figure import Figure, dates, days, draw, quiet_axes, unmeasured
from mlwb.report._numbers import count, moment, number, signed
from mlwb.report._shapes import Traded
from mlwb.report._style import GOOD, OTHER, QUIET

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = ["equity", "paper"]

_POINTS = 1_200


def paper(found: Traded | None) -> Figure:
    """What the rule earned out of sample, or why there is no rule.

    Parameters
    ----------
    found : Traded or None
        None where the label says nothing about the sign of a return.

    Returns
    -------
    Figure
    """
    if found is None:
        return unmeasured(
            "Paper trading", "A volatility score says nothing about the sign, so no rule trades it."
        )
    risk = found.risk
    said = (
        f"; Sharpe {number(risk.sharpe, decimals=2)}, largest drawdown "
        f"{number(risk.max_drawdown, '%')}"
    )
    return equity(found.ts, found.ledger.net, found.ledger.gross, said=said)


def equity(ts: Int1D, net: Float1D, gross: Float1D, *, said: str = "") -> Figure:
    """Returns added up, before and after costs.

    Parameters
    ----------
    ts : ndarray of shape (n_steps,), int64
        Seconds since 1970.
    net, gross : ndarray of shape (n_steps,), float64
        Simple returns of every step; NaN earns nothing.
    said : str, default=""
        End of the title.

    Returns
    -------
    Figure
    """
    if len(ts) < 2:
        return unmeasured("Paper trading", "Fewer than two steps were traded.")
    totals = [np.cumsum(np.nan_to_num(values)) for values in (gross, net)]
    span = (int(ts[-1]) - int(ts[0])) / 86_400
    title = (
        f"{signed(float(totals[1][-1]), '%')} after costs over {number(span, 'd')}, "
        f"{signed(float(totals[0][-1]), '%')} before{said}"
    )
    subtitle = (
        f"Sum of simple returns, {moment(ts[0])} to {moment(ts[-1])} UTC, {count(len(ts))} steps"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        rows = np.unique(np.linspace(0, len(ts) - 1, _POINTS).astype(np.int64))
        when = days(ts[rows])
        for values, name, colour, style in zip(
            totals, ("before costs", "after costs"), (OTHER, GOOD), ("--", "-"), strict=True
        ):
            ax.plot(when, 100.0 * values[rows], style, color=colour)
            ax.annotate(
                f" {name}", (when[-1], 100.0 * float(values[-1])), color=colour, va="center"
            )
        ax.axhline(0.0, color=QUIET, linewidth=0.9)
        ax.set_ylabel("return, %")
        dates(ax)
        ax.margins(x=0.0)
        quiet_axes(ax, grid="y")

    return draw(paint, title=title, subtitle=subtitle)
