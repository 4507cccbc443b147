"""The last days in one picture: six numbers, a panel each, with the policy's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.params import Policy
from mlwb.report._figure import (
    Figure,
    dates,
    draw,
    grouped,
    limit_line,
    percent,
    quiet_axes,
    unmeasured,
)
from mlwb.report._numbers import several
from mlwb.report._style import FAIL, GOOD, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["trends"]

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class _Panel:
    name: str
    title: str
    limit: str = ""
    is_share: bool = False


_PANELS = (
    _Panel("rows", "rows answered"),
    _Panel("covered_h", "hours with rows"),
    _Panel("p95_ms", "p95 of the answer, ms", "perf.p95_ms"),
    _Panel("match_rate", "match rate", "shadow.match_rate", is_share=True),
    _Panel("rank_corr", "rank correlation", "shadow.rank_corr"),
    _Panel("prediction_psi", "PSI of the scores", "rollback.prediction_psi"),
)


def trends(rows: Sequence[Mapping[str, str]], policy: Policy) -> Figure:
    """Six numbers of the last days; a day without one is a hole in its line.

    Parameters
    ----------
    rows : sequence of mapping of str to str
        Rows of the table of daily reports, oldest first.
    policy : Policy
        Draws the limits.

    Returns
    -------
    Figure
    """
    if len(rows) < 2:
        return unmeasured("Trend", "It takes two days to see one.")
    risks = [row["risk"] for row in rows]
    counts = {word: risks.count(word) for word in ("OK", "WARN", "CRITICAL")}
    said = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    title = f"{several(len(rows), 'day')}: {said}"
    subtitle = (
        f"{rows[0]['date']} to {rows[-1]['date']}, UTC days; red line: limit of the policy, "
        "red dot: beyond it, no dot: not measured"
    )

    def paint(drawing: Drawing) -> None:
        for place, (ax, panel) in enumerate(
            zip(drawing.subplots(3, 2, sharex=True).flat, _PANELS, strict=True)
        ):
            _paint(ax, panel, rows, policy)
            if place >= len(_PANELS) - 2:
                dates(ax)

    return draw(paint, title=title, subtitle=subtitle, height=560)


def _paint(ax: Axes, panel: _Panel, rows: Sequence[Mapping[str, str]], policy: Policy) -> None:
    x, y = _series(rows, panel.name)
    ax.plot(x, y, color=GOOD, marker="o", markersize=3.5)
    ax.set_title(panel.title, color=QUIET)
    if panel.limit:
        bound, below = _limit(policy, panel.limit)
        said = percent(bound, 0) if panel.is_share else f"{bound:g}"
        limit_line(ax, bound, said, horizontal=True)
        with np.errstate(invalid="ignore"):
            beyond = y > bound if below else y < bound
        ax.plot(x[beyond], y[beyond], "o", color=FAIL, markersize=5, linestyle="none")
    elif not np.isnan(y).all():
        ax.set_ylim(0.0, 1.1 * max(float(np.nanmax(y)), 1.0))
    if np.isnan(y).all():
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", color=QUIET)
    ax.yaxis.set_major_formatter(percent if panel.is_share else grouped)
    ax.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    quiet_axes(ax, grid="y")


def _limit(policy: Policy, name: str) -> tuple[float, bool]:
    """A number, and whether values must stay below it."""
    group = {limit.id: limit for limit in policy.watch["rollback"]}
    found = group[name] if name in group else policy.limit(name)
    return float(found.value), found.comparator in ("<", "<=")


def _series(rows: Sequence[Mapping[str, str]], name: str) -> tuple[Float1D, Float1D]:
    """Every day from the first to the last, NaN where there is no number."""
    by_day = {date.fromisoformat(row["date"]).toordinal() - _EPOCH: row[name] for row in rows}
    days = np.arange(min(by_day), max(by_day) + 1)
    values = [float(by_day.get(int(day)) or "nan") for day in days]
    return days.astype(np.float64), np.asarray(values, dtype=np.float64)
