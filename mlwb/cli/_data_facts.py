"""``mlwb data facts``: the synthetic market beside recorded ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from mlwb.cli._common import JsonFlag, console, print_json

if TYPE_CHECKING:
    from mlwb.data import Fact

__all__ = ["add"]


def add(data: typer.Typer) -> None:
    """Register the command."""
    data.command("facts", epilog="Example: mlwb data facts BTCUSDT_1m.csv.gz")(_facts)


def _facts(
    files: Annotated[
        list[str] | None, typer.Argument(help="Recorded markets to compare with, one a file.")
    ] = None,
    source: Annotated[str, typer.Option("--source", help="Source profile of the files.")] = "auto",
    days: Annotated[int, typer.Option("--days", help="Days of the synthetic market.")] = 90,
    seed: Annotated[int, typer.Option("--seed", help="Its seed.")] = 7,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when the synthetic market misses a range.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Print what minutes of recorded markets have in common, and whether the synthetic one has it.

    Green lies in the range of recorded markets, red with a ! outside. Ranges are those of crypto
    markets for moves and volume, of quoted currencies and gold for spreads.
    """
    from mlwb.data import FACTS, load_market, market_facts

    found = {"synthetic": market_facts(load_market("synthetic", days=days, seed=seed))}
    for file in files or []:
        market = load_market(file, profile=source)
        found[_free(market.symbol, found)] = market_facts(market)
    missed = [fact.name for fact in FACTS if fact.holds(found["synthetic"][fact.name]) is False]
    if as_json:
        print_json({"facts": [_as_plain(fact, found) for fact in FACTS], "missed": missed})
    else:
        console.print(_table(FACTS, found))
        n_ranges = sum(not math.isnan(fact.low) for fact in FACTS)
        console.print(
            f"synthetic: {n_ranges - len(missed)} of {n_ranges} in range"
            + (f"; outside: {', '.join(missed)}" if missed else ""),
            soft_wrap=True,
        )
    if strict and missed:
        raise typer.Exit(1)


def _free(symbol: str, taken: Mapping[str, object]) -> str:
    """The symbol, with a number where two files have the same one."""
    name, number = symbol, 2
    while name in taken:
        name, number = f"{symbol} ({number})", number + 1
    return name


def _as_plain(fact: Fact, found: Mapping[str, Mapping[str, float]]) -> dict[str, object]:
    return {
        "name": fact.name,
        "about": fact.about,
        "low": _number(fact.low),
        "high": _number(fact.high),
        "values": {market: _number(values[fact.name]) for market, values in found.items()},
        "holds": {market: fact.holds(values[fact.name]) for market, values in found.items()},
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _table(facts: tuple[Fact, ...], found: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(box=None, header_style="dim")
    table.add_column("fact", overflow="fold")
    table.add_column("recorded", justify="right", no_wrap=True)
    for market in found:
        table.add_column(market, justify="right")
    for fact in facts:
        cells = [_cell(fact, values[fact.name]) for values in found.values()]
        table.add_row(fact.about, _range(fact), *cells)
    return table


def _range(fact: Fact) -> str:
    if math.isnan(fact.low):
        return ""
    return f"{fact.low:.{fact.digits}f} to {fact.high:.{fact.digits}f}"


def _cell(fact: Fact, value: float) -> Text:
    """Coloured, and marked for those who see no colour."""
    if math.isnan(value):
        return Text("-", style="dim")
    style, mark = {True: ("green", " "), False: ("bold red", "!"), None: ("", " ")}[
        fact.holds(value)
    ]
    return Text(f"{value:.{fact.digits}f}{mark}", style=style)
