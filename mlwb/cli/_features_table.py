"""``mlwb features list``, ``build`` and ``probe``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from mlwb.cli._common import (
    DataOption,
    JsonFlag,
    ParamOption,
    SourceOption,
    console,
    home,
    print_json,
)
from mlwb.cli._run import overrides_of
from mlwb.core.canonical import digest_file, to_plain
from mlwb.core.clock import format_utc

if TYPE_CHECKING:
    from mlwb.features.probe import Probe
    from mlwb.stages.feature_table import FeatureTable, Probes

__all__ = ["add"]

_MODULE = typer.Option(
    "--module", help="Module or .py file with features of your own; may be repeated."
)


def add(features: typer.Typer) -> None:
    """Register the commands."""
    features.command("list", epilog="Example: mlwb features list --module my_features.py")(_list)
    features.command(
        "build", epilog="Example: mlwb features build --data bars.csv.gz --out table.parquet"
    )(_build)
    features.command("probe", epilog="Example: mlwb features probe --data bars.csv.gz")(_probe)


def _list(
    module: Annotated[list[str] | None, _MODULE] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the features mlwb comes with, and those of your modules.

    A module is checked as it is before training, short of compiling it.
    """
    from mlwb.features import FEATURES, load_features

    found = (*FEATURES, *load_features(module or []))
    if as_json:
        shown = ("name", "unit", "lookback_s", "inputs", "source")
        print_json(
            [
                {**{name: to_plain(getattr(s, name)) for name in shown}, "digest": s.digest}
                for s in found
            ]
        )
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("feature", "unit", "needs", "reads", "source"):
        table.add_column(column, no_wrap=column == "feature")
    for spec in found:
        needs = f"{spec.lookback_s // 60:,} min" if spec.lookback_s else "-"
        table.add_row(spec.name, spec.unit, needs, " ".join(spec.inputs) or "-", spec.source)
    console.print(table)


def _build(
    out: Annotated[Path, typer.Option("--out", help="FILE.parquet.")],
    data: DataOption = None,
    source: SourceOption = "",
    module: Annotated[list[str] | None, _MODULE] = None,
    param: ParamOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write features and label of a market as parquet: one row a bar.

    Which features and which label is `params/feature_study.yml`, as for the study. The file's
    metadata holds the digest of the features, which a version trained on them has too.
    """
    from mlwb.stages.feature_table import write

    table = _table_of(data, source, module or [], param or [])
    write(table, out)
    labels, prepared = table.labels, table.prepared
    facts: dict[str, Any] = {
        "path": str(out),
        "sha256": digest_file(out),
        "symbol": prepared.market.symbol,
        "rows": len(prepared.bars),
        "complete_rows": int(prepared.complete.sum()),
        "features": list(prepared.names),
        "dropped": list(prepared.dropped),
        "feature_spec_digest": table.digest,
        "label": labels.kind,
        "labels": int(labels.valid.sum()),
        "n_eff": labels.n_eff,
    }
    if as_json:
        print_json(facts)
        return
    console.print(
        f"{facts['symbol']}: {facts['rows']:,} bars, {facts['complete_rows']:,} with all of "
        f"{len(prepared.names)} features, {facts['labels']:,} {labels.kind} labels worth "
        f"{labels.n_eff:,.0f} that do not overlap, in {out}",
        soft_wrap=True,
    )
    for name in prepared.dropped:
        console.print(f"[yellow]![/] left out: the source does not record what {name} reads")
    console.print(f"[dim]features[/] {table.digest}", soft_wrap=True)


def _probe(
    data: DataOption = None,
    source: SourceOption = "",
    module: Annotated[list[str] | None, _MODULE] = None,
    param: ParamOption = None,
    points: Annotated[int, typer.Option("--points", min=2, help="Bars compared.")] = 32,
    bars: Annotated[int, typer.Option("--bars", min=100, help="Last bars used.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Of points and of what is put in.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Look for values that read the future: features, label, scaler, regimes. Exit 3 on one.

    Everything after a bar is cut off, and again spoiled; the value at that bar must stay the same
    bits. Also says how much history each feature needs.
    """
    from mlwb.stages.feature_table import probe

    table = _table_of(data, source, module or [], param or [])
    found = probe(table, n_points=points, n_bars=bars, seed=seed)
    if as_json:
        print_json(_plain(found))
    else:
        _print(found, table)
    if not found.is_clean:
        raise typer.Exit(3)


def _table_of(
    data: list[str] | None, source: str, modules: Sequence[str], given: Sequence[str]
) -> FeatureTable:
    from mlwb.features import load_features
    from mlwb.params import check_overrides, load_params
    from mlwb.stages.feature_table import build

    overrides = overrides_of(data, source, given)
    check_overrides(name for name in overrides if name != "data.source")
    folder = home().params
    if modules:
        before = load_params("feature_study", folder, overrides=overrides).features
        own = [spec.name for spec in load_features(modules)]
        names = [*before.names, *(name for name in own if name not in before.names)]
        overrides |= {"features.modules": [*before.modules, *modules], "features.names": names}
    return build(load_params("feature_study", folder, overrides=overrides))


def _plain(found: Probes) -> dict[str, Any]:
    return {
        "bars": found.bars,
        "clean": found.is_clean,
        "probes": [
            {
                "what": item.what,
                "points": item.n_points,
                "known": item.n_known,
                "clean": item.is_clean,
                "violation": _violation(item),
            }
            for item in found.found
        ],
        "history": [
            {
                "name": s.name,
                "lookback_s": s.lookback_s,
                "needed_s": s.needed_s,
                "enough": s.is_enough,
            }
            for s in found.start
        ],
    }


def _violation(item: Probe) -> dict[str, Any] | None:
    if item.violation is None:
        return None
    return {
        name: repr(x) if isinstance(x, float) else x for name, x in asdict(item.violation).items()
    }


def _print(found: Probes, table: FeatureTable) -> None:
    history = {item.name: item for item in found.start}
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("value", "compared", "reads the future", "history needed"):
        shown.add_column(column, no_wrap=True)
    for item in found.found:
        said, needs = ("[green]no[/]" if item.n_known else "[yellow]never known here[/]"), ""
        if not item.is_clean:
            said = "[bold red]yes[/]"
        if item.what in history:
            needs = _history(history[item.what].needed_s, enough=history[item.what].is_enough)
        shown.add_row(item.what, f"{item.n_points}", said, needs)
    console.print(shown)
    for item in found.found:
        if item.violation is not None:
            text = f"{item.what} reads {item.violation.reach} bars too far"
            if item.what != "scaler":  # its rows are those with all features, not bars
                text += f", first at {_when(item.violation.row, found, table)}"
            console.print(f"[bold red]![/] {text}", soft_wrap=True)
    clean = "nothing reads the future" if found.is_clean else "[bold red]not clean[/]"
    console.print(f"{clean}, on the last {found.bars:,} bars of {table.prepared.market.symbol}")


def _when(row: int, found: Probes, table: FeatureTable) -> str:
    ts = table.prepared.ts[-found.bars :][row]
    return format_utc(datetime.fromtimestamp(int(ts), tz=UTC))


def _history(needed_s: int | None, *, enough: bool) -> str:
    said = "more than was tried" if needed_s is None else f"{needed_s // 60:,} min"
    return said if enough else f"[bold red]{said}, more than its look-back[/]"
