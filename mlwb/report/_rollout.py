"""A rollout judged after every request: its picture, its table, its sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlwb.canary import Judgement, Outcome
from mlwb.core.arrays import Float1D, Int1D
from mlwb.report._figure import Figure, draw, limit_line, quiet_axes, shades, unmeasured
from mlwb.report._html import Html
from mlwb.report._numbers import count, interval, number, several
from mlwb.report._sentences import concluded, listed
from mlwb.report._style import FAIL, GOOD, QUIET
from mlwb.report._table import Table, heads
from mlwb.stats import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["QUESTIONS", "rollout_conclusion", "rollout_figure", "rollout_table"]

QUESTIONS = {
    "error": "requests that failed",
    "slow": "answers slower than the limit",
    "candidate_error": "requests that the candidate failed",
    "candidate_slow": "candidate slower than its limit",
    "mismatch": "scores further apart than the match limit",
}
"""What each question counts."""
_TOP = 7.0
"""Natural logarithm of the e-value at which the picture ends: beyond, nothing changes."""


def rollout_figure(found: Judgement) -> Figure:
    """Evidence against the rollout, and evidence that it is within its limits, by request.

    Parameters
    ----------
    found : Judgement
        Of all phases together.

    Returns
    -------
    Figure
    """
    n = len(found.path)
    if n == 0:
        return unmeasured("Rollout", "No request was sent.")
    highest, line = float(found.path.max()), math.exp(found.line)
    side = "crossed" if highest >= found.line else "never came near"
    if 0.5 * found.line < highest < found.line:
        side = "came near"
    title = (
        f"Evidence against the rollout {side} the line of {line:g}: the highest e-value in "
        f"{several(n, 'request')} is {_e_value(highest)}"
    )
    subtitle = (
        f"Left: e-value against it, all questions together; right: e-values that each rate is "
        f"below its limit; each may be looked at after any request; line: {line:g}"
    )

    def paint(drawing: Drawing) -> None:
        left, right = drawing.subplots(1, 2, sharex=True)
        x = np.arange(1, n + 1)
        _steps(left, x, found.path, colour=FAIL if highest >= found.line else GOOD)
        left.set_ylabel("e-value against the rollout")
        _by_question(right, x, found)
        right.set_ylabel("e-value for it")
        for ax in (left, right):
            limit_line(ax, found.line, f"{line:g}", horizontal=True)
            ax.set_ylim(-4.0, _TOP + 0.5)
            ax.set_yticks([math.log(e) for e in (0.1, 1, 10, 100, 1000)])
            ax.set_yticklabels(["0.1", "1", "10", "100", "1000"])
            ax.set_xscale("log")
            ax.set_xlabel("requests (logarithmic)")
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            quiet_axes(ax, grid="y")

    return draw(paint, title=title, subtitle=subtitle)


def rollout_table(found: Judgement) -> Table:
    """Each question: counts with Wilson intervals, and when its answer was certain."""
    rows = tuple(
        (
            QUESTIONS.get(finding.name, finding.name),
            f"{count(finding.k)} of {count(finding.n)}",
            interval(*wilson(finding.k, finding.n), "%") if finding.n else "",
            _e_value(finding.log_e_stop),
            _e_value(finding.log_e_shown),
            _when(finding.shown_at),
        )
        for finding in found.findings
    )
    columns = heads(
        "question", ">beyond the limit", ">95 %", ">e-value against", ">e-value for", ">shown"
    )
    return Table(f"Judged as if looked at after each of {count(found.at)} requests", columns, rows)


def rollout_conclusion(found: Judgement, *, fixed: str) -> Html:
    """The decision in a sentence, and what fixed phases would have said.

    Parameters
    ----------
    found : Judgement
        Of all phases together.
    fixed : str
        Why plain numbers at the end of a phase would have stopped it, or empty.
    """
    total = several(len(found.path), "request")
    if found.outcome is Outcome.ABORT:
        what = QUESTIONS.get(found.leading, found.leading)
        said = f"Stop after {count(found.at)} of {total}: {what}, beyond what chance explains"
    elif found.outcome is Outcome.CERTIFIED:
        said = f"Every rate was shown to be within its limit after {count(found.at)} of {total}"
    else:
        open_ = [QUESTIONS[f.name] for f in found.findings if f.shown_at is None]
        said = f"Nothing speaks against it after {total}, and not enough for it: {listed(open_)}"
    rule = f"would have stopped it ({fixed})" if fixed else "would have let it through"
    chance = number(math.exp(-found.line), "%")
    return concluded(
        f"{said}. Plain numbers at the end of each phase {rule}. A rollout within its limits is "
        f"ever stopped by this judgement with a probability of {chance} at most."
    )


def _steps(ax: Axes, x: Int1D, path: Float1D, *, colour: Any, label: str = "") -> None:
    ax.plot(x, np.minimum(path, _TOP), color=colour, linewidth=1.3, drawstyle="steps-post",
            label=label)  # fmt: skip


def _by_question(ax: Axes, x: Int1D, found: Judgement) -> None:
    shade = shades("#8db8e2", GOOD, "#06294d")
    first = {finding.name: finding.shown_at for finding in found.findings}
    for place, (name, path) in enumerate(found.shown.items()):
        when = _when(first[name])
        _steps(ax, x, path, colour=shade(place / max(len(found.shown) - 1, 1)),
               label=f"{name.replace('_', ' ')}: {when}")  # fmt: skip
    ax.legend(loc="upper left", fontsize=8, frameon=False, labelcolor=QUIET, handlelength=1.2)


def _when(shown_at: int | None) -> str:
    return "not yet" if shown_at is None else f"after {count(shown_at)}"


def _e_value(log_value: float) -> str:
    value = math.exp(min(log_value, 50.0))
    return "> 1000" if value > 1000.0 else f"{value:.3g}" if value >= 0.001 else "< 0.001"
