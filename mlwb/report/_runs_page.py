"""All runs on one page, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mlwb.gates import GATES, Outcome
from mlwb.report._html import SYMBOLS
from mlwb.report._index_page import badge, link
from mlwb.report._index_view import RunEntry
from mlwb.report._numbers import count, duration, minute, number, several
from mlwb.report._page import page

__all__ = ["render_runs"]

_SIGNS = {"READY": ("✓", "pass"), "BLOCKED": ("✗", "fail"), "STOPPED": ("!", "warn")}
_TREND_RUNS = 60


def render_runs(entries: Sequence[RunEntry]) -> bytes:
    """The list of all runs with a strip of verdicts each.

    Parameters
    ----------
    entries : sequence of RunEntry
        In any order.

    Returns
    -------
    bytes
        UTF-8, the same for the same runs.
    """
    ordered = sorted(entries, key=lambda entry: (entry.started, entry.run_id), reverse=True)
    if not ordered:
        body = '<p id="content">No run yet. Start one: <code>mlwb run</code></p>'
        return page("Runs", f'<header><p class="brand">mlwb</p><h1>Runs</h1></header>{body}')
    rows = "".join(_row(entry) for entry in ordered)
    legend = ", ".join(f"{sign} {name}" for name, sign in SYMBOLS.items())
    body = (
        '<header><p class="brand">mlwb</p><h1>Runs</h1>'
        f"<p>{_sentence(ordered)}</p></header>"
        f'<main id="content">{_trend(ordered)}<div class="scroll" tabindex="0"><table class="runs">'
        f"<caption>Newest first. One sign a gate, in the order of the matrix: {legend}</caption>"
        '<thead><tr><th scope="col">Started, UTC</th><th scope="col">Decision</th>'
        '<th scope="col">Candidate</th><th scope="col">Market</th><th scope="col">Policy</th>'
        '<th scope="col">Gates</th><th scope="col" class="num">AUC</th>'
        '<th scope="col" class="num">Took</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></main>"
    )
    return page("Runs", body)


def _sentence(ordered: Sequence[RunEntry]) -> str:
    newest = ordered[0]
    allowed = sum(entry.decision == "READY" for entry in ordered)
    return (
        f"{several(len(ordered), 'run')}; {count(allowed)} allowed a promotion. The newest is "
        f"{escape(newest.decision)}: {_passed(newest)} of {len(newest.outcomes)} gates pass."
    )


def _row(entry: RunEntry) -> str:
    sign, tone = _SIGNS.get(entry.decision, ("", "quiet"))
    market = f"{escape(entry.symbol)} {badge(entry.origin)}" if entry.symbol else ""
    return (
        f'<tr><th scope="row">{link(entry.href, minute(entry.started))}</th>'
        f'<td><span class="mark {tone}">{sign} {escape(entry.decision)}</span></td>'
        f"<td>{escape(entry.candidate)}</td><td>{market}</td><td>{escape(entry.policy_name)}</td>"
        f'<td>{_strip(entry)}</td><td class="num">{escape(number(entry.auc))}</td>'
        f'<td class="num">{escape(duration(round(entry.seconds)))}</td></tr>'
    )


def _strip(entry: RunEntry) -> str:
    signs = "".join(
        f'<span class="{outcome.lower()}" title="{escape(gate)}: {outcome}">'
        f"{SYMBOLS[outcome]}</span>"
        for gate, outcome in sorted(entry.outcomes, key=_place)
    )
    said = f"{_passed(entry)} of {len(entry.outcomes)} gates pass"
    return f'<span class="strip" role="img" aria-label="{said}">{signs}</span>'


def _place(item: tuple[str, Outcome]) -> int:
    return GATES.index(item[0]) if item[0] in GATES else len(GATES)


def _passed(entry: RunEntry) -> int:
    return sum(outcome == "PASS" for _, outcome in entry.outcomes)


def _trend(ordered: Sequence[RunEntry]) -> str:
    """Passing gates run by run, oldest first, drawn without loading anything."""
    shown = list(reversed(ordered[:_TREND_RUNS]))
    if len(shown) < 2:
        return ""
    most = max(len(entry.outcomes) for entry in shown) or 1
    points = [
        (100.0 * i / (len(shown) - 1), 30.0 - 30.0 * _passed(entry) / most)
        for i, entry in enumerate(shown)
    ]
    line = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    span = f"from {_passed(shown[0])} to {_passed(shown[-1])} of {most}"
    said = f"Gates that pass, oldest run to newest: {span}"
    return (
        f'<p class="quiet small">{said}</p>'
        f'<svg class="trend" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}"><line x1="0" y1="30" x2="100" y2="30"/>'
        f'<line x1="0" y1="0" x2="100" y2="0"/><polyline points="{line}"/></svg>'
    )
