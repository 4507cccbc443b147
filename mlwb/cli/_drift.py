"""``mlwb drift``: the rows a server counted, judged every day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import JsonFlag, PolicyOption, ProfileOption, console, home, print_json
from mlwb.cli._run import STYLES
from mlwb.core.clock import SystemClock
from mlwb.gates import Outcome, Verdict
from mlwb.params import load_params

if TYPE_CHECKING:
    from mlwb.evidence import Record

__all__ = ["add"]

app = typer.Typer(help="Drift of the rows that are served.", no_args_is_help=True)


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="drift")


@app.callback()
def _group() -> None:
    """Drift of the rows that are served."""


@app.command("check", epilog="Example: mlwb drift check --days 7")
def _check(
    days: Annotated[
        int | None, typer.Option(help="UTC days of the rolling window, 1 to 31; else 7.")
    ] = None,
    version: Annotated[str, typer.Option("--version", help="Else the one in `latest`.")] = "",
    policy: PolicyOption = "policy.yml",
    profile: ProfileOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Judge what was served until yesterday; exit 1 when a limit says drift. Run it daily."""
    from mlwb.stages import drift_check
    from mlwb.stages.common import policy_of

    overrides: dict[str, Any] = {"run.policy": policy, "run.model_version": version}
    if days is not None:
        overrides["check.rolling_days"] = days
    params = load_params("drift_check", home().params, profile=profile, overrides=overrides)
    clock = SystemClock()
    inputs = drift_check.load(params, clock)
    (record,) = drift_check.record(inputs, drift_check.measure(inputs), params, clock)
    verdict = drift_check.judge([record], policy_of(params.run), clock)
    if as_json:
        print_json({"record": record, "verdict": verdict})
    else:
        _show(record, verdict)
    if verdict.outcome is Outcome.FAIL:
        raise typer.Exit(1)


def _show(record: Record, verdict: Verdict) -> None:
    days, passed_over = record.details["rolling_days"], record.details["partial_days"]
    said = (
        f"{record.value('rows')} rows served, {days[0]} to {days[-1]}"
        if days
        else "no full UTC day to judge yet; a day is judged when it is over"
    )
    console.print(f"{record.model_version}: {said}", highlight=False)
    if passed_over:
        console.print(f"[dim]not judged, less than three quarters of a day: {passed_over[-1]}")
    if days:
        console.print(_table(record, verdict))
    features = record.segments("psi")
    for check in verdict.checks:
        if check.segment not in features and (days or check.observed is not None):
            style = STYLES[check.outcome]
            line = f"  [{style}]{check.outcome:<9}[/] {escape(check.reason)}"
            console.print(
                line + ("" if check.is_binding else " [dim](blocks nothing)[/]"), soft_wrap=True
            )
    reason = verdict.reason if days or verdict.outcome is not Outcome.UNPROVEN else "too few days"
    console.print(f"DRIFT CHECK: [{STYLES[verdict.outcome]}]{verdict.outcome}[/] {escape(reason)}")


def _table(record: Record, verdict: Verdict) -> Table:
    """One row a feature."""
    table = Table(box=None, header_style="dim")
    for column in ("feature", "PSI", "at most", "by chance", "last day", "e-value", "reading"):
        is_text = column in ("feature", "reading")
        table.add_column(
            column,
            justify="left" if is_text else "right",
            no_wrap=column != "feature",
            overflow="fold",
        )
    for name in record.segments("psi"):
        table.add_row(
            escape(name),
            *(
                _number(record, metric, name)
                for metric in ("psi", "psi_upper", "psi_null95", "psi_day", "e_value")
            ),
            _reading(record, verdict, name),
        )
    return table


def _reading(record: Record, verdict: Verdict, name: str) -> str:
    """What was said of one feature, the worst first."""
    if record.value("psi", name) is None:
        return "[dim]not measured[/]"
    if not record.value("gateable", name):
        return "[yellow]not gateable[/]"
    said = {check.outcome for check in verdict.checks if check.segment == name}
    words = {Outcome.FAIL: "failed", Outcome.UNPROVEN: "insufficient", Outcome.PASS: "passed"}
    worst = next(outcome for outcome in words if outcome in said)
    return f"[{STYLES[worst]}]{words[worst]}[/]"


def _number(record: Record, metric: str, name: str) -> str:
    found = record.segments(metric).get(name)
    return "-" if found is None or found.value is None else f"{found.value:.4g}"
