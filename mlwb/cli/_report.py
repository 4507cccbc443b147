"""``mlwb report``: what happened while a version served."""

from __future__ import annotations

from typing import Any

import typer
from rich.markup import escape

from mlwb.cli._common import JsonFlag, PolicyOption, console, home, print_json
from mlwb.cli._run import STYLES
from mlwb.cli._shadow import StrictFlag
from mlwb.core.clock import SystemClock
from mlwb.evidence import Record
from mlwb.gates import Verdict
from mlwb.params import load_params

__all__ = ["app"]

app = typer.Typer(help="What happened while a version served.", no_args_is_help=True)

_RISK = {"OK": "green", "WARN": "yellow", "CRITICAL": "bold red"}
_STATE = {"quiet": "green", "raised": "bold red", "not measured": "yellow"}


@app.callback()
def _group() -> None:
    """What happened while a version served."""


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
    for item in record.details["questions"]:
        style = _STATE[item["state"]] if item["needed"] else "dim"
        said = f"  [{style}]{item['state']:<12}[/] {item['id']}: {escape(item['reason'])}"
        console.print(said, soft_wrap=True)
    style = STYLES[verdict.outcome]
    console.print(
        f"GATE validation: [{style}]{verdict.outcome}[/] {escape(verdict.reason)}", soft_wrap=True
    )
