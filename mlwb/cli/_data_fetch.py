"""``mlwb data fetch``: bars from a public archive, verified, with what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from mlwb.cli._common import JsonFlag, QuietFlag, console, errors, print_json

if TYPE_CHECKING:
    from mlwb.data.fetch import FetchedFile, FetchReport, Progress

__all__ = ["add"]

_MAX_NAMED = 3
"""Files that fit into one command to be typed."""


class Archive(StrEnum):
    """Archives that can be fetched from."""

    BINANCE = "binance"


class MarketKind(StrEnum):
    """Parts of the archive."""

    SPOT = "spot"
    UM = "um"
    CM = "cm"


def add(data: typer.Typer) -> None:
    """Register the command."""
    data.command(
        "fetch",
        epilog="Example: mlwb data fetch binance BTCUSDT --from 2025-01-01 --to 2025-03-31",
    )(_fetch)


def _fetch(
    archive: Annotated[Archive, typer.Argument(help="The archive.")],  # noqa: ARG001 - one so far
    symbol: Annotated[str, typer.Argument(help="As the exchange writes it: BTCUSDT.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day.")],
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC day, included.")
    ],
    market: Annotated[
        MarketKind, typer.Option("--market", help="Spot, USD- or coin-margined futures.")
    ] = MarketKind.SPOT,
    interval: Annotated[str, typer.Option("--interval", help="Bar length.")] = "1m",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; data/MARKET/SYMBOL-INTERVAL by default.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Requests at a time, 1 to 16.")] = 4,
    base_url: Annotated[
        str, typer.Option("--base-url", help="A mirror with the archive's layout.")
    ] = "",
    allow_mismatch: Annotated[
        bool,
        typer.Option("--allow-mismatch", help="Keep files that differ from their checksum."),
    ] = False,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Fetch public bars: whole months where there are files of them, days otherwise.

    Each zip is compared with its published SHA-256; a mismatch is shown with both hashes and
    ends with exit code 3. Run the same command again after an interruption: what is whole is not
    fetched again, what is half goes on.
    """
    from mlwb.data.fetch import BASE_URL, KlineRequest, fetch_klines

    request = KlineRequest(symbol.upper(), first.date(), last.date(), market.value, interval)
    folder = out or Path("data") / request.market / f"{request.symbol}-{interval}"
    try:
        with _bar(request.symbol, is_shown=errors.is_terminal and not (quiet or as_json)) as moved:
            report = fetch_klines(
                request,
                folder,
                base_url=base_url or BASE_URL,
                jobs=jobs,
                allow_mismatch=allow_mismatch,
                on_progress=moved,
            )
    except KeyboardInterrupt:
        errors.print(f"interrupted; the same command goes on from what is in {folder}")
        raise typer.Exit(130) from None
    if as_json:
        print_json(_as_plain(report))
    else:
        _print(report)
    if report.refused:
        raise typer.Exit(3)


@contextmanager
def _bar(symbol: str, *, is_shown: bool) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on standard error, or nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    size = TextColumn("files  {task.fields[mb]:,.1f} MB")
    with Bar(*columns, size, TimeElapsedColumn(), console=errors, disable=not is_shown) as bar:
        task = bar.add_task(symbol, total=None, mb=0.0)

        def moved(progress: Progress) -> None:
            bar.update(task, completed=progress.files, total=progress.of, mb=progress.size / 1e6)

        yield moved


def _as_plain(report: FetchReport) -> dict[str, object]:
    request = report.request
    return {
        "symbol": request.symbol,
        "market": request.market,
        "interval": request.interval,
        "first": request.first.isoformat(),
        "last": request.last.isoformat(),
        "folder": str(report.folder),
        "files": [asdict(file) for file in report.files],
        "missing": [day.isoformat() for day in report.missing],
        "paths": [str(path) for path in report.paths],
        "next": _next_commands(report),
    }


def _print(report: FetchReport) -> None:
    request, kept = report.request, [file for file in report.files if file.is_kept]
    there = sum(file.status == "present" for file in kept)
    console.print(
        f"{request.symbol} {request.market} {request.interval}, {request.first} to {request.last}: "
        f"{len(kept)} files in {report.folder} ({there} were there), "
        f"{sum(file.size for file in kept) / 1e6:,.1f} MB, "
        f"{sum(file.rows for file in kept):,} of "
        f"{sum(file.expected_rows for file in kept):,} bars",
        soft_wrap=True,
    )
    for file in report.files:
        if file.status not in ("fetched", "present"):
            _print_bad(file)
        elif file.rows != file.expected_rows:
            console.print(
                f"[dim]-[/] {file.name} holds {file.rows:,} of {file.expected_rows:,} bars"
            )
    if report.missing:
        console.print(f"[dim]-[/] not published: {_said(report.missing)}", soft_wrap=True)
    for command in _next_commands(report):
        console.print(f"next: [bold]{escape(command)}[/]", soft_wrap=True)


def _print_bad(file: FetchedFile) -> None:
    why = {
        "mismatch": "differs from its published SHA-256",
        "unverified": "has no published SHA-256",
        "damaged": "is damaged",
    }[file.status]
    said = [why, "kept all the same" if file.is_kept else "not kept", file.note]
    console.print(
        f"[bold red]![/] {file.name} {'; '.join(part for part in said if part)}", soft_wrap=True
    )
    if file.status == "mismatch":
        console.print(f"    published {file.published_sha256}", soft_wrap=True)
        console.print(f"    received  {file.sha256}", soft_wrap=True)
    if not file.is_kept and file.status != "damaged":
        console.print("    --allow-mismatch keeps it", soft_wrap=True)


def _said(days: Sequence[date]) -> str:
    """Days as ranges: ``2025-01-17, 2025-01-19 to 2025-01-25 (8 days)``."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    texts = [f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return f"{', '.join(texts)} ({len(days)} day{'s' if len(days) > 1 else ''})"


def _next_commands(report: FetchReport) -> list[str]:
    if not report.paths or report.request.interval != "1m":
        return []
    if len(report.paths) <= _MAX_NAMED:
        named = " ".join(f"--data {shlex.quote(str(path))}" for path in report.paths)
        return [f"mlwb run {named}"]
    request = report.request
    bars = shlex.quote(str(report.folder / f"{request.symbol}.parquet"))
    some = f"{shlex.quote(str(report.folder))}/{request.symbol}-1m-*.zip"
    return [f"mlwb data import {some} --out {bars}", f"mlwb run --data {bars}"]
