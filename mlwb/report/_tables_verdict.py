"""Tables about traffic, evidence and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlwb.canary import Summary
from mlwb.evidence import Record
from mlwb.gates import Check, Outcome, Verdict
from mlwb.report._html import Html, escape, mark
from mlwb.report._judged import condense, expected, measured, telling, warnings, why
from mlwb.report._numbers import NOT_MEASURED, count, interval, number, several
from mlwb.report._table import Cell, Table, heads
from mlwb.stats import wilson

__all__ = ["checks", "phases", "records", "verdicts"]


def phases(summaries: Mapping[str, Summary]) -> Table:
    """Each test and phase: counts k of n with 95 % Wilson intervals, latencies of the client.

    Parameters
    ----------
    summaries : mapping of str to Summary
        In the order they ran.

    Returns
    -------
    Table
    """
    columns = heads(
        "phase", ">errors", ">95 %", ">p50, ms", ">p95, ms", ">p99, ms", ">agree", ">95 %",
        ">mean |Δ|",
    )  # fmt: skip
    rows = tuple(
        (
            name,
            *_rate(found.n_errors, found.n_requests),
            number(found.p50_ms, decimals=2),
            number(found.p95_ms, decimals=2),
            number(found.p99_ms, decimals=2),
            *_rate(found.n_matched, found.n_compared),
            number(found.mean_abs_delta, decimals=4) if found.n_compared else "",
        )
        for name, found in summaries.items()
    )
    return Table("Requests as the client saw them; agreement of the two scores", columns, rows)


def records(written: Sequence[Record]) -> Table:
    """What was written down, and the digest it can be checked by."""
    rows = tuple(
        (
            item.kind,
            count(len(item.metrics)),
            item.origin,
            _code(item.run_id),
            _code(item.sha256.removeprefix("sha256:")[:12]),
        )
        for item in written
    )
    columns = heads("evidence", ">numbers", "origin", "record", "sha256 begins")
    versions = ", ".join(sorted({item.model_version for item in written}))
    return Table(f"{several(len(rows), 'record')} of evidence about {versions}", columns, rows)


def verdicts(found: Sequence[Verdict]) -> Table:
    """One row a gate: outcome, the number that tells most, its limit, and why."""
    passed = sum(item.is_pass for item in found)
    columns = heads("gate", "outcome", "measured", ">limit", "why")
    rows = tuple(_verdict(item) for item in found)
    return Table(f"{passed} of {several(len(rows), 'gate')} passed", columns, rows)


def checks(found: Sequence[Verdict]) -> Table:
    """Every check behind the verdicts; segments that hold are shown by their tightest."""
    columns = heads("check", "outcome", "measured", ">limit", ">n")
    rows = tuple(
        _check(check, stands_for) for item in found for check, stands_for in condense(item.checks)
    )
    n_checks = sum(len(item.checks) for item in found)
    return Table(f"{several(n_checks, 'check')} of {several(len(found), 'gate')}", columns, rows)


def _rate(k: int, n: int) -> tuple[Cell, Cell]:
    if n == 0:
        return NOT_MEASURED, ""
    low, high = wilson(k, n)
    return f"{count(k)} of {count(n)}", interval(low, high, "%", decimals=2).replace(" to ", "–")


def _code(text: str) -> Html:
    return Html(f"<code>{escape(text)}</code>", text)


def _outcome(item: Verdict | Check) -> Html:
    said = mark(item.outcome)
    loose = "waived" if item.waived else "soft" if item.severity == "soft" else ""
    if item.outcome is Outcome.PASS or not loose:
        return said
    return Html(f'{said.html} <span class="quiet">({loose})</span>', f"{said.plain} ({loose})")


def _verdict(item: Verdict) -> tuple[Cell, ...]:
    check = telling(item)
    lines = [*why(item), *(f"△ warning: {said}" for said in warnings(item))]
    reasons = Html("<br>".join(map(escape, lines)), "; ".join(lines))
    if check is None:
        return item.gate, _outcome(item), NOT_MEASURED, "", reasons
    said = NOT_MEASURED if check.observed is None else measured(check)
    return item.gate, _outcome(item), said, expected(check), reasons


def _check(check: Check, stands_for: int) -> tuple[Cell, ...]:
    said = measured(check)
    if stands_for > 1:
        said += f", tightest of {stands_for}"
    n = "" if check.n is None else count(check.n)
    return check.id, _outcome(check), said, expected(check), n
