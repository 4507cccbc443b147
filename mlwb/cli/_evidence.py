"""``mlwb evidence``: list, show, export, trials, verify, sign, lint, archive."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

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
from mlwb.core import fsops
from mlwb.core.chain import Head
from mlwb.core.clock import SystemClock, parse_utc
from mlwb.core.errors import EvidenceMissingError, EvidenceSchemaError, ParamsError
from mlwb.core.ids import RUN_ID
from mlwb.evidence import (
    KNOWN_NAMES,
    Context,
    Entry,
    EvidenceStore,
    Metric,
    Record,
    TrialLedger,
    lint,
    plan_retirement,
    retire,
)
from mlwb.params import load_retention

__all__ = ["add"]

app = typer.Typer(help="Evidence records and their ledger.", no_args_is_help=True)

KindOption = Annotated[str, typer.Option("--kind", help="Only this kind.")]
VersionOption = Annotated[str, typer.Option("--version", help="Only about this model version.")]
RunOption = Annotated[str, typer.Option("--run", help="Only of this run: the end of its run ids.")]
SinceOption = Annotated[str, typer.Option("--since", help="Only from this UTC date or time on.")]
COLUMNS = (
    "run_id", "kind", "model_version", "timestamp", "origin", "metric", "segment", "value", "unit",
    "n", "k", "ci_lo", "ci_hi", "null_reason", "policy_digest",
)  # fmt: skip


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="evidence")


@app.command("list", epilog="Example: mlwb evidence list --kind parity --version v1.8.1")
def _list(
    kind: KindOption = "",
    version: VersionOption = "",
    run: RunOption = "",
    since: SinceOption = "",
    as_json: JsonFlag = False,
) -> None:
    """List records, oldest first, and where each one is."""
    store = evidence_store()
    shelf = store.shelf()
    rows = [
        {**vars(entry), "archive": shelf.members.get(entry.run_id, ("",))[0]}
        for entry in _chosen(store, kind, version, run, since=since)
    ]
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="dim")
    for column in ("kind", "run id", "archive"):
        table.add_column(column, no_wrap=column != "archive")
    for row in rows:
        table.add_row(row["kind"], row["run_id"], row["archive"])
    console.print(table)


def _chosen(store: EvidenceStore, kind: str, version: str, run: str, *, since: str) -> list[Entry]:
    if kind and kind not in KNOWN_NAMES:
        raise ParamsError("no such kind", expected=f"one of {', '.join(KNOWN_NAMES)}", got=kind)
    begin = _begin(since) if since else None
    return [
        entry
        for entry in store.index()
        if kind in ("", entry.kind)
        and version in ("", entry.model_version)
        and (not run or entry.run_id.endswith(f"_{run}"))
        and (begin is None or parse_utc(entry.timestamp) >= begin)
    ]


def _begin(since: str) -> datetime:
    try:
        return parse_utc(since if "T" in since else f"{since}T00:00:00Z")
    except EvidenceSchemaError as error:
        raise ParamsError(
            "--since is no UTC date or time",
            expected="2026-01-31 or 2026-01-31T14:30:00Z",
            got=since,
        ) from error


@app.command("show", epilog="Example: mlwb evidence show psi_snapshot --metric psi")
def _show(
    name: Annotated[str, typer.Argument(help="A run id, or a kind for its newest record.")],
    metric: Annotated[str, typer.Option("--metric", help="Only numbers of this name.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Show one record: where it comes from and its numbers; --json prints all of it."""
    store = evidence_store()
    record = store.read(name) if RUN_ID.fullmatch(name) else store.newest(name)
    if as_json:
        print_json(record.to_json())
        return
    _show_facts(record)
    table = Table(box=None, header_style="dim")
    for column in ("number", "value", "unit", "n", "interval"):
        table.add_column(column)
    for found in record.metrics:
        if metric in ("", found.name):
            table.add_row(*map(escape, _cells(found)))
    console.print(table)


def _show_facts(record: Record) -> None:
    """Where a record comes from, whether it was judged, and its shorter details."""
    for key in ("run_id", "kind", "model_version", "timestamp", "origin"):
        console.print(f"[dim]{key:<14}[/] {getattr(record, key)}", soft_wrap=True)
    verdict = {True: "pass", False: "no pass", None: "a measurement, not judged"}[record.is_pass]
    console.print(f"[dim]{'verdict':<14}[/] {verdict}")
    for item in record.inputs:
        console.print(f"[dim]{'input':<14}[/] {item.role}: {escape(item.uri)}", soft_wrap=True)
    for key, value in record.details.items():
        if text := _in_a_line(value):
            console.print(f"[dim]{key:<14}[/] {escape(text)}", soft_wrap=True)


def _in_a_line(value: object) -> str:
    """A detail that people can read at a glance; empty for tables and long texts."""
    items = value if isinstance(value, list) else [value]
    if not items or any(isinstance(item, (dict, list)) for item in items):
        return ""
    text = "; ".join(str(item) for item in items)
    return text if len(text) <= 300 else ""


def _cells(found: Metric) -> tuple[str, ...]:
    value = f"- ({found.null_reason})" if found.value is None else f"{found.value:.6g}"
    count = (
        "" if found.n is None else (f"{found.k} of " if found.k is not None else "") + f"{found.n}"
    )
    interval = f"[{found.ci.lo:.4g}, {found.ci.hi:.4g}]" if found.ci else ""
    return found.label, value, found.unit, count, interval


@app.command("export", epilog="Example: mlwb evidence export --csv --kind smoke --out smoke.csv")
def _export(
    as_csv: Annotated[bool, typer.Option("--csv", help="One row a number.")] = False,
    as_json: JsonFlag = False,
    kind: KindOption = "",
    version: VersionOption = "",
    run: RunOption = "",
    since: SinceOption = "",
    out: Annotated[str, typer.Option("--out", help="File to write; else standard output.")] = "",
) -> None:
    """Give the numbers of records to other tools: as CSV, one row a number, or as whole JSON."""
    if as_csv == as_json:
        raise ParamsError("say --csv or --json", expected="one of the two")
    store = evidence_store()
    chosen = [entry.run_id for entry in _chosen(store, kind, version, run, since=since)]
    records = store.read_each(chosen)
    if as_json and not out:
        print_json([record.to_json() for record in records])
        return
    text = _as_csv(records) if as_csv else _as_lines(records)
    if out:
        fsops.write_atomic(Path(out).expanduser(), text.encode())
        console.print(f"{len(records)} records in {escape(out)}")
    else:
        print(text, end="")


def _as_lines(records: Iterable[Record]) -> str:
    return "".join(record.to_bytes().decode() + "\n" for record in records)


def _as_csv(records: Iterable[Record]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        shared = {name: getattr(record, name) for name in COLUMNS if hasattr(record, name)}
        writer.writerows({**shared, **_row(metric)} for metric in record.metrics)
    return buffer.getvalue()


def _row(metric: Metric) -> dict[str, Any]:
    names = ("segment", "value", "unit", "n", "k", "null_reason")
    bounds = {"ci_lo": metric.ci.lo, "ci_hi": metric.ci.hi} if metric.ci else {}
    return {"metric": metric.name, **{name: getattr(metric, name) for name in names}, **bounds}


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


@app.command("verify", epilog="Example: mlwb evidence verify --head sha256:0d4f...")
def _verify(
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="A head that verify told earlier; may be repeated."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check every record against the ledger; exit 6 when one was changed.

    Tells the ledger's head. Kept elsewhere and given back, it shows a ledger that was cut since.
    """
    store = evidence_store()
    known = [Head(0, sha256, "--head") for sha256 in head or ()]
    problems = [str(problem) for problem in store.verify([*kept_heads(), *known])]
    if as_json:
        print_json(problems)
    else:
        print_problems(problems, "every record is as it was written")
        if any("[unsigned]" in problem for problem in problems):
            console.print("  mlwb evidence sign")
        last = store.head()
        if last is not None and not problems:
            console.print(f"{last.seq} lines, head {last.sha256}", soft_wrap=True, highlight=False)
    if problems:
        raise typer.Exit(6)


@app.command("sign", epilog="Example: mlwb evidence sign")
def _sign(as_json: JsonFlag = False) -> None:
    """Sign the ledger's last line with the key that MLWB_SIGNING_KEY names."""
    store = evidence_store()
    if not store.sign_head(SystemClock()):
        raise EvidenceMissingError(
            "nothing was signed", todo="set MLWB_SIGNING_KEY, and let there be a record to sign"
        )
    if as_json:
        print_json(store.head())
    else:
        console.print("[green]the ledger is signed up to its last line[/]")


@app.command("lint", epilog="Example: mlwb evidence lint")
def _lint(as_json: JsonFlag = False) -> None:
    """Look for numbers that cannot be; exit 6 when there are some."""
    now = SystemClock().now()
    records = evidence_store().records()
    found = {record.run_id: [str(p) for p in lint(record, now=now)] for record in records}
    bad = {run_id: problems for run_id, problems in found.items() if problems}
    if as_json:
        print_json(bad)
    else:
        said = [f"{run_id}: {problem}" for run_id, problems in bad.items() for problem in problems]
        print_problems(said, f"{len(found)} records, nothing impossible")
    if bad:
        raise typer.Exit(6)


@app.command("archive", epilog="Example: mlwb evidence archive --retention regulated --apply")
def _archive(
    retention: Annotated[
        str, typer.Option("--retention", help="A profile of params/retention.yml.")
    ] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Do it; else only say what.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Move records past their time into a verified archive; without --apply, only say which."""
    store, clock = evidence_store(), SystemClock()
    rules = load_retention(home().params / "retention.yml", retention)
    plan = plan_retirement(store, rules.days_of, now=clock.now(), cited=_served_on(store))
    files = _old_logs("shadow", "predictions.jsonl.*", clock, rules.days["shadow_predictions"])
    files |= _old_logs("metrics", "*.jsonl", clock, rules.days["daily"])
    record = None
    if apply:
        context = Context(clock=clock, origin="live")
        record = retire(store, plan, context, retention=rules.name, files=files)
    if as_json:
        old = [entry.run_id for entry in plan.old]
        said = record.details["file"] if record else ""
        print_json({"old": old, "kept": plan.kept, "files": sorted(files), "archive": said})
        return
    verb = "archived" if apply else "would be archived"
    for entry in plan.old:
        console.print(f"{verb}: {entry.run_id}", soft_wrap=True)
    for name in sorted(files):
        console.print(f"{verb}: {escape(name)}", soft_wrap=True)
    for run_id, why in plan.kept.items():
        console.print(f"[dim]kept: {run_id}, {why}[/]", soft_wrap=True)
    if record:
        console.print(f"[green]{record.details['file']} was read again, byte for byte[/]")
    elif not (plan.old or files):
        console.print(f"nothing is past its time ({rules.name})")


def _served_on(store: EvidenceStore) -> set[str]:
    """Records that decisions about a version in a channel rest on."""
    models = registry()
    served = {models.latest(), models.previous(), models.candidate()}
    decisions = [record for record in store.records("decision") if record.model_version in served]
    return {item.run_id for record in decisions for item in record.upstream}


def _old_logs(name: str, pattern: str, clock: SystemClock, days: int) -> dict[str, Path]:
    """Logs of a folder of ``artifacts`` that nobody writes any more, past their time."""
    folder, oldest = home().artifacts / name, clock.now() - timedelta(days=days)
    return {
        f"{name}/{path.name}": path
        for path in sorted(folder.glob(pattern))
        if path.is_file() and path.stat().st_mtime < oldest.timestamp()
    }
