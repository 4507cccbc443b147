"""What predictions cost, day by day, before and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D
from mlwb.drift import FULL_SHARE, LossDays
from mlwb.report._figure import Figure, dates, draw, quiet_axes, unmeasured
from mlwb.report._numbers import several
from mlwb.report._style import GOOD, QUIET

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from mlwb.report._shapes import Losses

__all__ = ["losses"]

_GREY, _BAND = "#9aa5b1", "#d5dbe2"


def losses(found: Losses | None) -> Figure:
    """Brier loss of every full day: out of fold in training, then held out.

    Parameters
    ----------
    found : Losses or None
        None where no held-out label is known.

    Returns
    -------
    Figure
    """
    if found is None:
        return unmeasured("Realised loss", "No held-out label is known yet.")
    before, now = (_daily(side) for side in (found.before, found.now))
    if len(before[0]) == 0 or len(now[0]) == 0:
        return unmeasured("Realised loss", "Neither side has a full day.")
    low, high = np.quantile(before[1], [0.05, 0.95])
    above = int((now[1] > high).sum())
    worse = f"{above} of {several(len(now[0]), 'held-out day')}" if above else "No held-out day"
    title = f"{worse} cost more than training's own days do"
    subtitle = (
        "Mean Brier loss by the day labels were known; grey: out of fold in training, band: 90 % "
        "of those days; dashes: what the held-out probabilities themselves led to expect"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        ax.axhspan(low, high, color=_BAND, linewidth=0)
        ax.plot(*before, "o", color=_GREY, markersize=3.5, label="training, out of fold")
        ax.plot(*now, "-o", color=GOOD, markersize=4.5, label="held out")
        full = _full(found.now)
        expected = (found.now.expected / found.now.rows)[full]
        ax.plot(now[0], expected, "--", color=QUIET, linewidth=1.0, label="expected")
        dates(ax)
        ax.set_ylabel("Brier loss")
        ax.set_xlabel("day the label was known, UTC")
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.0)
        quiet_axes(ax, grid="y")

    return draw(paint, title=title, subtitle=subtitle, height=250)


def _full(side: LossDays) -> Bool1D:
    return np.asarray(side.rows >= FULL_SHARE * np.median(side.rows))


def _daily(side: LossDays) -> tuple[Float1D, Float1D]:
    full = _full(side)
    return side.days[full].astype(np.float64), side.mean()[full]
