"""``mlwb psi``: notebook 03 alone, for the candidate or a version that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    registry,
)
from mlwb.cli._run import overrides_of, run_steps, verdict_table
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EmptyWindowError, EvidenceMissingError, ParamsError

if TYPE_CHECKING:
    from mlwb.drift.planning import Plan
    from mlwb.evidence import Record
    from mlwb.gates import Verdict
    from mlwb.report.text import DriftRow
    from mlwb.runner import Outcome

__all__ = ["add"]

_STEPS = ("data", "psi_validation")
_LIMITS = ("psi.feature", "drift.prediction_psi")
_REPORT = "03_psi_validation.html"
_COLOURS = {"pass": "green", "fail": "bold red"}

VersionOption = Annotated[
    str, typer.Option("--version", help="Version to judge; the candidate without it.")
]
PlanFlag = Annotated[
    bool, typer.Option("--plan", help="What a window could show, without running anything.")
]
DaysOption = Annotated[int, typer.Option("--days", min=1, help="Length of the window planned.")]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("psi", epilog="Example: mlwb psi --data bars.csv.gz --version v1.8.1")(_psi)


def _psi(
    data: DataOption = None,
    source: SourceOption = "",
    profile: ProfileOption = "",
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    version: VersionOption = "",
    plan: PlanFlag = False,
    days: DaysOption = 7,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Hold the held-out days against training: what moved, what is chance, what cannot be told.

    Checks the data and runs notebook 03. Exit code 1 when gate psi or drift does not pass.
    With --plan only the version's frozen reference is read.
    """
    if plan:
        if data or source or profile or param:
            raise ParamsError(
                "a plan reads the frozen reference alone",
                expected="--plan with --version, --policy or --days",
                todo="leave out the data and its parameters",
            )
        _plan(version, policy, days, as_json=as_json)
        return
    from mlwb.runner import Options
    from mlwb.stages import psi_validation

    options = Options(
        home=home(),
        profile=profile,
        policy=policy,
        overrides=overrides_of(data, source, param or []),
        command="psi",
        version=_judged(version),
    )
    outcome, records = run_steps(options, _STEPS, shown=not (quiet or as_json))
    snapshot = next(record for record in records if record.kind == "psi_snapshot")
    verdicts = psi_validation.judge([snapshot], read_policy(policy), SystemClock())
    _show(snapshot, verdicts, outcome, as_json=as_json)
    if not all(verdict.is_pass for verdict in verdicts):
        raise typer.Exit(1)


def _show(
    snapshot: Record, verdicts: tuple[Verdict, ...], outcome: Outcome, *, as_json: bool
) -> None:
    """The table of readings, what it says in two sentences, the gates, where the report is."""
    from mlwb.report import conclusions
    from mlwb.report.text import drift_rows, overall_row, score_row

    rows, mean, score = drift_rows(snapshot), overall_row(snapshot), score_row(snapshot)
    said = [say(rows, mean).plain for say in (conclusions.drift, conclusions.plain_rule)]
    report = str(outcome.folder / _REPORT)
    if as_json:
        gates = {verdict.gate: str(verdict.outcome) for verdict in verdicts}
        head = {"run_id": outcome.run_id, "model_version": snapshot.model_version}
        features = [vars(row) for row in (*rows, mean, score)]
        print_json({**head, "features": features, "said": said, "gates": gates, "report": report})
        return
    console.print(_table((*rows, mean, score)))
    for sentence in said:
        console.print(f"\n{sentence}", markup=False)
    console.print()
    console.print(verdict_table(verdicts))
    console.print(f"\n[dim]report[/]   {report}", soft_wrap=True)
    console.print(f"[dim]evidence[/] {home().evidence}", soft_wrap=True)


def _judged(version: str) -> str:
    """The version named, else the candidate."""
    found = version or registry().candidate()
    if not found:
        raise EvidenceMissingError(
            "no candidate to judge", todo="train one first: mlwb train, or name one by --version"
        )
    return found


def _table(rows: tuple[DriftRow, ...]) -> Table:
    from mlwb.report.text import interval, number, plainly, read_as

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("feature", no_wrap=True)
    for head in ("PSI", "95 %", "chance"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("reading", no_wrap=True)
    table.add_column("plain", no_wrap=True)
    for row in rows:
        known = row.lower is not None and row.upper is not None
        ends = interval(row.lower or 0.0, row.upper or 0.0, "nats") if known else "-"
        colour = _COLOURS.get(row.reading, "yellow")
        plain = plainly(row)
        table.add_row(
            row.name,
            number(row.value, "nats"),
            ends,
            "-" if row.null95 is None else number(row.null95, "nats"),
            f"[{colour}]{read_as(row)}[/]",
            f"[bold red]{plain}[/]" if plain == "fail" else plain,
        )
    return table


def _plan(version: str, policy: str, days: int, *, as_json: bool) -> None:
    """What a window of some days can show of each feature, from the frozen reference alone."""
    from mlwb.drift import SCORE
    from mlwb.drift.planning import plan
    from mlwb.inference import load_reference
    from mlwb.report import conclusions
    from mlwb.report.text import several

    folder = registry().resolve(_judged(version))
    rules = read_policy(policy)
    limit, of_score = (float(rules.limit(name).value) for name in _LIMITS)
    frozen = load_reference(folder)
    most = min(len(item.blocks.daily) for item in frozen.features.values()) // 2
    if days > most:
        raise EmptyWindowError(
            f"the reference of {frozen.version} cannot plan a window this long",
            expected=f"at most {several(most, 'day')}, half of it",
            got=f"--days {days}",
        )
    plans = [
        plan(item, days=days, limit=of_score if name == SCORE else limit)
        for name, item in frozen.features.items()
        if item.bins.n_bins > 1
    ]
    said = conclusions.planned(plans).plain
    if as_json:
        found = {"model_version": frozen.version, "limit": limit, "days": days, "said": said}
        print_json({**found, "features": [vars(item) for item in plans]})
        return
    console.print(
        f"{frozen.version}: {several(days, 'day')} against a PSI of {limit:g} a feature and "
        f"{of_score:g} of the score\n",
        highlight=False,
    )
    console.print(_plan_table(plans))
    console.print(f"\n{said}", markup=False)


def _plan_table(plans: list[Plan]) -> Table:
    from mlwb.report.text import number

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("feature", no_wrap=True)
    heads = ("finds PSI from", "largest PSI that passes", "passes unchanged", "days to pass",
             "days to find the limit")  # fmt: skip
    for head in heads:
        table.add_column(head, justify="right")
    for item in plans:
        needed = (item.days_to_prove, item.days_to_detect)
        table.add_row(
            item.name,
            number(item.detectable, "nats"),
            number(item.provable, "nats"),
            number(item.passes, "%", decimals=0),
            *("more than fits" if n is None else f"{n}" for n in needed),
        )
    return table
