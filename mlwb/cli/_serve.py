"""``mlwb serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("serve", epilog="Example: mlwb serve --port 4010")(_serve)


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
        on_ready=lambda ready: typer.echo(
            f"serving {ready.version} on http://{ready.host}:{ready.port} (pid {ready.pid})"
        ),
    )
