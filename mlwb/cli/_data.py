"""``mlwb data``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mlwb.cli import _data_facts, _data_fetch, _data_make
from mlwb.cli._common import JsonFlag, console, print_json
from mlwb.core.canonical import to_plain

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Register the commands."""
    data = typer.Typer(help="Market data: what it is and what is wrong with it.")
    data.command("quality", epilog="Example: mlwb data quality bars.csv.gz")(_quality)
    data.command("profiles", epilog="Example: mlwb data profiles")(_profiles)
    _data_fetch.add(data)
    _data_make.add(data)
    _data_facts.add(data)
    app.add_typer(data, name="data")


def _quality(
    files: Annotated[list[str], typer.Argument(help="One file, or a bid and an ask file.")],
    source: Annotated[str, typer.Option("--source", help="Source profile.")] = "auto",
    symbol: Annotated[str, typer.Option("--symbol", help="One of several in a file.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 on a serious finding.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read a market and print every check as a count."""
    from mlwb.data import counted, load_market, quality

    market = load_market(files, profile=source, symbol=symbol)
    report = quality(market)
    if as_json:
        print_json({**to_plain(asdict(report)), "decisions": market.source.decisions})
        return
    for decision in market.source.decisions:
        console.print(f"[dim]read as[/] {escape(decision)}", soft_wrap=True)
    console.print(
        f"{report.symbol}: {report.bars:,} bars from {report.first_utc} to {report.last_utc}, "
        f"{report.coverage.share:.2%} of the {report.calendar} calendar, {report.shape}",
        soft_wrap=True,
    )
    for finding in report.findings:
        mark = "[bold red]![/]" if finding.is_serious else "[dim]-[/]"
        console.print(f"{mark} {escape(counted(finding.count, finding.detail))}", soft_wrap=True)
    if strict and report.serious:
        raise typer.Exit(3)


def _profiles(as_json: JsonFlag = False) -> None:
    """List the source profiles."""
    from mlwb.data import describe, profile_names

    rows = {name: describe(name) for name in profile_names()}
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="dim")
    table.add_column("profile")
    table.add_column("what it reads")
    for name, text in rows.items():
        table.add_row(name, Text(text))
    console.print(table)
