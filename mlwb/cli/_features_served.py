"""``mlwb features served``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mlwb.cli._common import (
    DataOption,
    JsonFlag,
    ParamOption,
    PolicyOption,
    SourceOption,
    console,
    home,
    print_json,
)
from mlwb.cli._run import overrides_of
from mlwb.core.clock import SystemClock

if TYPE_CHECKING:
    from mlwb.stages.served_features import Served

__all__ = ["add"]


def add(features: typer.Typer) -> None:
    """Register the command."""
    features.command("served", epilog="Example: mlwb features served --data bars.csv.gz")(_served)


def _served(
    data: DataOption = None,
    source: SourceOption = "",
    log: Annotated[
        Path | None, typer.Option("--log", help="Feature log; else that of this home's server.")
    ] = None,
    symbol: Annotated[str, typer.Option("--symbol", help="Its name in the log.")] = "",
    version: Annotated[str, typer.Option("--version", help="Else the one in `latest`.")] = "",
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compute the features a server logged again, from the market. Exit 1 where a bit differs.

    Writes evidence, which the gate parity judges.
    """
    from mlwb.gates import holds
    from mlwb.params import check_overrides, load_params
    from mlwb.stages import served_features
    from mlwb.stages.common import policy_of

    overrides = overrides_of(data, source, param or [])
    check_overrides(name for name in overrides if name != "data.source")
    overrides |= {"run.policy": policy, "run.model_version": version}
    params = load_params("replay", home().params, overrides=overrides)
    inputs = served_features.load(params, log=log, symbol=symbol)
    found = served_features.measure(inputs)
    (record,) = served_features.record(inputs, found, SystemClock())
    limit = policy_of(params.run).limit("parity.served_mismatches")
    is_good = holds(found.mismatches, limit.comparator, limit.value)
    if as_json:
        print_json({"record": record, "pass": is_good})
    else:
        _show(found, inputs.sidecar.model_version)
    if not is_good:
        raise typer.Exit(1)


def _show(found: Served, version: str) -> None:
    console.print(
        f"{version}: {found.mismatches:,} of {found.values:,} values served differ from those "
        f"computed from the market, in {found.rows:,} rows of {found.symbol}",
        soft_wrap=True,
    )
    if found.rows_outside:
        console.print(f"[dim]not compared: {found.rows_outside:,} rows outside of the market")
    if not found.differences:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("bar", "feature", "served", "from the market"):
        table.add_column(column)
    for item in found.differences:
        table.add_row(item.ts, item.feature, item.served, item.offline)
    console.print(table)
