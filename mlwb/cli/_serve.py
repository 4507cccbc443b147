"""``mlwb serve`` and ``mlwb smoke``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mlwb.cli._common import JsonFlag, PolicyOption, console, home, print_json, read_policy
from mlwb.core.clock import SystemClock

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("serve", epilog="Example: mlwb serve --port 4010")(_serve)
    app.command("smoke", epilog="Example: mlwb smoke --cold")(_smoke)


def _serve(
    host: Annotated[str, typer.Option(help="Address; MLWB_HOST, else loopback only.")] = "",
    port: Annotated[int | None, typer.Option(help="Port; MLWB_PORT, else 4010. 0: any.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer; MLWB_WORKERS, else 1.")
    ] = None,
    champion: Annotated[str, typer.Option(help="Version to answer; else `latest`.")] = "",
    candidate: Annotated[str, typer.Option(help="Version that shadows; else `candidate`.")] = "",
    wait_for_model: Annotated[
        bool, typer.Option("--wait-for-model", help="Start without a model, be ready later.")
    ] = False,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written when predictions are answered.")
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop when the process that started it is gone.")
    ] = False,
) -> None:
    """Serve the promoted model on loopback until Ctrl-C or SIGTERM."""
    from mlwb.serve import ServeSettings, run_server

    changes: dict[str, Any] = {
        name: value
        for name, value in {
            "host": host,
            "port": port,
            "workers": workers,
            "champion": champion,
            "candidate": candidate,
        }.items()
        if value not in ("", None)
    }
    settings = ServeSettings.from_env(os.environ, **changes)
    run_server(
        settings,
        wait_for_model=wait_for_model,
        ready_file=ready_file,
        with_parent=with_parent,
        on_ready=lambda ready: console.print(
            f"serving {ready.version} on http://{ready.host}:{ready.port} (pid {ready.pid})"
        ),
    )


def _smoke(
    cold: Annotated[
        bool, typer.Option("--cold/--warm", help="A new connection for every request.")
    ] = False,
    policy: PolicyOption = "policy.yml",
    profile: Annotated[str, typer.Option("--profile", help="Parameter profile.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Start the server, send the smoke requests from held-out bars, print what came back."""
    from mlwb.params import load_params
    from mlwb.runner import smoke_run

    params = load_params("replay", home().params, profile=profile)
    rules = read_policy(policy)
    found = smoke_run(home(), params, policy=rules, cold=cold, clock=SystemClock())
    if as_json:
        print_json(found)
        return
    kind = "cold" if cold else "warm"
    console.print(
        f"{found['requests']} {kind} requests to {found['version']}: "
        f"{found['errors']} errors, p50 {found['p50_ms']:.2f} ms, "
        f"p95 {found['p95_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms, "
        f"{found['score_mismatches']} answers differ from the offline score"
    )
    if not found["pass"]:
        console.print(f"[bold red]FAIL[/] {found['reason']}")
        raise typer.Exit(1)
