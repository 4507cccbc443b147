"""``mlwb features study``: notebook 01 alone, without training anything."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from mlwb.cli._common import (
    DataOption,
    JsonFlag,
    ParamOption,
    PolicyOption,
    ProfileOption,
    QuietFlag,
    SourceOption,
    console,
    home,
    print_json,
)
from mlwb.cli._run import overrides_of, run_steps
from mlwb.evidence import Record

__all__ = ["add"]

_STEPS = ("data", "feature_study")
_REPORT = "01_feature_study.html"


def add(features: typer.Typer) -> None:
    """Register the command."""
    features.command("study", epilog="Example: mlwb features study --data bars.csv.gz")(_study)


def _study(
    data: DataOption = None,
    source: SourceOption = "",
    profile: ProfileOption = "",
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Study the features of a market: memory, stationarity, information, costs; train nothing.

    Checks the data, runs notebook 01 and prints for each feature what kind of series it is, whether
    PSI can judge it, and what it knows at the label's horizon.
    """
    from mlwb.runner import Options

    options = Options(
        home=home(),
        profile=profile,
        policy=policy,
        overrides=overrides_of(data, source, param or []),
        command="features study",
    )
    outcome, records = run_steps(options, _STEPS, shown=not (quiet or as_json))
    record = next(record for record in records if record.kind == "feature_study")
    report = str(outcome.folder / _REPORT)
    rows = [_row(record, name) for name in record.details["features"]]
    if as_json:
        print_json({"run_id": outcome.run_id, "report": report, "features": rows})
        return
    console.print(_table(rows, record.details["label"]))
    console.print(f"[dim]report[/]   {report}", soft_wrap=True)
    console.print(f"[dim]evidence[/] {options.home.evidence}", soft_wrap=True)


def _row(record: Record, name: str) -> dict[str, Any]:
    at = f"{name}@{record.details['label']['horizon_s']}s"
    return {
        "name": name,
        "reading": record.details["stationarity"][name],
        "adf_p_holm": _value(record, "adf_p_holm", name),
        "kpss_p": _value(record, "kpss_p", name),
        "psi": record.details["psi_eligibility"][name],
        "psi_window_days": _value(record, "psi_window_days", name),
        "n_effective": _value(record, "n_effective", name),
        "rank_ic": _value(record, "rank_ic", at),
        "rank_ic_p_holm": _value(record, "rank_ic_p_holm", at),
    }


def _value(record: Record, name: str, segment: str) -> float | None:
    found = (m.value for m in record.metrics if (m.name, m.segment) == (name, segment))
    return next(found, None)


def _table(rows: list[dict[str, Any]], label: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("feature", no_wrap=True)
    table.add_column("reading", no_wrap=True)
    table.add_column("PSI from", no_wrap=True)
    table.add_column("worth, rows", justify="right")
    table.add_column(f"rank IC {label['horizon_s']} s", justify="right")
    table.add_column("p, Holm", justify="right")
    for row in rows:
        days = row["psi_window_days"]
        table.add_row(
            row["name"],
            row["reading"],
            f"[green]{days:.0f} d[/]" if days is not None else f"[yellow]{row['psi']}[/]",
            f"{row['n_effective']:,.0f}",
            _number(row["rank_ic"]),
            _p(row["rank_ic_p_holm"]),
        )
    return table


def _number(value: float | None) -> str:
    return "[dim]-[/]" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "< 0.001" if value is not None and value < 0.001 else _number(value)
