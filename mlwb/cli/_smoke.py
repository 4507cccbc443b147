"""``mlwb smoke``: a thousand requests, what came back, and what changed since the last time."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mlwb.cli._common import (
    API_KEY,
    DataOption,
    JsonFlag,
    ParamOption,
    PolicyOption,
    ProfileOption,
    QuietFlag,
    SourceOption,
    console,
    errors,
    home,
    print_json,
    read_policy,
)
from mlwb.cli._run import overrides_of
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("smoke", epilog="Example: mlwb smoke --cold -n 1000")(_smoke)


def _smoke(
    cold: Annotated[
        bool, typer.Option("--cold/--warm", help="A new connection for every request.")
    ] = False,
    n: Annotated[int | None, typer.Option("-n", help="Requests; else those of replay.yml.")] = None,
    version: Annotated[
        str, typer.Option("--version", help="What a server of its own serves; else `latest`.")
    ] = "",
    url: Annotated[
        str, typer.Option("--url", help="A server that runs; else one of its own.")
    ] = "",
    key_env: Annotated[
        str, typer.Option("--key-env", help="Variable that holds the key for --url.")
    ] = API_KEY,
    compare: Annotated[
        bool, typer.Option("--compare", help="Exit 1 where the metrics differ from the last test.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Difference of a counter, per request, that is none.")
    ] = 0.01,
    keep: Annotated[bool, typer.Option("--record/--no-record", help="Write the evidence.")] = True,
    data: DataOption = None,
    source: SourceOption = "",
    param: ParamOption = None,
    policy: PolicyOption = "policy.yml",
    profile: ProfileOption = "",
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Send requests from held-out bars to a server and hold the answers against offline scores.

    Records the test (smoke_1k.json) and what the server's metrics made of it
    (metrics_baseline.json). Exit code 1 when a limit of gate perf is broken, when an answer
    differs from the offline score, or, with --compare, when the metrics differ from those of the
    last test of the same kind.
    """
    from mlwb.params import load_params
    from mlwb.runner import SmokeOptions, smoke_run

    if url and version:
        raise ParamsError("a server that runs serves what it serves", expected="--url or --version")
    overrides = overrides_of(data, source, param or [])
    if n is not None:
        overrides["traffic.smoke_requests"] = n
    params = load_params("replay", home().params, profile=profile, overrides=overrides)
    options = SmokeOptions(cold, version, url, _key(url, key_env), keep, tolerance)
    with _bar(shown=not quiet and not as_json) as bar:
        task = bar.add_task("starting", total=params.traffic.smoke_requests)
        found = smoke_run(
            home(),
            params,
            options,
            policy=read_policy(policy),
            clock=SystemClock(),
            progress=lambda name, sent, planned: bar.update(
                task, description=name, completed=sent, total=planned
            ),
        )
    if as_json:
        print_json(found)
    else:
        _show(found)
    has_changed = compare and bool(found["differences"])
    if not found["pass"] or found["score_mismatches"] or has_changed:
        raise typer.Exit(1)


def _key(url: str, name: str) -> str:
    """The key in a variable, the usual one or the one that was named."""
    key = os.environ.get(name, "")
    if name == API_KEY:
        return key if url else ""
    if not url or not key:
        expected = "--url beside it, and a variable that holds a key"
        raise ParamsError("--key-env cannot be used so", expected=expected, got=name)
    return key


def _bar(*, shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        disable=not shown or not errors.is_terminal,
        transient=True,
    )


def _show(found: dict[str, Any]) -> None:
    kind = "cold" if found["cold"] else "warm"
    console.print(
        f"{found['requests']} {kind} requests to {found['version']}: "
        f"{found['errors']} errors, p50 {found['p50_ms']:.2f} ms, "
        f"p95 {found['p95_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms, "
        f"{found['score_mismatches']} answers differ from the offline score"
    )
    if found["baseline"] is None:
        console.print(f"{found['series']} series; no test of this kind before to compare with")
    elif not found["differences"]:
        console.print(f"{found['series']} series, as in the test before")
    for line in found["differences"]:
        console.print(f"[yellow]changed[/] {escape(line)}", soft_wrap=True)
    if found["records"]:
        console.print("recorded smoke_1k.json, metrics_baseline.json")
    if not found["pass"]:
        console.print(f"[bold red]FAIL[/] {found['reason']}")
