"""``mlwb gate``: verdicts from evidence and policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import (
    JsonFlag,
    PolicyOption,
    console,
    evidence_store,
    home,
    print_json,
    registry,
)
from mlwb.cli._run import STYLES, verdict_table
from mlwb.core.canonical import digest_file
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError
from mlwb.gates import GATES, EvidenceView, decide, evaluate, evaluate_all, read_view, replay
from mlwb.params import Policy, load_policy

__all__ = ["app"]

app = typer.Typer(
    help="Ask one gate, all of them, or whether the candidate may be promoted.",
    no_args_is_help=True,
)


def _policy(name: str) -> Policy:
    path = Path(name)
    return load_policy(path if path.is_file() else home().params / name)


def _view(version: str) -> EvidenceView:
    models = registry()
    wanted = version or models.candidate() or models.latest()
    if not wanted:
        raise EvidenceMissingError("no model to judge", todo="train one first: mlwb run")
    return read_view(
        evidence_store(),
        wanted,
        manifest_sha256=digest_file(models.resolve(wanted) / "manifest.json"),
        used_confirmations=tuple(sorted(models.state().used_confirmations)),
    )


VersionOption = Annotated[str, typer.Option("--version", help="Else the candidate, else `latest`.")]


def _ask(gate: str, version: str, policy: str, *, as_json: bool) -> None:
    verdict = evaluate(gate, _view(version), _policy(policy), SystemClock().now())
    if as_json:
        print_json(verdict)
    else:
        console.print(verdict_table([verdict]))
        for check in verdict.checks:
            style = STYLES[check.outcome]
            said = f"  [{style}]{check.outcome:<9}[/] {escape(check.reason)}"
            if not check.is_binding:
                said += " [dim](blocks nothing)[/]"
            console.print(said, soft_wrap=True)
    if not verdict.is_pass and not verdict.waived:
        raise typer.Exit(1)


def _command(gate: str) -> Callable[..., None]:
    def ask(
        version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
    ) -> None:
        _ask(gate, version, policy, as_json=as_json)

    ask.__doc__ = f"Ask the gate `{gate}`; exit 1 when it does not pass."
    return ask


for _gate in GATES:
    app.command(_gate, epilog=f"Example: mlwb gate {_gate}")(_command(_gate))


@app.command("all", epilog="Example: mlwb gate all --policy policy.strict.yml")
def _all(
    version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
) -> None:
    """Print the pre-production matrix; exit 1 unless every gate passes."""
    verdicts = evaluate_all(_view(version), _policy(policy), SystemClock().now())
    if as_json:
        print_json(verdicts)
    else:
        table = Table(box=None, header_style="dim")
        for column in ("check", "expected", "measured", "status"):
            table.add_column(column)
        for verdict in verdicts:
            for check in verdict.checks:
                place = f"{check.id}[{check.segment}]" if check.segment else check.id
                observed = "-" if check.observed is None else f"{check.observed:.6g}"
                status = f"[{STYLES[check.outcome]}]{check.outcome}[/]"
                table.add_row(
                    place.replace("[", r"\["), f"{check.comparator} {check.limit}", observed, status
                )
        console.print(table)
    if not all(verdict.is_pass or verdict.waived for verdict in verdicts):
        raise typer.Exit(1)


@app.command("promote", epilog="Example: mlwb gate promote --policy policy.demo.yml")
def _promote(
    version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
) -> None:
    """Say whether the candidate may be promoted; exit 1 when it may not. Nothing is changed."""
    rules = _policy(policy)
    decision = decide(evaluate_all(_view(version), rules, SystemClock().now()), rules)
    if as_json:
        print_json(decision)
    else:
        word = "[bold green]READY[/]" if decision.promote else "[bold red]BLOCKED[/]"
        console.print(f"PROMOTE: {word}")
        for reason in decision.reasons:
            console.print(f"  - {escape(reason)}", soft_wrap=True)
    if not decision.promote:
        raise typer.Exit(1)


@app.command("replay", epilog="Example: mlwb gate replay")
def _replay(
    run_id: Annotated[str, typer.Argument(help="A decision's run id; else the newest.")] = "",
    policy: PolicyOption = "policy.yml",
    as_json: JsonFlag = False,
) -> None:
    """Compute an old decision again from the files it cites; exit 1 when it differs."""
    store = evidence_store()
    record = store.read(run_id) if run_id else store.newest("decision")
    again = replay(record, store, _policy(policy))
    if as_json:
        print_json({"equal": again.is_equal, "differences": again.differences})
    elif again.is_equal:
        console.print(f"{record.run_id}: [green]the same, bit for bit[/]")
    else:
        for difference in again.differences:
            console.print(f"[bold red]![/] {escape(difference)}", soft_wrap=True)
    if not again.is_equal:
        raise typer.Exit(1)
