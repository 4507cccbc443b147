"""One run on one page: decision first, then the gates, then the numbers, then everything else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from mlwb.core.clock import parse_utc
from mlwb.gates import GATES, Decision, Verdict, holds
from mlwb.report._html import mark, word
from mlwb.report._index_view import IndexView, KeyNumber, MarketFacts, ReportLink, Stopped
from mlwb.report._judged import beside, expected, measured, plainly, telling, warnings, why
from mlwb.report._numbers import (
    NOT_MEASURED,
    bounded,
    count,
    duration,
    interval,
    minute,
    number,
    signed,
)
from mlwb.report._page import page
from mlwb.report._tables_data import findings_table
from mlwb.report._words import gate_words, in_words
from mlwb.report.text import decision_mark, headline, named

__all__ = ["badge", "facts", "link", "render_index"]

_ORIGINS = {
    "simulated": "The market is made by a seeded simulator; no number here says anything about a "
    "real one.",
    "replay": "Recorded market data, played back.",
    "live": "Live market data.",
}
_GLOSSARY = (
    ("AUC", "How often a row with label 1 scores above one with label 0; one half is chance."),
    ("PSI", "Population stability index: how far a distribution moved from that of training."),
    ("p95", "95 % of requests were faster."),
    ("shadow", "The candidate computes beside the champion; its answer is not used."),
    ("canary", "The candidate sees a growing share of the traffic, phase by phase."),
    ("UNPROVEN", "The evidence is too thin to tell. Only PASS passes."),
    ("MISSING, STALE", "There is no such evidence, or it is too old."),
)


def render_index(view: IndexView) -> bytes:
    """The page of a run.

    Parameters
    ----------
    view : IndexView
        What is shown; every text is escaped.

    Returns
    -------
    bytes
        UTF-8, the same for the same view; loads nothing from anywhere.
    """
    symbol = view.market.symbol if view.market else ""
    title = " on ".join(filter(None, [view.candidate, symbol])) or "Run"
    sections = (
        _header(view, title),
        "<main>",
        _gates(view),
        _numbers(view.numbers),
        _reports(view.reports),
        _commands(view),
        _provenance(view),
        "</main>",
        f"<footer>Run <code>{escape(view.run_id)}</code></footer>",
    )
    return page(f"{_short(view)}: {title}", "\n".join(filter(None, sections)))


def badge(origin: str) -> str:
    """Where the numbers come from, as a badge."""
    said = _ORIGINS.get(origin, "")
    return f'<span class="badge {escape(origin)}" title="{said}">{escape(origin.upper())}</span>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values in a list."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in pairs
        if value
    )
    return f'<dl class="facts">{items}</dl>'


def link(file: str, said: str) -> str:
    """A link to a file beside the page; whatever the name holds, it leads nowhere else."""
    return f'<a href="{escape(quote(file.lstrip("/")))}">{escape(said)}</a>'


def _short(view: IndexView) -> str:
    if view.decision is None:
        return "STOPPED"
    return "PROMOTE" if view.decision.promote else "BLOCKED"


def _header(view: IndexView, title: str) -> str:
    took = (parse_utc(view.finished) - parse_utc(view.started)).total_seconds()
    pairs = [
        ("Candidate", view.candidate),
        ("Champion", view.champion),
        ("Policy", view.policy_name),
        ("Finished", f"{minute(view.finished)} UTC, after {duration(took)}"),
    ]
    stopped = _stopped(view.stopped) if view.stopped else ""
    decided = _decision(view.decision, view) if view.decision else ""
    return (
        f'<header><p class="brand">mlwb</p><h1>{escape(title)}</h1>{_market(view.market)}'
        f'{facts(pairs)}<div id="content">{stopped}{decided}</div></header>'
    )


def _market(market: MarketFacts | None) -> str:
    if market is None:
        return ""
    note = _ORIGINS.get(market.origin, "")
    return (
        f'<p class="small">{badge(market.origin)} '
        f"{count(market.rows)} bars, {escape(minute(market.first_utc))} to "
        f"{escape(minute(market.last_utc))} UTC. "
        f'<span class="quiet">{note}</span></p>'
    )


def _decision(decided: Decision, view: IndexView) -> str:
    verdict, _, rest = headline(decided, view.candidate, view.policy_name).partition(". ")
    sign, tone = decision_mark(decided)
    said = escape(rest)
    if not decided.promote:
        shown = {verdict.gate for verdict in view.verdicts}
        gates = ", ".join(_jump(gate) if gate in shown else escape(gate) for gate in named(decided))
        said = f"{escape(rest.rpartition(': ')[0])}: {gates}."
    return (
        f'<section class="banner {tone}" aria-label="Decision">'
        f'<h2 class="{tone}">{sign} {escape(verdict)}</h2><p>{said}</p></section>'
    )


def _jump(gate: str) -> str:
    return f'<a href="#gate-{escape(gate)}">{escape(gate)}</a>'


def _stopped(stopped: Stopped) -> str:
    table = ""
    if stopped.findings:
        shown = findings_table(stopped.findings)._repr_html_()
        table = f'<div class="scroll" tabindex="0">{shown}</div>'
    return (
        '<section class="banner fail" aria-label="The run stopped">'
        f'<h2 class="fail">✗ NO DECISION: the run stopped at “{escape(stopped.step)}”</h2>'
        f"<p>{escape(in_words(stopped.message))}</p>"
        f'<p class="quiet small">{escape(stopped.error)}; nothing after this step was done, and '
        f"latest was not touched.</p>{table}</section>"
    )


def _gates(view: IndexView) -> str:
    verdicts = view.verdicts
    if not verdicts:
        return ""
    blocking = named(view.decision) if view.decision and not view.decision.promote else ()
    passed = sum(verdict.is_pass for verdict in verdicts)
    rows = "".join(_gate(verdict, blocks=verdict.gate in blocking) for verdict in verdicts)
    missing = len(GATES) - len(verdicts)
    note = f"; {missing} were not asked" if missing > 0 else ""
    return (
        f'<section aria-labelledby="gates"><h2 id="gates">Gates: {passed} of {len(verdicts)} '
        f'pass{note}</h2><div class="scroll" tabindex="0"><table class="gates"><thead><tr>'
        '<th scope="col">Check</th><th scope="col">Status</th><th scope="col">Expected</th>'
        f'<th scope="col">Measured</th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _gate(verdict: Verdict, *, blocks: bool) -> str:
    check = telling(verdict)
    told = plainly(check) if check else ""
    lines = [line for line in why(verdict) if line != told]
    lines += [f"△ warning: {said}" for said in warnings(verdict)]
    loose = "waived" if verdict.waived else "soft" if verdict.severity == "soft" else ""
    role = f' <span class="quiet">({loose})</span>' if loose else ""
    said = measured(check) if check else NOT_MEASURED
    if check is not None and check.observed is None:
        said = lines.pop(0)
    gate = escape(verdict.gate)
    reasons = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return (
        f'<tr id="gate-{gate}"{" class=blocks" if blocks else ""}><th scope="row"><b>{gate}</b>'
        f"<span>{escape(gate_words(verdict.gate))}</span>"
        f'</th><td class="mark">{mark(verdict.outcome, word(verdict.outcome)).html}{role}</td>'
        f"<td>{escape(expected(check)) if check else ''}</td>"
        f'<td>{escape(said)}<ul class="why">{reasons}</ul></td></tr>'
    )


def _numbers(numbers: tuple[KeyNumber, ...]) -> str:
    if not numbers:
        return ""
    cards = "".join(f"<li>{_card(item)}</li>" for item in numbers)
    note = ""
    if all(item.previous is None for item in numbers):
        note = '<p class="quiet small">There is no earlier run like this one to compare with.</p>'
    return (
        '<section aria-labelledby="numbers"><h2 id="numbers">Key numbers</h2>'
        f'{note}<ul class="cards">{cards}</ul></section>'
    )


def _card(item: KeyNumber) -> str:
    name = f"<h3>{escape(item.name)}</h3>"
    rule = bounded(item.comparator, item.limit, item.unit) if item.limit else ""
    if item.value is None:
        limit = f'<p class="quiet">limit {escape(rule)}</p>' if rule else ""
        return f'{name}<p class="value absent">{NOT_MEASURED}</p>{limit}'
    shown = number(item.value, item.unit)
    if rule:
        shown = beside(item.value, item.comparator, item.limit, unit=item.unit)
    parts = [f'<p class="value">{escape(shown)}</p>']
    if rule:
        kept = holds(float(item.value), item.comparator, item.limit)
        tone, said = ("good", "✓ within") if kept else ("bad", "✗ misses")
        parts.append(f'<p><span class="mark {tone}">{said}</span> the limit {escape(rule)}</p>')
    known = []
    if item.low is not None and item.high is not None:
        known.append(f"95 %: {interval(item.low, item.high, item.unit)}")
    if item.n is not None:
        known.append(f"n = {count(item.n)}")
    parts.append(f'<p class="quiet">{escape(" · ".join(known))}</p>' if known else "")
    return name + "".join(parts) + _change(item)


def _change(item: KeyNumber) -> str:
    if item.previous is None or item.value is None:
        return ""
    moved = item.value - item.previous
    said = number(item.previous, item.unit)
    if number(item.value, item.unit) == said or moved == 0.0:
        return f'<p class="quiet">= as in the run before ({escape(said)})</p>'
    arrow, is_up = ("▲", True) if moved > 0.0 else ("▼", False)
    tone, meaning = _meaning(item, is_up=is_up)
    change = (
        f"{signed(100 * moved, decimals=1)} points"
        if item.unit == "%"
        else signed(moved, item.unit)
    )
    return (
        f'<p><span class="{tone}">{arrow} {escape(change)}, {meaning}</span> '
        f'<span class="quiet">(was {escape(said)})</span></p>'
    )


def _meaning(item: KeyNumber, *, is_up: bool) -> tuple[str, str]:
    """Better or worse is said only of a change the interval does not cover."""
    if item.low is None or item.high is None or item.previous is None or not item.comparator:
        return "quiet", "up" if is_up else "down"
    if item.low <= item.previous <= item.high:
        return "quiet", "within the interval"
    is_better = is_up is item.comparator.startswith(">")
    return ("good", "better") if is_better else ("bad", "worse")


def _reports(reports: tuple[ReportLink, ...]) -> str:
    if not reports:
        return ""
    rows = "".join(_report(item) for item in reports)
    return (
        '<section aria-labelledby="reports"><h2 id="reports">Reports</h2><table><thead><tr>'
        '<th scope="col">Step</th><th scope="col">Status</th><th scope="col" class="num">Took</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _report(item: ReportLink) -> str:
    title = link(item.file, item.title) if item.file else escape(item.title)
    sign, tone = {"ok": ("✓", "pass"), "failed": ("✗", "fail")}.get(item.status, ("–", "quiet"))
    took = "" if item.seconds is None else number(item.seconds, "s")
    return (
        f'<tr><th scope="row">{title}</th><td><span class="mark {tone}">{sign} '
        f'{escape(item.status)}</span></td><td class="num">{escape(took)}</td></tr>'
    )


def _commands(view: IndexView) -> str:
    if not view.commands:
        return ""
    items = "".join(
        f"<p>{escape(item.about)}</p><pre>{escape(item.text)}</pre>" for item in view.commands
    )
    return f'<section aria-labelledby="next"><h2 id="next">What next</h2>{items}</section>'


def _provenance(view: IndexView) -> str:
    pairs = [
        ("Run", view.run_id),
        ("Started", view.started),
        ("Finished", view.finished),
        ("Policy digest", view.policy_digest),
        *view.provenance,
    ]
    words = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(said)}</dd></div>" for name, said in _GLOSSARY
    )
    return (
        f"<details><summary>Where these numbers come from</summary>{facts(pairs)}</details>"
        f'<details><summary>Words used here</summary><dl class="facts">{words}</dl></details>'
    )
