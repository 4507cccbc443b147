"""``mlwb report pnl``: what a version's trades came to, day by day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import (
    DataOption,
    JsonFlag,
    ParamOption,
    PolicyOption,
    SourceOption,
    console,
    evidence_store,
    home,
    print_json,
)
from mlwb.cli._report_days import parse_day
from mlwb.cli._run import overrides_of
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ParamsError
from mlwb.evidence import Record

if TYPE_CHECKING:
    from mlwb.monitor import Alert

__all__ = ["add"]

_NUMBERS = frozenset({"won", "trades", "net", "costs"})
_STATE = {"raised": "bold red", "quiet": "green", "not measured": "dim"}
_EXAMPLE = "Example: mlwb report pnl --data bars.csv.gz; mlwb report pnl --trades closed.csv"


def add(report: typer.Typer) -> None:
    """Register the command."""
    report.command("pnl", epilog=_EXAMPLE)(_pnl)


def _pnl(
    day: Annotated[str, typer.Option("--date", help="UTC day; else all not told yet.")] = "",
    data: DataOption = None,
    source: SourceOption = "",
    trades: Annotated[
        Path | None,
        typer.Option("--trades", help="CSV of a desk's closed trades, instead of paper."),
    ] = None,
    equity: Annotated[
        float | None, typer.Option("--equity", help="What money in the file is divided by.")
    ] = None,
    version: Annotated[
        str, typer.Option("--version", help="Whose the trades are; else who answered that day.")
    ] = "",
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Record what served scores earned on paper, or what a desk earned: a record a UTC day.

    `mlwb monitor` measures the triggers win_rate and sharpe from these records. Exit 1 when one of
    the two is beyond its limit.
    """
    from mlwb.monitor import LIVE_PNL
    from mlwb.params import check_overrides, load_params
    from mlwb.stages import live_pnl
    from mlwb.stages.common import policy_of

    if trades is not None and (data or source):
        raise ParamsError("trades of a desk, or a market to trade on: not both")
    if trades is None and (equity is not None or version):
        raise ParamsError("--equity and --version say something about --trades")
    overrides = overrides_of(data, source, param or [])
    check_overrides(name for name in overrides if name != "data.source")
    book = {name: value for name, value in overrides.items() if not name.startswith("data.")}
    overrides |= {"run.policy": policy, "run.model_version": version}
    params = load_params("live_pnl", home().params, overrides=overrides)
    clock = SystemClock()
    wanted = parse_day(day) if day else None
    inputs = live_pnl.load(params, clock, day=wanted, trades=trades, equity=equity, book=book)
    found = live_pnl.measure(inputs)
    records = live_pnl.record(inputs, found, params, clock)
    rules, known = policy_of(params.run), evidence_store().records(LIVE_PNL)
    alerts = {
        version: live_pnl.judge([r for r in known if r.model_version == version], rules, clock)
        for version in sorted({item.model_version for item in records})
    }
    waiting = [(str(item), why) for item, why in found.waiting]
    if as_json:
        print_json({"records": records, "triggers": alerts, "waiting": waiting})
    else:
        _show(records, alerts, waiting)
    if any(item.state == "raised" for of_version in alerts.values() for item in of_version):
        raise typer.Exit(1)


def _show(
    records: tuple[Record, ...],
    alerts: dict[str, tuple[Alert, ...]],
    waiting: list[tuple[str, str]],
) -> None:
    if not records and not waiting:
        console.print("every day is told")
    if records:
        console.print(_days(records))
    for version, of_version in alerts.items():
        for item in of_version:
            said = f"{escape(version)} {item.id}: {escape(item.reason)}"
            console.print(f"[{_STATE[item.state]}]{item.state}[/] {said}", soft_wrap=True)
    for day, why in waiting:
        console.print(f"[yellow]waits[/] {day}: {escape(why)}", soft_wrap=True)


def _days(records: tuple[Record, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("day", "version", "of", "won", "trades", "net", "costs"):
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for record in records:
        rate = next(metric for metric in record.metrics if metric.name == "win_rate")
        is_paper = record.origin != "live"
        table.add_row(
            record.details["date"],
            escape(record.model_version),
            record.details["source"] + (f" ({record.origin})" if is_paper else ""),
            "-" if rate.value is None else f"{rate.value:.1%}",
            "-" if rate.n is None else f"{rate.n:,}",
            f"{record.value('net_return'):+.3%}",
            f"{record.value('cost_return'):.3%}",
        )
    return table
