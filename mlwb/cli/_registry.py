"""``mlwb registry``: versions, promotion, rollback."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli import _registry_care, _registry_remote
from mlwb.cli._common import (
    JsonFlag,
    PolicyOption,
    console,
    evidence_store,
    evidence_view,
    load_check,
    print_json,
    read_policy,
)
from mlwb.cli._registry_at import AtOption, GroupAtOption, choose, here_too, is_remote, selected
from mlwb.core.canonical import parse_json, to_plain
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError, MlwbError
from mlwb.gates import Progress, progress_of
from mlwb.registry import Registry, RemoteRegistry
from mlwb.registry.promotion import promote_on_evidence

__all__ = ["add"]

app = typer.Typer(no_args_is_help=True)
_registry_care.add(app)
_registry_remote.add(app)


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="registry")


@app.callback()
def _registry(context: typer.Context, at: GroupAtOption = "") -> None:
    """Model versions, promotion and rollback, in this home or on an object store."""
    choose(context, at)


@app.command("list", epilog="Example: mlwb registry list")
def _list(at: AtOption = "", as_json: JsonFlag = False) -> None:
    """List versions and channels."""
    models = selected(at)
    channels = {name: getattr(models, name)() for name in ("latest", "candidate", "previous")}
    rows = []
    for version in models.versions():
        stored = parse_json(models.read(version, "training_manifest.json"))
        here = [name for name, target in channels.items() if target == version]
        rows.append({"version": version, "channels": here, "training": stored})
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="dim")
    for column in ("version", "channel", "market", "label", "AUC", "chosen"):
        table.add_column(column)
    for row in rows:
        stored = row["training"]
        table.add_row(
            row["version"],
            ", ".join(row["channels"]),
            stored["kinship"]["symbol"],
            stored["label"]["kind"],
            f"{stored['offline_metrics']['auc']:.4f}",
            stored["chosen"],
        )
    console.print(table)


@app.command("show", epilog="Example: mlwb registry show latest")
def _show(version: str, at: AtOption = "", as_json: JsonFlag = False) -> None:
    """Print a version's manifest and training record as JSON."""
    info = selected(at).show(version)
    training = parse_json((info.path / "training_manifest.json").read_bytes())
    print_json(
        {"manifest": to_plain(info), "training": training},
        indent=console.is_terminal and not as_json,
    )


@app.command("verify", epilog="Example: mlwb registry verify v1.8.1")
def _verify(
    version: Annotated[str, typer.Argument(help="A version or a channel; else all.")] = "",
    at: AtOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Hash every file again and check the signature; exit 5 when one is not as registered."""
    models = selected(at)
    names = [version] if version else list(models.versions())
    problems = {name: [str(p) for p in models.verify(name)] for name in names}
    if as_json:
        print_json(problems)
    else:
        for name, found in problems.items():
            key = "" if found else models.signed_by(name)
            said = f"[green]intact[/], signed by {key[:8]}" if key else "[green]intact[/]"
            console.print(f"{name}: " + (said if not found else "[bold red]not in order[/]"))
            for problem in found:
                console.print(f"  {escape(problem)}", soft_wrap=True)
    if any(problems.values()):
        raise typer.Exit(5)


@app.command("doctor", epilog="Example: mlwb registry doctor")
def _doctor(at: AtOption = "", as_json: JsonFlag = False) -> None:
    """Name everything that is not in order; exit 5 when something is."""
    models = selected(at)
    problems = models.doctor()
    if as_json:
        print_json([str(problem) for problem in problems])
    else:
        logged = _logged(models) if problems else ""
        for problem in problems:
            console.print(f"[bold red]![/] {escape(str(problem))}", soft_wrap=True)
            if todo := here_too(_registry_care.remedy(problem, logged)):
                console.print(f"  {escape(todo)}", soft_wrap=True, style="dim")
        if not problems:
            console.print("[green]in order[/]")
    if problems:
        raise typer.Exit(5)


def _logged(models: Registry | RemoteRegistry) -> str:
    try:
        return models.state().latest or ""
    except MlwbError:  # a log that was edited names nothing
        return ""


@app.command("status", epilog="Example: mlwb registry status")
def _status(
    policy: PolicyOption = "policy.yml", at: AtOption = "", as_json: JsonFlag = False
) -> None:
    """Say what serves, what waits, what the last review found missing, and what is counted yet."""
    status = selected(at).status()
    store = evidence_store()
    try:
        decision = store.newest("decision")
        status["decision"] = {
            "run_id": decision.run_id,
            "model_version": decision.model_version,
            "promote": decision.details["promote"],
            "reasons": decision.details["reasons"],
        }
    except EvidenceMissingError:
        status["decision"] = None
    steps = _progress(policy) if status["candidate"] and not is_remote() else ()
    status["progress"] = [{**vars(step), "done": step.is_done} for step in steps]
    if as_json:
        print_json(status)
        return
    for channel in ("latest", "candidate", "previous"):
        console.print(f"{channel:<10} {status[channel] or '-'}")
    decision_found = status["decision"]
    if decision_found:
        word = "ready" if decision_found["promote"] else "blocked"
        console.print(f"{'review':<10} {decision_found['model_version']} {word}")
        for reason in decision_found["reasons"]:
            console.print(f"           - {escape(reason)}", soft_wrap=True)
    for place, step in enumerate(steps):
        console.print(f"{'' if place else 'progress':<10} {escape(str(step))}", soft_wrap=True)


def _progress(policy: str) -> tuple[Progress, ...]:
    """How far the candidate is, as `mlwb gate progress` has it."""
    return progress_of(evidence_view(), read_policy(policy), SystemClock().now())


@app.command("promote", epilog='Example: mlwb registry promote --reason "retrain"')
def _promote(
    version: Annotated[str, typer.Argument(help="Else the registry's candidate.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Goes into the log.")] = "promoted",
    policy: PolicyOption = "policy.yml",
    at: AtOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Make a version `latest`, on the newest decision about it; exit 1 when that says no."""
    models = selected(at)
    wanted = version or models.candidate()
    if not wanted:
        raise EvidenceMissingError(
            "no candidate to promote", todo="train one: mlwb run; or name a version"
        )
    state = promote_on_evidence(
        models,
        evidence_store(),
        wanted,
        policy=read_policy(policy),
        clock=SystemClock(),
        expect_current=models.latest(),
        reason=reason,
        load_check=load_check,
    )
    _said(f"latest -> {wanted}", as_json=as_json, seq=state.seq)


@app.command("rollback", epilog='Example: mlwb registry rollback --reason "shadow drift"')
def _rollback(
    target: Annotated[str, typer.Argument(help="Else the previous version.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Goes into the log; required.")] = "",
    at: AtOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Make an earlier version `latest` again, at once."""
    models = selected(at)
    state = models.rollback(target or None, reason=reason)
    _said(f"latest -> {models.latest()}", as_json=as_json, seq=state.seq)


def _said(text: str, *, as_json: bool, seq: int) -> None:
    if as_json:
        print_json({"latest": text.removeprefix("latest -> "), "seq": seq})
    else:
        console.print(f"[green]{text}[/] (log entry {seq})")
