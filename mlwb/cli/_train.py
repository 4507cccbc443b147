"""``mlwb train``: notebook 02 alone, up to a registered candidate."""

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
    read_policy,
)
from mlwb.cli._run import overrides_of, run_steps, verdict_table
from mlwb.core.clock import SystemClock
from mlwb.evidence import Record

__all__ = ["add"]

_STEPS = ("data", "training")
_REPORT = "02_training.html"
_SHOWN = (
    "auc",
    "auc_holdout",
    "rank_ic_holdout",
    "p_against_holdout",
    "rank_ic_beyond_rule",
    "improvement",
    "dsr",
    "trials_tried",
    "gate_window_reuses",
)
"""What the terminal shows of some thirty metrics."""


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("train", epilog="Example: mlwb train --data bars.csv.gz -p search.c=[0.1]")(_train)


def _train(
    data: DataOption = None,
    source: SourceOption = "",
    profile: ProfileOption = "",
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Train a candidate and prove it: search, whole histories, held-out bars, ONNX, register.

    Checks the data and runs notebook 02. The candidate is registered, nothing is promoted; the
    gates that training answers are printed.
    """
    from mlwb.runner import Options
    from mlwb.stages import training

    options = Options(
        home=home(),
        profile=profile,
        policy=policy,
        overrides=overrides_of(data, source, param or []),
        command="train",
    )
    outcome, records = run_steps(options, _STEPS, shown=not (quiet or as_json))
    limits = read_policy(policy)
    verdicts = training.judge(records, limits, SystemClock())
    found = _numbers(records)
    report = str(outcome.folder / _REPORT)
    if as_json:
        gates = {verdict.gate: str(verdict.outcome) for verdict in verdicts}
        said = {"run_id": outcome.run_id, "model_version": outcome.version, "report": report}
        print_json({**said, "metrics": found, "gates": gates})
        return
    console.print(_table(found))
    console.print()
    console.print(verdict_table(verdicts))
    console.print()
    console.print(f"{outcome.version} is registered; nothing is promoted", soft_wrap=True)
    console.print(f"[dim]report[/]   {report}", soft_wrap=True)
    console.print(f"[dim]evidence[/] {options.home.evidence}", soft_wrap=True)


def _numbers(records: tuple[Record, ...]) -> dict[str, Any]:
    """The metrics shown, each with its interval; without a value where it was not measured."""
    metrics = {m.name: m for record in records for m in record.metrics if not m.segment}
    return {
        name: {
            "value": metrics[name].value,
            "ci": [ci.lo, ci.hi] if (ci := metrics[name].ci) else None,
        }
        for name in _SHOWN
        if name in metrics
    }


def _table(found: dict[str, Any]) -> Table:
    from mlwb.report.text import interval, metric_unit, metric_words, number

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("measured", no_wrap=True)
    table.add_column("", justify="right")
    table.add_column("95 %", justify="right", style="dim")
    for name, metric in found.items():
        unit, value = metric_unit(name), metric["value"]
        shown = "-" if value is None else number(value, unit)
        ends = metric["ci"]
        between = interval(ends[0], ends[1], unit) if ends else ""
        table.add_row(metric_words(name), shown, between)
    return table
