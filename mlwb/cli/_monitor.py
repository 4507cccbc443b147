"""``mlwb monitor``: look at a server and roll back where the policy says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import (
    JsonFlag,
    PolicyOption,
    console,
    evidence_store,
    home,
    load_check,
    print_json,
    read_policy,
    until_told,
)
from mlwb.cli._registry_at import GroupAtOption, choose, selected
from mlwb.client import PredictClient
from mlwb.core.canonical import parse_json
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError

if TYPE_CHECKING:
    from mlwb.monitor import Look, Notice, Page, Row, Watcher

__all__ = ["add"]

_STYLES = {
    "ok": "green", "rising": "yellow", "fired": "bold red", "clearing": "yellow",
    "not measured": "dim",
}  # fmt: skip
_LONG_ENOUGH_S = 5.0


def add(app: typer.Typer) -> None:
    """Give the application this command."""
    app.command("monitor", epilog="Example: mlwb monitor --every 60 --act")(_monitor)


def _monitor(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Look once; the default.")] = False,
    every: Annotated[
        float | None,
        typer.Option("--every", min=0.1, help="Look every so many seconds, until stopped."),
    ] = None,
    url: Annotated[str, typer.Option("--url", help="The server.")] = "http://127.0.0.1:4010",
    act: Annotated[
        bool, typer.Option("--act", help="Roll back; without it, say only what would be done.")
    ] = False,
    manual: Annotated[
        str, typer.Option("--manual", help="Call for a rollback, for this reason; cooldown or not.")
    ] = "",
    at: GroupAtOption = "",
    policy: PolicyOption = "policy.yml",
    as_json: JsonFlag = False,
) -> None:
    """Hold a running version against the policy's rollback limits; exit 1 when a trigger has fired.

    Messages go to the address in MLWB_NOTIFY_URL, signed with MLWB_NOTIFY_SECRET, or to the
    program in MLWB_NOTIFY_COMMAND, a JSON list.
    """
    from mlwb.monitor import alone

    if once and every:
        raise ParamsError("look once, or every so many seconds: not both")
    choose(context, at)
    folder = home().artifacts / "monitor"
    with (
        alone(folder),
        PredictClient(url, timeout_s=_LONG_ENOUGH_S) as client,
        until_told() as stopped,
    ):
        watcher = _watcher(folder, client, policy, acts=act)
        found = _look(watcher, manual, as_json=as_json)
        while every and not stopped.wait(every):
            found = _look(watcher, "", as_json=as_json)
    if not every:
        _leave(found)


def _watcher(folder: Path, client: PredictClient, policy: str, *, acts: bool) -> Watcher:
    from mlwb.monitor import Page, Watcher

    def fetch() -> Page:
        shadow = client.health().get("candidate_version")
        return Page(client.metrics(), shadow if isinstance(shadow, str) else None)

    return Watcher(
        registry=selected(),
        store=evidence_store(),
        policy=read_policy(policy),
        clock=SystemClock(),
        fetch=fetch,
        folder=folder,
        load_check=load_check,
        deliver=_hook(),
        acts=acts,
    )


def _hook() -> Callable[[Notice], str] | None:
    from mlwb.monitor import command_hook, webhook

    address, command = (os.environ.get(f"MLWB_NOTIFY_{name}", "") for name in ("URL", "COMMAND"))
    if address and command:
        raise ParamsError("messages go to MLWB_NOTIFY_URL or MLWB_NOTIFY_COMMAND: not to both")
    if address:
        return webhook(address, os.environ.get("MLWB_NOTIFY_SECRET", ""), clock=SystemClock())
    if not command:
        return None
    try:
        arguments = parse_json(command)
    except ValueError:
        arguments = None
    if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
        raise ParamsError("MLWB_NOTIFY_COMMAND", expected='a JSON list: ["/usr/bin/program"]')
    return command_hook([str(item) for item in arguments])


def _look(watcher: Watcher, manual: str, *, as_json: bool) -> Look:
    found = watcher.look(by=manual)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    return found


def _show(found: Look) -> None:
    table = Table(box=None, header_style="dim")
    for column in ("trigger", "measured", "limit", "state", "of what"):
        table.add_column(column, no_wrap=column != "of what")
    for row in found.rows:
        table.add_row(*_cells(row))
    console.print(f"[dim]{found.at}[/] {escape(found.version or 'no version is latest')}")
    console.print(table)
    if found.suggestion is not None:
        console.print(f"[yellow]retrain[/] {escape(str(found.suggestion))}", soft_wrap=True)
    for problem in found.problems:
        console.print(f"[bold red]![/] {escape(problem)}", soft_wrap=True)
    style = {"quiet": "green", "acted": "bold yellow"}.get(found.outcome, "bold red")
    said = found.text or "nothing to do"
    console.print(f"MONITOR: [{style}]{found.outcome}[/] {escape(said)}", soft_wrap=True)


def _cells(row: Row) -> tuple[str, ...]:
    value, style = row.reading.value, _STYLES[row.state]
    return (
        row.name,
        "-" if value is None else f"{value:.4g}",
        row.rule + ("" if row.limit.severity == "hard" else ", tells only"),
        f"[{style}]{row.state}[/]",
        escape(row.reading.source),
    )


def _leave(found: Look) -> None:
    """5 when something could not be done or kept, 1 when a trigger calls for a rollback."""
    if found.outcome == "failed" or found.problems:
        raise typer.Exit(5)
    if found.plan.triggers:
        raise typer.Exit(1)
