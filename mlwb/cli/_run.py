"""``mlwb run``: the whole loop, with live progress and the verdict at the end."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mlwb.cli._common import (
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
)
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError
from mlwb.evidence import EvidenceStore, Record
from mlwb.gates import Outcome as GateOutcome
from mlwb.gates import Verdict
from mlwb.params import parse_override

if TYPE_CHECKING:
    from mlwb.runner import Options, Outcome

__all__ = ["add", "overrides_of", "run_steps", "verdict_table"]

STYLES = {
    GateOutcome.PASS: "green",
    GateOutcome.FAIL: "bold red",
    GateOutcome.INVALID: "bold red",
    GateOutcome.UNPROVEN: "yellow",
    GateOutcome.MISSING: "yellow",
    GateOutcome.STALE: "yellow",
}
LABELS = {
    "data": "read and check the market",
    "feature_study": "01 feature study",
    "training": "02 training",
    "psi_validation": "03 PSI validation",
    "replay": "serve and replay",
    "canary_analysis": "04 canary analysis",
    "release_review": "05 release review",
}


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("run", epilog="Example: mlwb run --data bars.csv.gz -p label.kind=direction")(_run)


def _run(
    data: DataOption = None,
    source: SourceOption = "",
    profile: ProfileOption = "",
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Smoke requests each on a connection of their own.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when the verdict is BLOCKED.")
    ] = False,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole loop: data, features, training, PSI, real traffic, gates, review.

    Ends with the verdict table and the page to open. A verdict of BLOCKED is a result, not a
    fault: the exit code is 0 unless --strict is given.
    """
    from mlwb.runner import Options, finish_run, run_loop

    options = Options(
        home=home(),
        profile=profile,
        policy=policy,
        overrides=overrides_of(data, source, param or []),
        cold=cold,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended like Ctrl-C: with a record
    with Display(shown=not (quiet or as_json)) as display:
        outcome = run_loop(options, SystemClock(), display.tell)
    summary = finish_run(options, outcome)
    if as_json:
        print_json(summary)
    else:
        _print(outcome.verdicts, summary)
    if outcome.error is not None:
        raise outcome.error
    if strict and not summary["promote"]:
        raise typer.Exit(1)


def run_steps(
    options: Options, steps: Sequence[str], *, shown: bool
) -> tuple[Outcome, tuple[Record, ...]]:
    """Run a few steps with their progress shown; the records they wrote.

    What stopped the run is raised.
    """
    from mlwb.runner import run_loop

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Display(shown=shown) as display:
        outcome = run_loop(options, SystemClock(), display.tell, steps=steps)
    if outcome.error is not None:
        raise outcome.error
    token = outcome.run_id.rsplit("_", 1)[1]  # records of one run share the end of their ids
    return outcome, EvidenceStore(options.home.evidence).records(run=token)


def overrides_of(data: list[str] | None, source: str, given: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if data:
        found["data.source"] = [_absolute(name) for name in data]
    if source:
        found["data.profile"] = source
    for text in given:
        name, value = parse_override(text)
        if name in found:
            raise ParamsError(f"{name} is given twice")
        found[name] = value
    for name in ("features.modules", "search.families"):
        if isinstance(found.get(name), list):
            found[name] = [_whole(item) for item in found[name]]
    return found


def _absolute(name: str) -> str:
    """A notebook runs in another folder, so a path is made whole here; `synthetic` is no path."""
    return name if name == "synthetic" else str(Path(name).expanduser().absolute())


def _whole(name: object) -> object:
    """A file of features, or of a family after a colon, by its whole path; other names stay."""
    if not isinstance(name, str):
        return name
    path, dot, rest = name.partition(".py")
    return _absolute(f"{path}{dot}") + rest if dot and rest[:1] in ("", ":") else name


class Display:
    """One line a step; a bar for the one under way."""

    def __init__(self, *, shown: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("[dim]{task.fields[label]}"),
            TimeElapsedColumn(),
            console=errors,
            disable=not shown or not errors.is_terminal,
        )
        self._tasks: dict[str, Any] = {}
        self._plain = shown and not errors.is_terminal

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, event: Any) -> None:
        """Show an event of the run."""
        name = LABELS[event.step]
        if event.kind == "start":
            self._tasks[event.step] = self._progress.add_task(name, total=1, label="")
        task = self._tasks[event.step]
        if event.kind == "progress":
            self._progress.update(
                task, completed=event.done, total=event.total, label=event.label[:40]
            )
        if event.kind in ("done", "failed"):
            total = self._progress.tasks[task].total or 1
            label = "" if event.kind == "done" else "[red]stopped"
            self._progress.update(task, completed=total, label=label)
            self._progress.stop_task(task)
            if self._plain:
                errors.print(f"{name:<28} {event.kind:<7} {event.seconds:6.1f} s")


def verdict_table(verdicts: Iterable[Verdict]) -> Table:
    """Gate, outcome and reason, one row a gate, in the words of the reports."""
    from mlwb.report.text import why

    table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    table.add_column("gate", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("why")
    for verdict in verdicts:
        outcome = f"[{STYLES[verdict.outcome]}]{verdict.outcome}[/]"
        if verdict.waived:
            outcome += " [dim](waived)[/]"
        elif verdict.severity == "soft":
            outcome += " [dim](soft)[/]"
        table.add_row(verdict.gate, outcome, Text("; ".join(why(verdict))))
    return table


def _print(verdicts: tuple[Verdict, ...], summary: dict[str, Any]) -> None:
    if verdicts:
        console.print()
        console.print(verdict_table(verdicts))
    console.print()
    word = "[bold red]PROMOTE: BLOCKED[/]"
    if summary["error"]:
        word = "[bold yellow]STOPPED[/]"
    elif summary["promote"]:
        word = "[bold green]PROMOTE: READY[/]"
    console.print(f"{word}  {summary['sentence']}", soft_wrap=True)
    console.print(f"[dim]report[/]   {summary['report']}", soft_wrap=True)
    console.print(f"[dim]evidence[/] {summary['evidence']}", soft_wrap=True)
    for title, line in (("repeat", summary["repeat"]), *(("next", x) for x in summary["next"])):
        console.print(f"[dim]{title:<8}[/]", end=" ")
        console.print(line, markup=False, soft_wrap=True)
