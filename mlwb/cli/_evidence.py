"""``mlwb evidence``: list, show, trials, verify, sign, lint."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import JsonFlag, console, evidence_store, home, print_json
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError
from mlwb.evidence import TrialLedger, lint

__all__ = ["app"]

app = typer.Typer(help="Evidence records and their ledger.", no_args_is_help=True)


@app.command("list", epilog="Example: mlwb evidence list --kind parity")
def _list(
    kind: Annotated[str, typer.Option("--kind", help="Only this kind.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """List records, oldest first."""
    records = evidence_store().records(kind)
    rows = [[r.timestamp, r.kind, r.model_version, r.origin, r.run_id] for r in records]
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="dim")
    for column in ("time", "kind", "model", "origin", "run id"):
        table.add_column(column, no_wrap=column == "run id")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@app.command("show", epilog="Example: mlwb evidence show psi_snapshot")
def _show(
    name: Annotated[str, typer.Argument(help="A run id, or a kind for its newest record.")],
) -> None:
    """Print one record as JSON."""
    store = evidence_store()
    record = store.read(name) if name.count("_") >= 4 else store.newest(name)
    print_json(record.to_json())


@app.command("trials", epilog="Example: mlwb evidence trials")
def _trials(as_json: JsonFlag = False) -> None:
    """List every configuration ever tried, and how often: the N of a deflated Sharpe ratio."""
    ledger = TrialLedger(home().evidence)
    tried = [(kinship, ledger.tried(kinship)) for kinship in ledger.kinships()]
    if as_json:
        print_json(
            [{"kinship": k, "n_distinct": t.n_distinct, **vars(t)} for k, t in tried],
        )
        return
    for kinship, found in tried:
        console.print(
            f"{kinship.symbol} {kinship.label} over {kinship.horizon_s} s: "
            f"{found.n_distinct} configurations, tried {found.n_logged} times",
            soft_wrap=True,
        )
        table = Table(box=None, header_style="dim")
        for column in ("configuration", "score", "daily Sharpe", "last run"):
            table.add_column(column, no_wrap=True)
        for trial in found.newest:
            table.add_row(trial.name, _number(trial.score), _number(trial.daily_sharpe), trial.run)
        console.print(table)
    if not tried:
        console.print("nothing was tried yet: mlwb run")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


@app.command("verify", epilog="Example: mlwb evidence verify")
def _verify(as_json: JsonFlag = False) -> None:
    """Check every record against the ledger; exit 6 when one was changed."""
    problems = [str(problem) for problem in evidence_store().verify()]
    if as_json:
        print_json(problems)
    else:
        for problem in problems:
            console.print(f"[bold red]![/] {escape(problem)}", soft_wrap=True)
        if not problems:
            console.print("[green]every record is as it was written[/]")
    if problems:
        raise typer.Exit(6)


@app.command("sign", epilog="Example: mlwb evidence sign")
def _sign() -> None:
    """Sign the ledger's last line with the key that MLWB_SIGNING_KEY names."""
    if not evidence_store().sign_head(SystemClock()):
        raise EvidenceMissingError(
            "nothing was signed", todo="set MLWB_SIGNING_KEY, and let there be a record to sign"
        )
    console.print("[green]the ledger is signed up to its last line[/]")


@app.command("lint", epilog="Example: mlwb evidence lint")
def _lint(as_json: JsonFlag = False) -> None:
    """Look for numbers that cannot be; exit 6 when there are some."""
    found = {record.run_id: [str(p) for p in lint(record)] for record in evidence_store().records()}
    bad = {run_id: problems for run_id, problems in found.items() if problems}
    if as_json:
        print_json(bad)
    else:
        for run_id, problems in bad.items():
            for problem in problems:
                console.print(f"[bold red]![/] {run_id}: {escape(problem)}", soft_wrap=True)
        if not bad:
            console.print(f"[green]{len(found)} records, nothing impossible[/]")
    if bad:
        raise typer.Exit(6)
