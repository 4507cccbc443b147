"""Sentences: the decision, whether it can be repeated, and how numbers are written."""

from __future__ import annotations

from html import escape

from mlwb.gates import GATES, Decision, Replay
from mlwb.report._drift_rows import DriftRow, drift_rows, overall_row, score_row
from mlwb.report._drift_words import plainly, read_as
from mlwb.report._html import Html
from mlwb.report._judged import why
from mlwb.report._numbers import (
    bounded,
    count,
    count_of,
    duration,
    interval,
    moment,
    number,
    several,
    signed,
)
from mlwb.report._words import in_words, metric_unit, metric_words

__all__ = [
    "DriftRow",
    "bounded",
    "count",
    "count_of",
    "decision",
    "decision_mark",
    "drift_rows",
    "duration",
    "headline",
    "interval",
    "metric_unit",
    "metric_words",
    "moment",
    "named",
    "number",
    "overall_row",
    "plainly",
    "read_as",
    "replayed",
    "score_row",
    "several",
    "signed",
    "why",
]


def headline(decided: Decision, version: str, policy_name: str) -> str:
    """The decision in one sentence.

    Parameters
    ----------
    decided : Decision
        Of all gates.
    version : str
        Candidate.
    policy_name : str
        What it was judged by.

    Returns
    -------
    str

    Examples
    --------
    >>> headline(Decision(False, ("psi FAIL: too far",)), "v1.8.1", "default")
    'PROMOTE: BLOCKED. 1 of 16 gates blocks v1.8.1 under policy default: psi.'
    """
    gates = ", ".join(named(decided))
    n = len(decided.reasons)
    if decided.promote:
        waived = f"; the policy waives {gates}" if n else ""
        return f"PROMOTE: READY. {version} passes under policy {policy_name}{waived}."
    block = "blocks" if n == 1 else "block"
    return (
        f"PROMOTE: BLOCKED. {n} of {len(GATES)} gates {block} {version} "
        f"under policy {policy_name}: {gates}."
    )


def named(decided: Decision) -> tuple[str, ...]:
    """The gates a decision's reasons are about: those that block, or that the policy waives."""
    return tuple(reason.replace(":", " ").split(" ", 1)[0] for reason in decided.reasons)


def decision_mark(decided: Decision) -> tuple[str, str]:
    """Sign and tone of a decision; READY by waivers is marked as a warning, not as a pass."""
    if not decided.promote:
        return "✗", "fail"
    return ("△", "warn") if decided.reasons else ("✓", "pass")


def decision(decided: Decision, version: str, policy_name: str) -> Html:
    """The decision as a banner: a sentence, and a reason a gate; see :func:`headline`."""
    plain = headline(decided, version, policy_name)
    sign, tone = decision_mark(decided)
    verdict, _, rest = plain.partition(". ")
    reasons = [in_words(reason.partition("; ")[0]) for reason in decided.reasons]
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    listed = f"<ul>{items}</ul>" if items else ""
    html = (
        f'<div class="banner"><p class="headline {tone}">{sign} {escape(verdict)}</p>'
        f"<p>{escape(rest)}</p>{listed}</div>"
    )
    return Html(html, "\n".join([f"{sign} {plain}", *(f"  - {reason}" for reason in reasons)]))


def replayed(again: Replay) -> Html:
    """Whether the decision came out the same from the files alone."""
    if again.is_equal:
        n = len(again.verdicts)
        said = f"{several(n, 'verdict')}, computed again from the files alone: all the same."
        return Html(f'<p class="note"><span class="pass">✓ repeated</span> {said}</p>', f"✓ {said}")
    said = "The decision does not come out the same from the files."
    items = "".join(f"<li>{escape(item)}</li>" for item in again.differences)
    html = f'<p class="note"><span class="fail">✗ not repeated</span> {said}</p><ul>{items}</ul>'
    return Html(html, "\n".join([f"✗ {said}", *(f"  - {item}" for item in again.differences)]))
