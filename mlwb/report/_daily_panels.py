"""The dashboard of a day, for whom no Grafana shows it: the same panels in the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.monitor import PANELS, DayPanels, Panel
from mlwb.params import Policy
from mlwb.report._figure import Figure, draw, grouped, percent, quiet_axes, shades, unmeasured
from mlwb.report._numbers import count, number
from mlwb.report._style import BAND, FAIL, GOOD, INK, OTHER, PAPER, QUIET, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["panels"]

_UNITS = {"ms": "ms", "reqps": "requests/s", "percentunit": "%", "short": ""}
"""Units of Grafana in words."""
_WHY = {
    "latency": "no answer was timed",
    "requests": "no request was counted",
    "version": "no version answered",
    "gates": "no candidate was compared",
    "match": "no candidate was compared",
    "match_now": "no candidate was compared",
    "compared": "no row was compared",
    "delta": "no row was compared",
    "beside": "no candidate was timed",
    "psi": "less than a day of rows",
    "psi_mean": "less than a day of rows",
}
_SEEN = ("canary.p95_ms", "canary.error_rate", "canary.match_rate", "psi.plain_overall")
"""Limits that a scrape can see, as the dashboard's query has them."""
_SPARSE = 24
"""Fewer numbers than this are drawn as dots too: a line needs a neighbour to be seen."""
_NAMED = 3
"""Features drawn in a colour of their own: those that moved most."""
Paint = Callable[["Axes", DayPanels, Policy], bool]


def panels(day: DayPanels | None, policy: Policy) -> Figure:
    """All panels of the dashboard over one UTC day.

    Parameters
    ----------
    day : DayPanels or None
        From looks at the counters of servers.
    policy : Policy
        Draws the limits.

    Returns
    -------
    Figure
        A panel without numbers says why.
    """
    if day is None or day.n_looks < 2:
        why = "No server's counters were looked at twice: mlwb report scrape notes them."
        return unmeasured("Dashboard", why)
    drawn: list[str] = []

    def paint(drawing: Drawing) -> None:
        axes = drawing.subplots(4, 3, gridspec_kw={"hspace": 0.12})
        for ax, name in zip(axes.flat, PANELS, strict=False):
            if _PAINTS[name](ax, day, policy):
                drawn.append(name)
            else:
                _say(ax, _WHY[name])
            _head(ax, PANELS[name])
        axes.flat[-1].set_axis_off()

    found = draw(paint, title=_title(day), subtitle=_subtitle(day), height=690, colours=64)
    empty = [PANELS[name].title for name in PANELS if name not in drawn]
    if not empty:
        return found
    alt = f"{found.alt} Without numbers: {', '.join(empty)}."
    return Figure(found.title, found.subtitle, alt, found.png, found.width, found.height)


def _title(day: DayPanels) -> str:
    rates = day.lines["requests"].values()
    asked = sum(float(np.nansum(cells)) for cells in rates) * 900.0
    who = " then ".join(day.versions) or "nobody"
    p95 = day.lines["latency"].get("p95", np.empty(0))
    worst = ""
    if np.isfinite(p95).any():
        worst = f"; p95 at its slowest {number(float(np.nanmax(p95)), 'ms')}"
    return f"{count(round(asked))} requests, answered by {who}{worst}"


def _subtitle(day: DayPanels) -> str:
    return (
        f"The panels of the Grafana dashboard, by the quarter of an hour, UTC, from "
        f"{count(day.n_looks)} looks at the counters; dashed: limits of the policy"
    )


def _head(ax: Axes, panel: Panel) -> None:
    unit = _UNITS[panel.unit]
    ax.set_title(f"{panel.title}, {unit}" if unit else panel.title, color=INK, fontsize=8.5)


def _say(ax: Axes, why: str) -> None:
    """An empty panel says why it is empty."""
    ax.clear()
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_facecolor(BAND)
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=QUIET)


def _hours(ax: Axes, *, share: bool = False) -> None:
    ax.set_xlim(0.0, 24.0)
    ax.set_xticks([0, 6, 12, 18, 24], ["0 h", "6 h", "12 h", "18 h", "24 h"])
    ax.yaxis.set_major_formatter(percent if share else grouped)
    ax.tick_params(labelsize=7.5)
    quiet_axes(ax, grid="y")


def _series(
    ax: Axes, day: DayPanels, lines: Mapping[str, Float1D], colours: Mapping[str, str]
) -> bool:
    """Lines with their names; whether any has a number."""
    known = {name: cells for name, cells in lines.items() if np.isfinite(cells).any()}
    for name, cells in known.items():
        named = name in colours
        dot = "." if np.isfinite(cells).sum() < _SPARSE else ""
        ax.plot(
            day.hours, cells, color=colours.get(name, "#c3cad3"), linewidth=1.3 if named else 0.9,
            marker=dot, markersize=4, label=name if named else None, zorder=3 if named else 2,
        )  # fmt: skip
    if len(known) > 1:
        ax.legend(fontsize=7, loc="upper left", ncols=min(len(known), 3), handlelength=1.1,
                  columnspacing=0.8, borderpad=0.1)  # fmt: skip
    return bool(known)


def _limits(ax: Axes, name: str, policy: Policy) -> None:
    """The policy's limits, where they are near enough to say something."""
    for limit in PANELS[name].limits:
        value = float(policy.limit(limit).value)
        said = percent(value, 0) if PANELS[name].unit == "percentunit" else f"{value:g}"
        ax.axhline(value, color=FAIL, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
        ax.annotate(said, (1.0, value), xycoords=("axes fraction", "data"), xytext=(-2, 2),
                    textcoords="offset points", ha="right", va="bottom", color=FAIL,
                    fontsize=7.5)  # fmt: skip


def _from_zero(ax: Axes, *values: float, room: float = 1.3) -> None:
    ax.set_ylim(0.0, room * max(*values, ax.get_ylim()[1] / 1.05, 1e-9))


def _paint_latency(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    colours = {"p50": SERIES[2], "p95": GOOD, "p99": OTHER}
    return _paint_times(ax, day, policy, name="latency", colours=colours)


def _paint_beside(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    colours = {"champion": GOOD, "candidate": OTHER}
    known = {k: v for k, v in day.lines["beside"].items() if np.isfinite(v).any()}
    if "candidate" not in known:
        return False
    return _paint_times(ax, day, policy, name="beside", colours=colours)


def _paint_times(
    ax: Axes, day: DayPanels, policy: Policy, *, name: str, colours: Mapping[str, str]
) -> bool:
    is_drawn = _series(ax, day, day.lines[name], colours)
    if is_drawn:
        limit = float(policy.limit(PANELS[name].limits[0]).value)
        _limits(ax, name, policy)
        ax.set_yscale("log")
        low = min(float(np.nanmin(cells)) for cells in day.lines[name].values() if cells.size
                  and np.isfinite(cells).any())  # fmt: skip
        ax.set_ylim(max(low / 2.0, 1e-3), max(ax.get_ylim()[1], limit) * 6.0)
        _hours(ax)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(lambda *_: "")
    return is_drawn


def _paint_requests(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    del policy
    lines = {name.replace("_", " "): cells for name, cells in day.lines["requests"].items()}
    others = [name for name in lines if name not in ("success", "server error")]
    colours = {"success": GOOD, "server error": FAIL,
               **dict(zip(others, (OTHER, *SERIES[2:]), strict=False))}  # fmt: skip
    is_drawn = _series(ax, day, lines, colours)
    if is_drawn:
        _from_zero(ax)
        _hours(ax)
    return is_drawn


def _paint_version(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    del policy
    if not day.versions:
        return False
    *before, last = day.versions
    _stat(ax, last, f"before it {', '.join(before)}" if before else "all day", colour=INK)
    return True


def _paint_gates(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    """As the query of the dashboard: a number where something was scored and compared."""
    held = _held(day, policy)
    known = np.flatnonzero(np.isfinite(held))
    if not len(known):
        return False
    last = held[known[-1]]
    said = f"{int(np.nansum(held))} of {len(known)} quarters of an hour hold"
    _stat(ax, f"{last:.0f}", said, colour=GOOD if last else FAIL)
    return True


def _held(day: DayPanels, policy: Policy) -> Float1D:
    """1 where the limits hold that a scrape can see, 0 where not, NaN where not known."""
    limits = {name: float(policy.limit(name).value) for name in _SEEN}
    nothing = np.full(len(day.hours), np.nan)
    edges = {float(edge): cells for edge, cells in day.below_p95_limit.items()}
    within = edges.get(limits["canary.p95_ms"], nothing)
    match = day.lines["match"].get("newest rows", nothing)
    psi = np.nan_to_num(day.lines["psi_mean"].get("mean", nothing), nan=-1.0)
    good = (
        (within >= 0.95)
        & (day.errors < limits["canary.error_rate"])
        & (match >= limits["canary.match_rate"])
        & (psi < limits["psi.plain_overall"])
    )
    is_known = np.isfinite(within) & np.isfinite(day.errors) & np.isfinite(match)
    return np.where(is_known, good.astype(np.float64), np.nan)


def _paint_match(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    is_drawn = _series(ax, day, day.lines["match"], {"newest rows": GOOD})
    if is_drawn:
        _limits(ax, "match", policy)
        lowest = min(float(np.nanmin(day.lines["match"]["newest rows"])), 0.9)
        ax.set_ylim(lowest - 0.02, 1.01)
        _hours(ax, share=True)
    return is_drawn


def _paint_match_now(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    cells = day.lines["match"].get("newest rows", np.empty(0))
    known = cells[np.isfinite(cells)]
    if not len(known):
        return False
    limit, now = float(policy.limit(PANELS["match_now"].limits[0]).value), float(known[-1])
    ax.barh([0], [1.0], height=0.3, color=BAND)
    ax.barh([0], [now], height=0.3, color=GOOD if now >= limit else FAIL)
    ax.vlines(limit, -0.25, 0.25, color=FAIL, linewidth=1.4)
    ax.annotate(percent(limit, 0), (limit, -0.25), xytext=(0, -3), textcoords="offset points",
                ha="center", va="top", color=FAIL, fontsize=7.5)  # fmt: skip
    ax.text(0.0, 0.3, number(now, "%"), fontsize=15, color=INK, va="bottom")
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(-0.6, 0.9)
    ax.set_axis_off()
    ax.set_title("")
    return True


def _paint_compared(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    del policy
    match, mismatch = day.compared
    if not match + mismatch:
        return False
    _stat(ax, count(match), f"matched, {count(mismatch)} did not", colour=GOOD)
    return True


def _paint_delta(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    del policy
    if not day.deltas.size or not day.deltas.any():
        return False
    rows = [place for place, counts in enumerate(day.deltas) if counts.any()]
    top = max(rows) + 1
    shown = np.where(day.deltas[:top] > 0.0, np.log1p(day.deltas[:top]), np.nan)
    shade = shades("#d5e4f3", GOOD, "#06294d")
    ax.pcolormesh(np.linspace(0.0, 24.0, len(day.hours) + 1), np.arange(top + 1), shown,
                  cmap=shade, edgecolor=PAPER, linewidth=0.05)  # fmt: skip
    _hours(ax)
    ax.set_yticks(np.arange(top) + 0.5, [f"≤ {edge}".replace("+Inf", "1") for edge in
                                         day.delta_edges[:top]])  # fmt: skip
    ax.grid(visible=False)
    return True


def _paint_psi(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    lines = day.lines["psi"]
    most = {name: float(np.nanmax(cells)) for name, cells in lines.items()
            if np.isfinite(cells).any()}  # fmt: skip
    moved = sorted((name for name in most if name != "score"), key=lambda name: -most[name])
    colours = {"score": INK, **dict(zip(moved[:_NAMED], SERIES, strict=False))}
    return _paint_index(ax, day, policy, name="psi", colours=colours)


def _paint_psi_mean(ax: Axes, day: DayPanels, policy: Policy) -> bool:
    return _paint_index(ax, day, policy, name="psi_mean", colours={"mean": GOOD})


def _paint_index(
    ax: Axes, day: DayPanels, policy: Policy, *, name: str, colours: Mapping[str, str]
) -> bool:
    is_drawn = _series(ax, day, day.lines[name], colours)
    if is_drawn:
        _limits(ax, name, policy)
        _from_zero(ax, *(float(policy.limit(limit).value) for limit in PANELS[name].limits),
                   room=1.45)  # fmt: skip
        _hours(ax)
    return is_drawn


def _stat(ax: Axes, value: str, said: str, *, colour: str) -> None:
    """One number, and a few words below it."""
    size = 20.0 if len(value) <= 10 else 13.0
    ax.set_axis_off()
    ax.text(0.5, 0.56, value, transform=ax.transAxes, ha="center", va="center", color=colour,
            fontsize=size)  # fmt: skip
    ax.text(0.5, 0.26, said, transform=ax.transAxes, ha="center", va="center", color=QUIET,
            fontsize=8)  # fmt: skip


_PAINTS: Mapping[str, Paint] = {
    "latency": _paint_latency,
    "requests": _paint_requests,
    "version": _paint_version,
    "gates": _paint_gates,
    "match": _paint_match,
    "match_now": _paint_match_now,
    "compared": _paint_compared,
    "delta": _paint_delta,
    "beside": _paint_beside,
    "psi": _paint_psi,
    "psi_mean": _paint_psi_mean,
}
