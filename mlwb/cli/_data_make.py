"""``mlwb data import`` and ``mlwb data simulate``: commands that end in a canonical file."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mlwb.cli._common import JsonFlag, console, print_json
from mlwb.core.canonical import digest_file
from mlwb.core.errors import ParamsError

if TYPE_CHECKING:
    from mlwb.data import DefectPlan, Market, QualityReport, Regime

__all__ = ["add"]


def add(data: typer.Typer) -> None:
    """Register the commands."""
    data.command("import", epilog="Example: mlwb data import bars_*.csv --out bars.parquet")(
        _import
    )
    data.command("simulate", epilog="Example: mlwb data simulate --days 30 --out bars.parquet")(
        _simulate
    )


def _import(
    files: Annotated[list[str], typer.Argument(help="Files of one symbol, or a bid/ask pair.")],
    out: Annotated[Path, typer.Option("--out", help="FILE.parquet, FILE.csv or FILE.csv.gz.")],
    source: Annotated[str, typer.Option("--source", help="Source profile.")] = "auto",
    symbol: Annotated[str, typer.Option("--symbol", help="Default: from the file's name.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 on a serious finding.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write any market as one canonical file: a clean bar a minute, sorted, in UTC.

    What is wrong with the source is said, not hidden: serious findings are printed, and the
    quality report of the source is the one to judge by. With --strict nothing is written then.
    """
    from mlwb.data import load_market, quality, write_market

    market = load_market(files, profile=source, symbol=symbol)
    report = quality(market)
    is_refused = strict and bool(report.serious)
    written = () if is_refused else write_market(market, out)
    if as_json:
        print_json(_as_plain(market, report, written))
    else:
        for decision in market.source.decisions:
            console.print(f"[dim]read as[/] {decision}", soft_wrap=True)
        _print(market, report, written)
    if is_refused:
        raise typer.Exit(3)


def _simulate(
    out: Annotated[Path, typer.Option("--out", help="FILE.parquet, FILE.csv or FILE.csv.gz.")],
    days: Annotated[int, typer.Option("--days", help="Days of 1,440 minutes.")] = 90,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same market.")] = 7,
    start: Annotated[
        datetime, typer.Option("--start", formats=["%Y-%m-%d"], help="First UTC day.")
    ] = datetime(2026, 1, 1),  # noqa: DTZ001 - a day; it becomes UTC below
    direction_ic: Annotated[
        float, typer.Option("--direction-ic", help="Correlation of one return with the next.")
    ] = 0.0,
    volatility_edge: Annotated[
        float, typer.Option("--volatility-edge", help="How predictable sizes are; 1 as recorded.")
    ] = 1.0,
    regime: Annotated[
        list[str] | None,
        typer.Option("--regime", help="DAY:volatility=2,spread=1.5 from a day on; repeatable."),
    ] = None,
    defect: Annotated[
        list[str] | None,
        typer.Option("--defect", help="KIND=COUNT, for example duplicates=5; may be repeated."),
    ] = None,
    quotes: Annotated[bool, typer.Option("--quotes/--no-quotes", help="Bid and ask.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Write the synthetic market as a file, with faults where asked for."""
    from mlwb.data import quality, simulate_market, write_market

    market = simulate_market(
        days=days,
        seed=seed,
        start=start.replace(tzinfo=UTC),
        volatility_edge=volatility_edge,
        direction_ic=direction_ic,
        regimes=[_regime(word) for word in regime or []],
        defects=_plan(defect or []),
        quotes=quotes,
    )
    written = write_market(market, out, as_read=True)
    if as_json:
        print_json(_as_plain(market, quality(market), written))
        return
    for decision in market.source.decisions:
        console.print(f"[dim]made[/] {decision}", soft_wrap=True)
    _print(market, quality(market), written)


def _regime(wanted: str) -> Regime:
    """``DAY:NAME=FACTOR,...`` as a regime."""
    from mlwb.data import Regime

    day, _, factors = wanted.partition(":")
    try:
        pairs = [pair.split("=") for pair in factors.split(",")]
        return Regime(float(day), **{name: float(value) for name, value in pairs})
    except (TypeError, ValueError) as error:
        raise ParamsError(
            "no regime",
            expected="DAY:NAME=FACTOR, NAME one of volatility, volume, spread",
            got=wanted,
        ) from error


def _plan(wanted: Sequence[str]) -> DefectPlan | None:
    """``KIND=COUNT`` words as a plan; a kind that is a yes or no needs no count."""
    from mlwb.data import DefectPlan

    kinds = {field.name: field.type for field in dataclasses.fields(DefectPlan)}
    counts: dict[str, int | bool] = {}
    for word in wanted:
        kind, _, count = word.partition("=")
        is_flag = kinds.get(kind) in (bool, "bool")
        if kind not in kinds or not (count.isdigit() or (is_flag and not count)):
            raise ParamsError(
                "no defect", expected=f"KIND=COUNT, KIND one of {', '.join(kinds)}", got=word
            )
        counts[kind] = bool(int(count or 1)) if is_flag else int(count)
    return DefectPlan(**counts) if counts else None  # type: ignore[arg-type]


def _as_plain(market: Market, report: QualityReport, written: Sequence[Path]) -> dict[str, object]:
    return {
        "symbol": market.symbol,
        "bars": report.bars,
        "first": report.first_utc,
        "last": report.last_utc,
        "calendar": report.calendar,
        "decisions": list(market.source.decisions),
        "serious": [dataclasses.asdict(finding) for finding in report.serious],
        "files": [{"path": str(path), "sha256": digest_file(path)} for path in written],
        "next": _next_command(written),
    }


def _print(market: Market, report: QualityReport, written: Sequence[Path]) -> None:
    from mlwb.data import counted

    for finding in report.serious:
        text = counted(finding.count, finding.detail)
        console.print(f"[bold red]![/] {finding.check}: {escape(text)}", soft_wrap=True)
    if not written:
        console.print("nothing written: the findings above are serious")
        return
    console.print(
        f"{market.symbol}: {report.bars:,} bars from {report.first_utc} to {report.last_utc} "
        f"in {' and '.join(str(path) for path in written)}",
        soft_wrap=True,
    )
    console.print(f"next: [bold]{escape(_next_command(written))}[/]", soft_wrap=True)


def _next_command(written: Sequence[Path]) -> str:
    if not written:
        return ""
    file, *profile = (shlex.quote(str(path)) for path in written)
    return " ".join([f"mlwb run --data {file}", *(f"--source {name}" for name in profile)])
