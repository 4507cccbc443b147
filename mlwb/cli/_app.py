"""The application and its way out."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlwb import __version__
from mlwb.cli import (
    _canary,
    _drift,
    _evidence,
    _features,
    _gate,
    _keys,
    _market,
    _monitor,
    _nightly,
    _psi,
    _registry,
    _report,
    _run,
    _serve,
    _shadow,
    _smoke,
    _train,
)
from mlwb.cli._common import API_KEY, console, errors
from mlwb.core.errors import MlwbError

__all__ = ["app", "main"]

app = typer.Typer(
    name="mlwb",
    help="From an idea about market data to a model that serves, with every step proven.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(*, value: bool) -> None:
    if value:
        console.print(f"mlwb {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From an idea about market data to a model that serves, with every step proven."""


_run.add(app)
_train.add(app)
_psi.add(app)
_nightly.add(app)
_serve.add(app)
_smoke.add(app)
_monitor.add(app)
_market.add(app)
_features.add(app)
app.add_typer(_canary.app, name="canary")
app.add_typer(_drift.app, name="drift")
app.add_typer(_shadow.app, name="shadow")
app.add_typer(_report.app, name="report")
app.add_typer(_gate.app, name="gate")
app.add_typer(_registry.app, name="registry")
app.add_typer(_evidence.app, name="evidence")
app.add_typer(_keys.app, name="keys")


def main() -> int:
    """Run the command line; every error mlwb raises on purpose is one line and an exit code."""
    try:
        app()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except MlwbError as error:
        errors.print(f"[bold red]error[/] [dim]{error.code}[/]", end=" ")
        hint = (
            f"; put one into {API_KEY}" if getattr(error, "problem", "") == "unauthorized" else ""
        )
        errors.print(f"{error}{hint}", markup=False, soft_wrap=True)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        what = error.strerror or type(error).__name__
        errors.print(f"[bold red]error[/] [dim]os[/] {what}:", end=" ")
        errors.print(str(error.filename or error), markup=False, soft_wrap=True)
        return 5
    return 0
