"""Figures about time: how long features remember, how steady and how durable their knowledge is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullLocator

from mlwb.core.bars import INTERVAL_S
from mlwb.report._figure import (
    Figure,
    dates,
    draw,
    grouped,
    limit_line,
    quiet_axes,
    shades,
    unmeasured,
)
from mlwb.report._numbers import count, duration, number, several
from mlwb.report._style import INK, QUIET, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from mlwb.study import Daily, Decay, Eligibility, Memory

__all__ = ["daily", "decay", "eligibility", "memory"]

_MARKERS = ("o", "s", "^", "D")
_NAMED = 4
_REST = "#c3cad3"
_FLOOR = 1e-3
"""PSI below this is nothing; the axis starts here."""
_AT_ONCE_S = 30.0
"""Where age 0 stands on a logarithmic axis."""


def memory(items: Sequence[Memory]) -> Figure:
    """Autocorrelation of every feature at some lags, half-life and rows of news beside it.

    Parameters
    ----------
    items : sequence of Memory
        Constants are left out.

    Returns
    -------
    Figure
    """
    known = [item for item in items if np.isfinite(item.autocorrelation).any()]
    if not known:
        return unmeasured("Memory", "No feature varies.")
    known.sort(key=lambda item: (item.n_effective, item.name))
    least = known[0]
    title = (
        f"{least.name} remembers longest: its {count(least.n_obs)} rows are worth "
        f"{number(least.n_effective, decimals=0)} independent ones"
    )
    matrix = np.asarray([item.autocorrelation for item in known], dtype=np.float64)
    lags = [duration(lag) for lag in known[0].lags_s]

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        ax.imshow(
            matrix, cmap=shades(SERIES[1], "#ffffff", SERIES[0]), vmin=-1.0, vmax=1.0, aspect="auto"
        )
        for i, j in np.ndindex(*matrix.shape):
            value = float(matrix[i, j])
            said = number(value, decimals=2) if np.isfinite(value) else "–"
            dark = np.isfinite(value) and abs(value) > 0.6
            ax.text(j, i, said, ha="center", va="center", fontsize=8, color="w" if dark else INK)
        ax.set_yticks(range(len(known)), [item.name for item in known])
        ax.set_xticks(range(len(lags)), [f"{lag} ago" for lag in lags])
        ax.tick_params(axis="both", labelcolor=INK)
        ax.spines[:].set_visible(False)
        quiet_axes(ax, grid="none")
        beside = ax.secondary_yaxis("right")
        beside.set_yticks(range(len(known)), [_worth(item) for item in known])
        beside.tick_params(length=0, labelcolor=QUIET)
        beside.spines[:].set_visible(False)

    subtitle = (
        "Autocorrelation on the clock, training window; on the right the half-life and the "
        "independent rows all rows are worth (Geyer)"
    )
    return draw(paint, title=title, subtitle=subtitle, height=80 + 27 * len(known))


def eligibility(items: Sequence[Eligibility], *, held_out_days: float) -> Figure:
    """PSI that chance alone gives, by length of the window, against what the gate allows.

    Parameters
    ----------
    items : sequence of Eligibility
        Those without a window tried are left out.
    held_out_days : float
        Length of the window that will be judged, days.

    Returns
    -------
    Figure
    """
    known = [item for item in items if item.nulls]
    if not known:
        return unmeasured("PSI by chance", "No feature has days enough to be held against itself.")
    known.sort(key=lambda item: (-item.nulls[0].limit95, item.name))
    limit = known[0].limit
    late = [item for item in known if item.window_days is None or item.window_days > held_out_days]
    title = (
        f"{several(len(known) - len(late), 'feature')} of {len(known)} can be judged by PSI in the "
        f"{number(held_out_days, 'd')} held out"
    )
    if late:
        title += f"; not {', '.join(item.name for item in late[:3])}"
    subtitle = (
        "95 % of the PSI between windows of the training bars and the rest of them: nothing "
        "changed, so all of it is chance; a gate needs it below the limit"
    )
    named = known[:_NAMED]

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for item in known[_NAMED:]:
            ax.plot(*_curve(item), color=_REST, linewidth=1.0)
        for place, item in enumerate(named):
            ax.plot(
                *_curve(item), color=SERIES[place], marker=_MARKERS[place], markersize=4,
                label=f"{item.name}: {_from(item)}",
            )  # fmt: skip
        limit_line(ax, limit, f"limit {limit:g}", horizontal=True)
        ax.axvline(held_out_days, color=QUIET, linewidth=1.0, linestyle=(0, (2, 2)))
        ax.annotate(
            "held out", (held_out_days, 0.0), xycoords=("data", "axes fraction"), xytext=(4, 4),
            textcoords="offset points", fontsize=8.5, color=QUIET,
        )  # fmt: skip
        _log_log(ax, sorted({null.days for item in known for null in item.nulls}), held_out_days)
        ax.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), title="judged from", title_fontsize=8.5,
            alignment="left",
        )  # fmt: skip

    return draw(paint, title=title, subtitle=subtitle)


def daily(items: Sequence[Daily]) -> Figure:
    """Rank IC of every UTC day, added up: a straight line is steady knowledge.

    Parameters
    ----------
    items : sequence of Daily
        The strongest four are named, the rest is grey.

    Returns
    -------
    Figure
    """
    known = [item for item in items if item.n_days > 1]
    if not known:
        return unmeasured("Day by day", "It takes at least two days with a correlation.")
    known.sort(key=lambda item: (-abs(item.mean), item.name))
    best = known[0]
    same = round(best.same_sign_share * best.n_days)
    title = f"{best.name} has the same sign on {same} of {several(best.n_days, 'day')}"
    if np.isfinite(best.icir):
        title += f"; ICIR {number(best.icir, decimals=2)} per day"
    subtitle = (
        "What each UTC day gives to the rank IC, added up over the training window; ICIR is mean "
        "over sd of the days, not annualised"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for item in known[_NAMED:]:
            ax.plot(item.days, np.cumsum(item.rank_ic), color=_REST, linewidth=1.0)
        for place, item in enumerate(known[:_NAMED]):
            ax.plot(
                item.days, np.cumsum(item.rank_ic), color=SERIES[place],
                label=f"{item.name}: ICIR {number(item.icir, decimals=2)}",
                marker=_MARKERS[place], markevery=max(item.n_days // 8, 1), markersize=4,
            )  # fmt: skip
        ax.axhline(0.0, color=QUIET, linewidth=0.9)
        dates(ax)
        ax.set_ylabel("sum of daily rank IC")
        ax.margins(x=0.01)
        quiet_axes(ax, grid="y")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    return draw(paint, title=title, subtitle=subtitle)


def decay(items: Sequence[Decay]) -> Figure:
    """Rank IC of a value by its age: how fast a feature's knowledge fades.

    Parameters
    ----------
    items : sequence of Decay
        The strongest four are named with their half-life, the rest is grey.

    Returns
    -------
    Figure
    """
    known = [item for item in items if np.isfinite(item.rank_ic[0])]
    if not known or len(known[0].ages_s) < 2:
        return unmeasured("Decay", "It takes a value at two ages at least to see a change.")
    known.sort(key=lambda item: (-abs(item.rank_ic[0]), item.name))
    best = known[0]
    title = f"{best.name}, the strongest, {_lasts(best)}"
    subtitle = (
        "Rank IC with the label's target by age of the value when it is used; bands are 95 % "
        "intervals with a day as the block"
    )

    def paint(drawing: Drawing) -> None:
        ax = drawing.subplots()
        for item in known[_NAMED:]:
            ax.plot(_ages(item), item.rank_ic, color=_REST, linewidth=1.0)
        for place, item in enumerate(known[:_NAMED]):
            ax.fill_between(
                _ages(item), item.low, item.high, color=SERIES[place], alpha=0.12, linewidth=0
            )
            ax.plot(
                _ages(item), item.rank_ic, color=SERIES[place], marker=_MARKERS[place],
                markersize=4, label=f"{item.name}: {_half(item.half_life_s)}",
            )  # fmt: skip
        ax.axhline(0.0, color=QUIET, linewidth=0.9)
        ax.set_xscale("log")
        ages = best.ages_s
        ax.set_xticks(_ages(best), ["now" if age == 0 else duration(age) for age in ages])
        ax.minorticks_off()
        ax.set_xlabel("age of the value")
        ax.set_ylabel("rank IC")
        quiet_axes(ax, grid="y")
        ax.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), title="half-life", title_fontsize=8.5,
            alignment="left",
        )  # fmt: skip

    return draw(paint, title=title, subtitle=subtitle)


def _lasts(item: Decay) -> str:
    if np.isfinite(item.half_life_s):
        return f"is worth half after {duration(item.half_life_s)}"
    if np.isinf(item.half_life_s):
        return f"keeps over half for {duration(item.ages_s[-1])}"
    return "has no half-life: it is not known to know anything"


def _worth(item: Memory) -> str:
    return f"{_half(item.half_life_s)} · {number(item.n_effective, decimals=0)} rows"


def _from(item: Eligibility) -> str:
    if item.window_days is not None:
        return f"{item.window_days} d"
    return f"≥ {item.needed_days:.0f} d" if np.isfinite(item.needed_days) else item.reason


def _half(seconds: float) -> str:
    if np.isinf(seconds):
        return "not reached"
    if seconds < INTERVAL_S:
        return f"< {duration(INTERVAL_S)}"
    return duration(seconds) if np.isfinite(seconds) else "none"


def _curve(item: Eligibility) -> tuple[list[int], list[float]]:
    return (
        [null.days for null in item.nulls],
        [max(null.limit95, _FLOOR) for null in item.nulls],
    )


def _ages(item: Decay) -> list[float]:
    return [max(float(age), _AT_ONCE_S) for age in item.ages_s]


def _log_log(ax: Axes, lengths: Sequence[int], held_out_days: float) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(lengths, [str(length) for length in lengths])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(grouped)
    ax.set_ylim(bottom=_FLOOR)
    ax.set_xlim(0.9, 1.35 * max(*lengths, held_out_days, 2.0))
    ax.set_xlabel("window, days")
    ax.set_ylabel("PSI by chance, nats")
    quiet_axes(ax, grid="y")
