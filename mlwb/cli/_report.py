"""``mlwb report``: what happened while a version served."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape

from mlwb.cli import _report_pnl
from mlwb.cli._common import (
    JsonFlag,
    PolicyOption,
    console,
    errors,
    home,
    print_json,
    until_told,
)
from mlwb.cli._report_days import parse_day
from mlwb.cli._run import STYLES
from mlwb.cli._shadow import StrictFlag
from mlwb.core import fsops
from mlwb.core.clock import SystemClock
from mlwb.core.errors import MlwbError
from mlwb.evidence import Record
from mlwb.gates import Verdict
from mlwb.params import load_params

__all__ = ["add"]

app = typer.Typer(help="What happened while a version served.", no_args_is_help=True)
_report_pnl.add(app)

_RISK = {"OK": "green", "WARN": "yellow", "CRITICAL": "bold red"}
_STATE = {"quiet": "green", "raised": "bold red", "warned": "yellow", "not measured": "yellow"}


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="report")


@app.callback()
def _group() -> None:
    """What happened while a version served."""


@app.command("daily", epilog="Example: mlwb report daily --date 2026-01-31")
def _daily(
    day: Annotated[str, typer.Option("--date", help="UTC day that is over; else yesterday.")] = "",
    policy: PolicyOption = "policy.yml",
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell one UTC day, and record the validation window; exit 1 when the day was critical."""
    from mlwb.report.daily import render_day
    from mlwb.stages import daily_report, validation
    from mlwb.stages.common import policy_of

    params = load_params("daily_report", home().params, overrides={"run.policy": policy})
    clock, rules = SystemClock(), policy_of(params.run)
    inputs = daily_report.load(params, clock, parse_day(day) if day else None)
    (told,) = daily_report.record(inputs, daily_report.measure(inputs), params, clock)
    rows = _last(daily_report.history(params), params.report.trend_days, told.details["date"])
    file = home().outputs / "daily" / f"report_{told.details['date']}.html"
    fsops.make_dirs(file.parent)
    page = render_day(told, rows, rules, trading=inputs.trading, dashboard=inputs.panels)
    fsops.write_atomic(file, page)
    window: Record | None = None
    try:
        watched = validation.load(params, clock)
        (window,) = validation.record(watched, validation.measure(watched), params, clock)
    except MlwbError as error:  # the day stands, whatever the window lacks
        errors.print(f"[yellow]validation window[/] {escape(str(error))}", soft_wrap=True)
    if as_json:
        print_json({"record": told, "validation": window, "page": str(file)})
    else:
        _show_day(told)
        if window is not None:
            covered = f"{window.value('covered_h'):.2f} h covered until now"
            said = f"{escape(window.model_version)}, {covered}, {window.details['risk']}"
            console.print(f"[dim]validation[/] {said}", soft_wrap=True)
        console.print(f"[dim]report[/]     {escape(str(file))}", soft_wrap=True)
    risk = told.details["risk"]
    if risk == "CRITICAL" or (strict and risk != "OK"):
        raise typer.Exit(1)


@app.command("weekly", epilog="Example: mlwb report weekly --date 2026-01-31")
def _weekly(
    day: Annotated[str, typer.Option("--date", help="Its last UTC day; else yesterday.")] = "",
    policy: PolicyOption = "policy.yml",
    as_json: JsonFlag = False,
) -> None:
    """Seven days in one look, from the days that were told; exit 1 when one was critical."""
    from mlwb.monitor import week_of
    from mlwb.report.daily import render_week
    from mlwb.stages import daily_report
    from mlwb.stages.common import policy_of

    params = load_params("daily_report", home().params, overrides={"run.policy": policy})
    today = SystemClock().now().astimezone(UTC).date()
    last = parse_day(day) if day else today - timedelta(days=1)
    rows = daily_report.history(params)
    week = week_of(rows, last)
    file = home().outputs / "daily" / f"week_{last}.html"
    fsops.make_dirs(file.parent)
    shown = _last(rows, 7, str(last))
    fsops.write_atomic(file, render_week(week, shown, policy_of(params.run)))
    if as_json:
        print_json({"week": week, "risk": week.risk, "page": str(file)})
    else:
        told = f"{week.days} of 7 days told, {week.rows:,} rows"
        risk = f"[{_RISK[week.risk]}]{week.risk}[/]"
        console.print(f"{week.first} to {week.last} {risk}, {told}", soft_wrap=True)
        console.print(f"[dim]report[/] {escape(str(file))}", soft_wrap=True)
    if week.risk == "CRITICAL":
        raise typer.Exit(1)


@app.command("scrape", epilog="Example: mlwb report scrape --url http://127.0.0.1:4010")
def _scrape(
    url: Annotated[
        list[str] | None, typer.Option("--url", help="A running server; may be repeated.")
    ] = None,
    every: Annotated[
        float | None,
        typer.Option("--every", min=0.1, help="Again every so many seconds, until stopped."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Note what servers have counted, for the daily report; once a minute, by a timer or --every.

    With --every a server that does not answer is said and asked again.
    """
    urls = url or ["http://127.0.0.1:4010"]
    if every is None:
        _note(urls, as_json=as_json)
        return
    with until_told() as is_over:
        while not is_over.is_set():
            try:
                _note(urls, as_json=as_json)
            except MlwbError as error:
                errors.print(str(error), markup=False, soft_wrap=True)
            is_over.wait(every)


def _note(urls: list[str], *, as_json: bool) -> None:
    from mlwb.stages.scrape import scrape

    noted = scrape(home(), urls, SystemClock())
    if as_json:
        print_json({"series": noted})
    else:
        for target, n in noted.items():
            console.print(f"{escape(target)}: {n} counters", soft_wrap=True)


def _last(rows: list[dict[str, str]], n: int, last: str) -> list[dict[str, str]]:
    """Days of the span of `n` that ends with a date."""
    first = str(date.fromisoformat(last) - timedelta(days=n - 1))
    return [row for row in rows if first <= row["date"] <= last]


def _show_day(told: Record) -> None:
    details = told.details
    risk = details["risk"]
    rows = f"{told.value('rows'):,} rows, {told.value('covered_h'):.2f} h"
    console.print(f"{details['date']} [{_RISK[risk]}]{risk}[/], {rows}", soft_wrap=True)
    _show_questions(told)


@app.command("validation", epilog="Example: mlwb report validation")
def _validation(
    version: str = typer.Option("", "--version", help="Else the candidate, else `latest`."),
    policy: PolicyOption = "policy.yml",
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Record how long a version has been in place, and whether anything was critical.

    Exit 1 when a limit is broken.
    """
    from mlwb.stages import validation
    from mlwb.stages.common import policy_of

    overrides: dict[str, Any] = {"run.policy": policy, "run.model_version": version}
    params = load_params("daily_report", home().params, overrides=overrides)
    clock = SystemClock()
    inputs = validation.load(params, clock)
    (record,) = validation.record(inputs, validation.measure(inputs), params, clock)
    (verdict,) = validation.judge([record], policy_of(params.run), clock)
    if as_json:
        print_json({"record": record, "verdict": verdict})
    else:
        _show(record, verdict)
    if record.value("critical_alerts") or (strict and not verdict.is_pass):
        raise typer.Exit(1)


def _show(record: Record, verdict: Verdict) -> None:
    risk = record.details["risk"]
    console.print(
        f"[bold]{escape(record.model_version)}[/] [{_RISK[risk]}]{risk}[/], "
        f"{record.value('covered_h'):.2f} h covered until now, {record.value('rows'):,} rows",
        soft_wrap=True,
    )
    _show_questions(record)
    style = STYLES[verdict.outcome]
    console.print(
        f"GATE validation: [{style}]{verdict.outcome}[/] {escape(verdict.reason)}", soft_wrap=True
    )


def _show_questions(record: Record) -> None:
    for item in record.details["questions"]:
        style = _STATE[item["state"]] if item["needed"] else "dim"
        said = f"  [{style}]{item['state']:<12}[/] {item['id']}: {escape(item['reason'])}"
        console.print(said, soft_wrap=True)
