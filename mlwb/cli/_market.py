"""``mlwb data`` and ``mlwb doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mlwb import __version__
from mlwb.cli import _market_facts, _market_fetch, _market_make
from mlwb.cli._common import (
    JsonFlag,
    console,
    evidence_store,
    home,
    kept_heads,
    print_json,
    print_problems,
    registry,
)
from mlwb.core.canonical import to_plain
from mlwb.core.host_clock import host_clock

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Register the commands."""
    data = typer.Typer(help="Market data: what it is and what is wrong with it.")
    data.command("quality", epilog="Example: mlwb data quality bars.csv.gz")(_quality)
    data.command("profiles", epilog="Example: mlwb data profiles")(_profiles)
    _market_fetch.add(data)
    _market_make.add(data)
    _market_facts.add(data)
    app.add_typer(data, name="data")
    app.command("doctor", epilog="Example: mlwb doctor")(_doctor)


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


def _clock() -> str:
    """How well this host's clock is kept: a recorder's skew is its host's."""
    found = host_clock()
    if found is None:
        return "this system does not say"
    if not found.is_synchronised:
        return "follows no time server: what is recorded here has stamps of unknown error"
    return f"{found.offset_ms:+.1f} ms to correct, wrong by at most {found.max_error_ms:.0f} ms"


def _unfinished() -> list[str]:
    """Folders of runs that left no ``run.json``: still at work, or cut off."""
    outputs = home().outputs
    if not outputs.is_dir():
        return []
    folders = (path for path in outputs.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(path.name for path in folders if not (path / "run.json").is_file())


def _doctor(as_json: JsonFlag = False) -> None:
    """Check the environment, the registry and the evidence."""
    models = registry()
    problems = [f"registry: {problem}" for problem in models.doctor()]
    problems += [f"evidence: {problem}" for problem in evidence_store().verify(kept_heads())]
    facts = {
        "mlwb": __version__,
        "clock": _clock(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "latest": models.latest(),
        "candidate": models.candidate(),
        "unfinished runs": ", ".join(_unfinished()),
        "problems": problems,
    }
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            if name != "problems":
                console.print(f"{name:<15} {value or '-'}")
        print_problems(problems, "nothing wrong found")
    if problems:
        raise typer.Exit(5 if any(p.startswith("registry") for p in problems) else 6)
