"""``mlwb shadow``: a candidate beside the champion, on rows of a file or in the log of the day."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mlwb.cli._common import (
    API_KEY,
    JsonFlag,
    PolicyOption,
    ProfileOption,
    QuietFlag,
    SourceOption,
    console,
    errors,
    home,
    print_json,
    read_policy,
    registry,
)
from mlwb.cli._shadow_view import show_comparison
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError
from mlwb.gates import Outcome, Verdict
from mlwb.params import load_params

__all__ = ["add"]

app = typer.Typer(help="The candidate beside the champion.", no_args_is_help=True)

CandidateOption = Annotated[
    str, typer.Option("--candidate", help="Version to compare; else the registry's candidate.")
]
ChampionOption = Annotated[str, typer.Option("--champion", help="Version that answers.")]
StrictFlag = Annotated[
    bool, typer.Option("--strict", help="Exit 1 also where something is not proven yet.")
]


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="shadow")


@app.callback()
def _group() -> None:
    """The candidate beside the champion."""


@app.command("run", epilog="Example: mlwb shadow run --csv rows.csv --candidate v1.8.2")
def _run(
    path: Annotated[
        Path, typer.Option("--csv", help="Rows: a column a feature, or bars of a market.")
    ],
    url: Annotated[
        str,
        typer.Option(
            "--url", help="A running server, with the key in MLWB_API_KEY; else one is started."
        ),
    ] = "",
    candidate: CandidateOption = "",
    champion: ChampionOption = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; else below outputs/.")
    ] = None,
    source: SourceOption = "auto",
    policy: PolicyOption = "policy.yml",
    profile: ProfileOption = "",
    strict: StrictFlag = False,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Send rows of a file to both versions; exit 1 when a limit of the policy is broken."""
    from mlwb.runner import shadow_run, shadow_server

    clock, rules = SystemClock(), read_policy(policy)
    data = {"data.source": [str(path.resolve())], "data.profile": source, "run.policy": policy}
    params = load_params("replay", home().params, profile=profile, overrides=data)
    folder = out or home().outputs / f"shadow_{clock.now():%Y%m%dT%H%M%SZ}"
    server: AbstractContextManager[str] = nullcontext(url.rstrip("/"))
    if not url:
        server = shadow_server(
            home(),
            champion=champion,
            candidate=candidate or _candidate(),
            policy=rules,
            folder=folder,
        )
    with server as base_url, _Bar(shown=not (quiet or as_json)) as bar:
        found = shadow_run(
            base_url,
            path,
            params,
            policy=rules,
            clock=clock,
            folder=folder,
            api_key=os.environ.get(API_KEY, "") if url else "",
            progress=bar.tell,
        )
    if as_json:
        print_json({"folder": folder, "record": found.record, "verdict": found.verdict})
    else:
        show_comparison(found.result, found.record, found.verdict)
        console.print(f"[dim]rows[/] {escape(str(folder / 'comparison.csv'))}", soft_wrap=True)
    _leave(found.verdict, strict=strict)


@app.command("compare", epilog="Example: mlwb shadow compare --record")
def _compare(
    log: Annotated[
        str, typer.Option("--log", help="Another shadow log; it counts as a replay.")
    ] = "",
    candidate: CandidateOption = "",
    champion: ChampionOption = "",
    policy: PolicyOption = "policy.yml",
    write: Annotated[
        bool, typer.Option("--record", help="Write it as evidence of kind shadow.")
    ] = False,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """What the server's shadow log says; exit 1 when a limit of the policy is broken."""
    from mlwb.stages import shadow_compare
    from mlwb.stages.common import policy_of

    overrides: dict[str, Any] = {
        "run.policy": policy,
        "run.model_version": candidate,
        "shadow.log": log,
        "shadow.champion": champion,
    }
    params = load_params("shadow_compare", home().params, overrides=overrides)
    clock = SystemClock()
    result = shadow_compare.measure(shadow_compare.load(params, clock))
    record = shadow_compare.to_record(result, params, clock)
    if write:
        (record,) = shadow_compare.record(result, params, clock)
    (verdict,) = shadow_compare.judge([record], policy_of(params.run), clock)
    if as_json:
        print_json({"record": record, "verdict": verdict, "written": write})
    else:
        show_comparison(result, record, verdict)
        if write:
            console.print(f"[dim]evidence[/] {record.run_id}", soft_wrap=True)
    _leave(verdict, strict=strict)


def _candidate() -> str:
    found = registry().candidate()
    if not found:
        raise EvidenceMissingError(
            "no candidate to compare", todo="name one: --candidate, or train one: mlwb run"
        )
    return found


def _leave(verdict: Verdict, *, strict: bool) -> None:
    if verdict.outcome is Outcome.FAIL or (strict and not verdict.is_pass):
        raise typer.Exit(1)


class _Bar:
    """Rows sent, on the error stream and only on a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._progress = Progress(
            TextColumn("rows"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=errors,
            transient=True,
            disable=not shown or not errors.is_terminal,
        )
        self._task = self._progress.add_task("rows", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, done: int, total: int) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=done, total=total)
