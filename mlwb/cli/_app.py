"""The application and its way out."""

from __future__ import annotations

import os
import sys
from typing import Annotated, ClassVar

import typer

from mlwb import __version__
from mlwb.cli._lazy import LazyGroup
from mlwb.cli._variables import API_KEY, strangers
from mlwb.core.errors import MlwbError

__all__ = ["app", "main"]


class _Commands(LazyGroup):
    """What there is, as each command describes itself."""

    lines: ClassVar = {
        "run": "Run the whole loop: data, features, training, PSI, real traffic, gates, review.",
        "train": "Train a candidate and prove it: search, whole histories, held-out bars, ONNX, "
        "register.",
        "psi": "Hold the held-out days against training: what moved, what is chance, what cannot "
        "be told.",
        "nightly": "Measure the candidate again (train one where none waits) and record the night.",
        "serve": "Serve the promoted model on loopback until Ctrl-C or SIGTERM.",
        "smoke": "Send requests from held-out bars to a server and hold the answers against "
        "offline scores.",
        "e2e": "Prove the chain: run, serve, canary, promote, roll back, and stop five bad "
        "candidates.",
        "monitor": "Hold a running version against the policy's rollback limits; exit 1 when a "
        "trigger has fired.",
        "doctor": "Say what is wrong with this home and machine, and what to do about it.",
        "data": "Market data: what it is and what is wrong with it.",
        "features": "Features: what they are and whether they are worth anything.",
        "canary": "The candidate on a running server, phase by phase.",
        "drift": "Drift of the rows that are served.",
        "shadow": "The candidate beside the champion.",
        "report": "What happened while a version served.",
        "gate": "Ask one gate, all of them, or whether the candidate may be promoted.",
        "registry": "Model versions, promotion and rollback, in this home or on an object store.",
        "evidence": "Evidence records and their ledger.",
        "keys": "Keys of the predict server: made, listed, replaced, taken back; a running one "
        "follows.",
    }


app = typer.Typer(
    name="mlwb",
    cls=_Commands,
    help="From an idea about market data to a model that serves, with every step proven.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(*, value: bool) -> None:
    if value:
        typer.echo(f"mlwb {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From an idea about market data to a model that serves, with every step proven."""
    for name, nearest in strangers(os.environ).items():
        meant = f"; did you mean {nearest}?" if nearest else ""
        _tell("variable", f"nothing reads {name}{meant}", word="[bold yellow]warning[/]")


def main() -> int:
    """Run the command line; every error mlwb raises on purpose is one line and an exit code."""
    try:
        app()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except MlwbError as error:
        return _refused(error)
    except ModuleNotFoundError as error:
        from mlwb.cli._extras import missing_extra

        told = missing_extra(error)
        if told is None:
            raise
        return _refused(told)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        what = error.strerror or type(error).__name__
        _tell("os", f"{what}: {error.filename or error}")
        return 5
    return 0


def _refused(error: MlwbError) -> int:
    hint = f"; put one into {API_KEY}" if getattr(error, "problem", "") == "unauthorized" else ""
    _tell(error.code, f"{error}{hint}")
    return error.exit_code


def _tell(code: str, text: str, *, word: str = "[bold red]error[/]") -> None:
    from mlwb.cli._screen import errors

    errors.print(f"{word} [dim]{code}[/]", end=" ")
    errors.print(text, markup=False, soft_wrap=True)
