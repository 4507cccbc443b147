"""``mlwb e2e``: the whole chain on a running server, with candidates that are bad on purpose."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlwb.cli._common import JsonFlag, QuietFlag, console, errors, print_json
from mlwb.core.clock import SystemClock
from mlwb.core.home import find_home

if TYPE_CHECKING:
    from mlwb.runner import Found

__all__ = ["add"]

_WIDE = 150
"""Longest reason on the screen."""


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("e2e", epilog="Example: mlwb e2e --only errors --only slow")(_e2e)


def _e2e(
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A scenario by name; may be repeated.")
    ] = None,
    at: Annotated[
        Path | None,
        typer.Option("--home", help="Where to play it, with a champion or empty; else a new one."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave a new home where it is.")] = False,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Prove the chain: run, serve, canary, promote, roll back, and stop five bad candidates.

    Each bad candidate is a real ONNX model with a real defect, published like any other. Exit 1
    unless every one is refused or stopped for the right reason and the champion is untouched.
    """
    from mlwb.runner import E2eOptions, e2e_run

    options, clock = E2eOptions(only=tuple(only or ())), SystemClock()
    options.scenarios  # noqa: B018 - a wrong name is said before anything starts
    start_s, found = clock.monotonic_s(), []
    with _place(at, keep=keep) as root, _Line(shown=not (quiet or as_json)) as line:
        for item in e2e_run(
            find_home({"MLWB_HOME": str(root)}), options, clock=clock, tell=line.tell
        ):
            found.append(item)
            line.done(item)
    seconds = clock.monotonic_s() - start_s
    is_right = all(item.is_right for item in found)
    if as_json:
        kept = str(root) if keep or at else None
        acts = [asdict(item) for item in found]
        print_json({"pass": is_right, "seconds": seconds, "home": kept, "acts": acts})
    else:
        _show(found, seconds)
        if keep or at:
            console.print(f"[dim]home[/] {escape(str(root))}", soft_wrap=True)
    if not is_right:
        raise typer.Exit(1)


@contextmanager
def _place(at: Path | None, *, keep: bool) -> Iterator[Path]:
    """The home, and whether it stays."""
    root = at or Path(tempfile.mkdtemp(prefix="mlwb-e2e-"))
    try:
        yield root.resolve()
    finally:
        if at is None and not keep:
            _remove(root)


def _remove(root: Path) -> None:
    """Published versions are read-only; so are their folders."""
    for folder in root.rglob("*"):
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o755)
    shutil.rmtree(root)


def _show(found: Sequence[Found], seconds: float) -> None:
    console.print(_table(found))
    for item in found:
        for problem in item.problems:
            where = f"{item.scenario}, {item.order}"
            console.print(f"[bold red]WRONG[/] {where}: {escape(problem)}", soft_wrap=True)
    answers, wrong = sum(item.answers for item in found), sum(item.wrong for item in found)
    right = sum(item.is_right for item in found)
    style = "green" if right == len(found) else "bold red"
    console.print(
        f"[{style}]{right} of {len(found)} as expected[/] in {seconds:.0f} s; "
        f"{answers:,} answers computed again offline, {wrong} wrong"
    )
    console.print("[dim]* injected: a defect on purpose; says nothing about a real candidate[/]")


def _table(found: Sequence[Found]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("candidate", no_wrap=True)
    table.add_column("order", no_wrap=True)
    table.add_column("came of it", no_wrap=True)
    table.add_column("because", overflow="fold", ratio=1)
    table.add_column("asked", justify="right", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("0 % in", justify="right", no_wrap=True)
    before = ""
    for item in found:
        mark = "*" if item.is_injected else ""
        name = f"[bold]{item.scenario}[/]{mark}" if item.scenario != before else ""
        if item.scenario != before and before:
            table.add_row()
        before = item.scenario
        style = "green" if item.is_right else "bold red"
        asked = f"{item.asked:,} of {item.requests:,}" if item.requests else ""
        table.add_row(
            name,
            item.order,
            f"[{style}]{item.decision}[/]",
            escape(_because(item)),
            asked,
            f"{item.seconds:.1f}",
            "" if item.back_ms is None else f"{item.back_ms:.0f} ms",
        )
    return table


def _because(item: Found) -> str:
    said = item.reason.removeprefix("error promotion.refused ").partition("; see all of it: ")[0]
    return said if len(said) <= _WIDE else said[: _WIDE - 3] + "..."


class _Line:
    """What is being done, on the error stream and only on a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=errors,
            transient=True,
            disable=not shown or not errors.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, scenario: str, order: str, text: str) -> None:
        """Show what is being done."""
        said = " ".join(part for part in (scenario, order, text) if part)
        self._progress.update(self._task, description=said)

    def done(self, item: Found) -> None:
        """Leave a line about an act."""
        word = "[green]ok[/]   " if item.is_right else "[bold red]WRONG[/]"
        said = f"{word} {item.scenario} {item.order}: {item.decision}"
        if not self._progress.disable:
            self._progress.console.print(said)
