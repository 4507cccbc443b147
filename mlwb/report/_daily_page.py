"""The page of a day, and of a week: risk in a word, what was asked, numbers, trends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from mlwb.evidence import Metric, Record
from mlwb.monitor import DayPanels, TradingDay, Week
from mlwb.params import Policy
from mlwb.report._daily_figure import trends
from mlwb.report._daily_money import money_section
from mlwb.report._daily_panels import panels
from mlwb.report._index_page import badge, facts
from mlwb.report._numbers import NOT_MEASURED, count, duration, interval, minute, number, several
from mlwb.report._page import page

__all__ = ["render_day", "render_week"]

_TONE = {"OK": ("✓", "pass"), "WARN": ("△", "warn"), "CRITICAL": ("✗", "fail")}
_STATE = {
    "raised": ("✗ beyond", "fail"),
    "warned": ("△ beyond the gate", "warn"),
    "quiet": ("✓ within", "pass"),
    "not measured": ("? not measured", "unproven"),
}
_NUMBERS = (
    ("rows", "Rows answered", "rows"),
    ("covered_h", "Hours with rows", "h"),
    ("error_rate", "Requests the server failed", "%"),
    ("p50_ms", "Median time of an answer", "ms"),
    ("p95_ms", "95 % of the answers within", "ms"),
    ("p99_ms", "99 % of the answers within", "ms"),
    ("score_mean", "Mean score", "1"),
    ("score_p50", "Median score", "1"),
    ("match_rate", "Candidate agrees", "%"),
    ("shadow_error_rate", "Candidate gave no score", "%"),
    ("rank_corr", "Rank correlation with the candidate", "1"),
    ("mean_abs_delta", "Mean absolute difference", "1"),
    ("prediction_psi", "PSI of the scores", "nats"),
    ("psi_highest", "Highest PSI of a feature or the scores", "nats"),
)
_SHOWN_GAPS = 12


def render_day(
    record: Record,
    rows: Sequence[Mapping[str, str]],
    policy: Policy,
    *,
    trading: Sequence[TradingDay] = (),
    dashboard: DayPanels | None = None,
) -> bytes:
    """The page of a day.

    Parameters
    ----------
    record : Record
        Of kind ``daily_report``.
    rows : sequence of mapping of str to str
        Days the trend shows, oldest first.
    policy : Policy
        Draws the limits of the trend.
    trading : sequence of TradingDay
        Trades of the version, oldest day first.
    dashboard : DayPanels, optional
        From looks at the counters of servers on that day.

    Returns
    -------
    bytes
        UTF-8, the same for the same record and rows.
    """
    details = record.details
    versions = ", ".join(f"{name} ({count(n)})" for name, n in sorted(details["versions"].items()))
    pairs = [
        ("Answered", versions or "nothing"),
        ("Candidate", details["candidate"] or "none was shown a row"),
        ("Drift check", details["drift_check"]["outcome"]),
        ("Told", f"{minute(record.timestamp)} UTC"),
    ]
    body = (
        f'<header><p class="brand">mlwb</p><h1>{escape(details["date"])}, UTC</h1>'
        f'<p class="small">{badge(record.origin)}</p>{facts(pairs)}'
        f'<div id="content">{_risk(details)}</div></header><main>'
        f'{_questions(details)}<section aria-labelledby="trend"><h2 id="trend">Trend</h2>'
        f"{trends(rows, policy)._repr_html_()}</section>"
        '<section aria-labelledby="dashboard"><h2 id="dashboard">Dashboard</h2>'
        f"{panels(dashboard, policy)._repr_html_()}</section>"
        f"{money_section(trading, policy)}{_numbers(record)}{_features(record)}{_gaps(details)}"
        f"{_unwatched(details)}</main>"
        f"<footer>Evidence <code>{escape(record.run_id)}</code></footer>"
    )
    return page(f"{details['risk']}: {details['date']}", body)


def render_week(week: Week, rows: Sequence[Mapping[str, str]], policy: Policy) -> bytes:
    """The page of seven days.

    Parameters
    ----------
    week : Week
        In one look.
    rows : sequence of mapping of str to str
        Its days, oldest first.
    policy : Policy
        Draws the limits of the trend.

    Returns
    -------
    bytes
        UTF-8.
    """
    sign, tone = _TONE[week.risk]
    risks = ", ".join(f"{several(week.risks[word], 'day')} {word}" for word in _TONE
                      if word in week.risks)  # fmt: skip
    match = NOT_MEASURED
    if week.compared:
        share = number(week.matched / week.compared, "%")
        bounds = interval(week.match_low, week.match_high, "%")
        match = f"{count(week.matched)} of {count(week.compared)}, {share} ({bounds})"
    pairs = [
        ("Days told", f"{week.days} of 7"),
        ("Rows answered", count(week.rows)),
        ("Hours with rows", number(week.covered_h, "h")),
        ("Candidate agrees", match),
        ("Slowest day's p95", number(week.p95_ms, "ms")),
    ]
    days = "".join(_day(row) for row in rows)
    body = (
        f'<header><p class="brand">mlwb</p><h1>{week.first} to {week.last}, UTC</h1>'
        f'{facts(pairs)}<div id="content"><section class="banner {tone}">'
        f'<h2 class="{tone}">{sign} {week.risk}</h2>'
        f"<p>{escape(risks) or 'No day of the week was told.'}</p></section></div></header><main>"
        f'<h2>Days</h2><div class="scroll" tabindex="0"><table><thead><tr><th scope="col">Date</th>'
        '<th scope="col">Risk</th><th scope="col" class="num">Rows</th>'
        '<th scope="col" class="num">Hours</th><th scope="col" class="num">p95</th>'
        '<th scope="col" class="num">Match</th><th scope="col" class="num">PSI of scores</th>'
        f"</tr></thead><tbody>{days}</tbody></table></div>"
        f"<h2>Trend</h2>{trends(rows, policy)._repr_html_()}</main>"
    )
    return page(f"{week.risk}: week to {week.last}", body)


def _day(row: Mapping[str, str]) -> str:
    sign, tone = _TONE.get(row["risk"], ("", "quiet"))
    units = (("rows", "rows"), ("covered_h", "h"), ("p95_ms", "ms"), ("match_rate", "%"),
             ("prediction_psi", "nats"))  # fmt: skip
    cells = "".join(
        f'<td class="num">{escape(number(float(row[name]) if row[name] else None, unit))}</td>'
        for name, unit in units
    )
    return (
        f'<tr><th scope="row">{escape(row["date"])}</th>'
        f'<td class="mark {tone}">{sign} {escape(row["risk"])}</td>{cells}</tr>'
    )


def _risk(details: Mapping[str, object]) -> str:
    risk = str(details["risk"])
    sign, tone = _TONE[risk]
    found = _asked(details)
    states = [item["state"] for item in found if item["needed"]]
    raised, warned = states.count("raised"), states.count("warned")
    unknown = states.count("not measured")
    parts = [
        f"{several(raised, 'limit')} of the policy broken" if raised else "",
        f"{several(warned, 'number')} beyond what a gate asks for" if warned else "",
        f"{several(unknown, 'number')} not measured" if unknown else "",
    ]
    said = "; ".join(filter(None, parts)) or "Every number that must be measured is within limits"
    return (
        f'<section class="banner {tone}" aria-label="Risk"><h2 class="{tone}">{sign} {risk}</h2>'
        f"<p>{escape(said)}.</p></section>"
    )


def _asked(details: Mapping[str, object]) -> list[dict[str, str]]:
    found = details["questions"]
    return list(found) if isinstance(found, (list, tuple)) else []


def _questions(details: Mapping[str, object]) -> str:
    rows = ""
    order = list(_STATE)
    for item in sorted(_asked(details), key=lambda item: order.index(item["state"])):
        said, tone = _STATE[item["state"]]
        tone = tone if item["needed"] else "quiet"
        rows += (
            f'<tr><th scope="row">{escape(item["id"])}</th><td class="mark {tone}">{said}</td>'
            f"<td>{escape(item['reason'])}</td></tr>"
        )
    return (
        '<section aria-labelledby="limits"><h2 id="limits">Limits</h2><div class="scroll" '
        'tabindex="0"><table><thead><tr><th scope="col">Limit</th><th scope="col">Status</th>'
        f'<th scope="col">Why</th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _numbers(record: Record) -> str:
    found = {metric.name: metric for metric in record.metrics if not metric.segment}
    rows = "".join(_line(found[name], said, unit) for name, said, unit in _NUMBERS if name in found)
    statuses = record.segments("requests")
    for status, metric in statuses.items():
        rows += _line(metric, f"Requests: {status.replace('_', ' ')}", "count")
    return (
        '<section aria-labelledby="numbers"><h2 id="numbers">Numbers</h2><div class="scroll" '
        'tabindex="0"><table><thead><tr><th scope="col">What</th><th scope="col" class="num">'
        'Value</th><th scope="col">Behind it</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _line(metric: Metric, said: str, unit: str) -> str:
    behind = metric.null_reason if metric.value is None else ""
    if metric.k is not None and metric.n:
        behind = f"{count(metric.k)} of {count(metric.n)}"
        if metric.ci:
            behind += f", 95 %: {interval(metric.ci.lo, metric.ci.hi, '%')}"
    elif metric.value is not None and metric.n:
        behind = f"n = {count(metric.n)}"
    return (
        f'<tr><th scope="row">{escape(said)}</th><td class="num">'
        f'{escape(number(metric.value, unit))}</td><td class="quiet">{escape(behind)}</td></tr>'
    )


def _features(record: Record) -> str:
    found = record.segments("psi")
    if not found:
        return ""
    rows = "".join(_line(metric, name, "nats") for name, metric in found.items())
    drift = record.details["drift_check"]
    return (
        '<section aria-labelledby="psi"><h2 id="psi">PSI of the day</h2>'
        '<p class="quiet small">The plain index of a single day, which chance alone can raise. '
        f"The drift check, which knows what chance does, says {escape(drift['outcome'])}: "
        f"{escape(drift['reason'])}.</p>"
        '<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">Feature</th>'
        '<th scope="col" class="num">PSI</th><th scope="col">Behind it</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _gaps(details: Mapping[str, object]) -> str:
    gaps = _pairs(details, "gaps")
    said = several(len(gaps), "silence")
    return _stretches("gaps", said, "", gaps)


def _unwatched(details: Mapping[str, object]) -> str:
    gaps = _pairs(details, "unwatched")
    said = "Counters were not looked at"
    why = (
        "Requests by status, and the share of errors, leave out what happened meanwhile on a "
        "server that was started anew."
    )
    return _stretches("unwatched", said, f'<p class="quiet small">{why}</p>', gaps)


def _pairs(details: Mapping[str, object], name: str) -> Sequence[tuple[str, str, float]]:
    """Stretches of the day; a record from before they were told has none."""
    found = details.get(name)
    return found if isinstance(found, (list, tuple)) else ()


def _stretches(name: str, said: str, why: str, gaps: Sequence[tuple[str, str, float]]) -> str:
    if not gaps:
        return ""
    items = "".join(
        f"<li>{escape(minute(start))} to {escape(minute(end))} UTC, {duration(length)}</li>"
        for start, end, length in gaps[:_SHOWN_GAPS]
    )
    more = len(gaps) - _SHOWN_GAPS
    rest = f'<p class="quiet small">and {count(more)} more</p>' if more > 0 else ""
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{said}</h2>{why}'
        f"<ul>{items}</ul>{rest}</section>"
    )
