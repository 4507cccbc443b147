"""``mlwb canary``: a candidate through its phases on a running server."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlwb.cli._common import (
    JsonFlag,
    ParamOption,
    PolicyOption,
    QuietFlag,
    console,
    errors,
    evidence_store,
    evidence_view,
    home,
    print_json,
    read_policy,
)
from mlwb.cli._run import STYLES, overrides_of
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError, ParamsError, PromotionRefusedError, ServeError
from mlwb.evidence import Context
from mlwb.gates import confirmation_record
from mlwb.params import CanaryRolloutParams, Policy, load_params
from mlwb.stats import e_value

if TYPE_CHECKING:
    from mlwb.rollout import CanaryServer, RolloutEnd, RolloutProgress, ServerCanary
    from mlwb.stages.canary_preflight import Preflight
    from mlwb.stages.canary_rollout import Lock

__all__ = ["add"]

app = typer.Typer(help="The candidate on a running server, phase by phase.", no_args_is_help=True)

UrlOption = Annotated[
    str, typer.Option("--url", help="The server; an administrator's key is in MLWB_API_KEY.")
]
_URL = "http://127.0.0.1:4010"


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="canary")


@app.callback()
def _group() -> None:
    """The candidate on a running server, phase by phase."""


@app.command("preflight", epilog="Example: mlwb canary preflight")
def _preflight(
    url: UrlOption = _URL,
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Check and record that all is in order; exit 1 where an observing canary could not begin."""
    from mlwb.stages import canary_preflight

    rules, params = read_policy(policy), _params(policy, param)
    _need_candidate(canary_preflight.lock_of(params, rules))
    with _server(url) as server:
        found = _checked(server, params, rules)
    (record,) = canary_preflight.record(found, params, SystemClock())
    if as_json:
        print_json({**asdict(found), "record": record.run_id})
    else:
        _show_preflight(found, console)
        console.print(f"[dim]evidence[/] {record.run_id}", soft_wrap=True)
    if found.missing(live=False):
        raise typer.Exit(1)


@app.command("run", epilog="Example: mlwb canary run --observe-only")
def _run(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    observe_only: Annotated[
        bool, typer.Option("--observe-only", help="The candidate is compared, never answers.")
    ] = False,
    live: Annotated[bool, typer.Option("--live", help="The candidate answers its share.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the rollout that was left.")
    ] = False,
    by: Annotated[str, typer.Option("--by", help="Who confirms a live rollout.")] = "",
    url: UrlOption = _URL,
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Lead the candidate through its phases; exit 1 when it was stopped or the gate says no."""
    from mlwb.rollout import RolloutOptions, rollout_run

    if dry_run + observe_only + live + resume != 1 and not (dry_run and live and not resume):
        raise ParamsError("say which: --dry-run, --observe-only, --live or --resume")
    rules, params, clock = read_policy(policy), _params(policy, param), SystemClock()
    with _server(url) as server:
        if dry_run:
            _rehearse(params, rules, live=live, as_json=as_json)
            return
        confirmation = ""
        if not resume:
            shown = errors if as_json else console
            confirmation = _let_in(server, params, rules, by=by if live else None, shown=shown)
        signal.signal(signal.SIGTERM, _interrupt)
        with _Bar(shown=not (quiet or as_json)) as bar:
            end = rollout_run(
                home(),
                params,
                RolloutOptions("live" if live else "observe_only", confirmation, resume),
                policy=rules,
                clock=clock,
                server=server,
                progress=bar.tell,
            )
    _show_end(end, as_json=as_json)


@app.command("status", epilog="Example: mlwb canary status")
def _status(url: UrlOption = _URL, as_json: JsonFlag = False) -> None:
    """Say where the rollout is; exit 1 where one was left without its runner."""
    from mlwb.cli._canary_status import status_table
    from mlwb.rollout import RolloutFiles

    files = RolloutFiles(home())
    state, is_held = files.read(), files.is_held
    shown: ServerCanary | None = None
    with suppress(ServeError), _server(url) as server:
        shown = server.show()
    is_left = state is not None and not is_held and (not state.finished or state.is_open)
    if as_json:
        print_json({"rollout": state, "is_running": is_held, "is_left": is_left, "server": shown})
    else:
        console.print(status_table(state, shown, is_held=is_held, clock=SystemClock()))
    if is_left:
        raise typer.Exit(1)


@app.command("abort", epilog='Example: mlwb canary abort --reason "bad prices"')
def _abort(
    reason: Annotated[str, typer.Option("--reason", help="Why; stands in the evidence.")],
    url: UrlOption = _URL,
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Go back to 0 % at once; exit 1 where the server cannot be told."""
    from mlwb.rollout import rollout_abort

    with _server(url) as server:
        back_ms, end = rollout_abort(
            home(),
            _params(policy, param),
            policy=read_policy(policy),
            clock=SystemClock(),
            server=server,
            reason=reason,
        )
    record = end.record.run_id if end else None
    if as_json:
        print_json({"back_ms": back_ms, "record": record})
    elif back_ms is None:
        errors.print("the server does not answer; what it serves is not known")
    else:
        console.print(f"back to 0 % in {back_ms:.0f} ms")
        said = f"[dim]evidence[/] {record}" if record else "the runner, if any, writes the evidence"
        console.print(said, soft_wrap=True)
    if back_ms is None:
        raise typer.Exit(1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _server(url: str) -> CanaryServer:
    from mlwb.rollout import CanaryServer

    return CanaryServer(url.rstrip("/"), api_key=os.environ.get("MLWB_API_KEY", ""))


def _params(policy: str, param: list[str] | None) -> CanaryRolloutParams:
    overrides = {"run.policy": policy, **overrides_of(None, "", param or ())}
    found: CanaryRolloutParams = load_params("canary_rollout", home().params, overrides=overrides)
    return found


def _checked(server: CanaryServer, params: CanaryRolloutParams, rules: Policy) -> Preflight:
    from mlwb.stages import canary_preflight

    return canary_preflight.measure(
        server.seen(),
        evidence_view(params.run.model_version),
        params,
        policy=rules,
        clock=SystemClock(),
    )


def _let_in(
    server: CanaryServer,
    params: CanaryRolloutParams,
    rules: Policy,
    *,
    by: str | None,
    shown: Console,
) -> str:
    """Refuse what is not in order; for a live rollout, take the phrase. Run id of the yes."""
    found = _checked(server, params, rules)
    if missing := found.missing(live=by is not None):
        raise PromotionRefusedError(
            f"not in order: {'; '.join(missing)}", todo="see all of it: mlwb canary preflight"
        )
    if by is None:
        return ""
    _show_preflight(found, shown)
    shown.print("Type this to begin:", found.phrase, sep="\n", soft_wrap=True)
    typed = sys.stdin.readline().rstrip("\n")
    view, context = evidence_view(found.lock.candidate), Context(clock=SystemClock())
    record = confirmation_record(view, rules, context, typed=typed, by=by)
    evidence_store().write(record)
    return record.run_id


def _need_candidate(lock: Lock) -> None:
    if not lock.candidate:
        raise EvidenceMissingError("no candidate to lead", todo="train one: mlwb run")


def _rehearse(params: CanaryRolloutParams, rules: Policy, *, live: bool, as_json: bool) -> None:
    from mlwb.stages import canary_dryrun, canary_preflight

    clock, lock = SystemClock(), canary_preflight.lock_of(params, rules)
    _need_candidate(lock)
    found = canary_dryrun.measure(params, lock, "live" if live else "observe_only", clock=clock)
    (record,) = canary_dryrun.record(found, params, clock)
    if as_json:
        print_json({**asdict(found), "record": record.run_id})
        return
    console.print(
        f"[bold]{lock.candidate}[/] over {lock.champion}, {found.mode}; "
        f"{found.n_requests:,} rows in the last hour. Nothing is changed."
    )
    table = Table(box=None, header_style="dim")
    for column in ("phase", "would order", "lasts about", "asked by then", "ends by"):
        table.add_column(column)
    mode = "live" if live else "observe"
    for phase in found.phases:
        lasts = f"{phase.expected_s / 60.0:,.1f} min"
        order = f"{mode} {phase.percent:g} %"
        table.add_row(phase.name, order, lasts, f"{phase.expected:,}", phase.ends)
    console.print(table)
    console.print(f"[dim]evidence[/] {record.run_id}", soft_wrap=True)


def _show_preflight(found: Preflight, console: Console) -> None:
    lock = found.lock
    console.print(f"[bold]{lock.candidate}[/] over {lock.champion} [dim]{found.base_url}[/]")
    for check in found.checks:
        word = "[green]ok[/]  " if check.is_fine else "[red]no[/]  "
        needed = " [dim](for --live)[/]" if check.is_for_live else ""
        console.print(f"  {word}{check.name}: {escape(check.said)}{needed}", soft_wrap=True)
    for name, limit in found.thresholds.items():
        console.print(f"  [dim]{name:<32}[/] {escape(limit)}", soft_wrap=True)
    psi = "not measured" if found.psi is None else f"{found.psi:.4f}"
    console.print(f"  [dim]{'PSI overall':<32}[/] {psi}")
    for name in ("champion_sha256", "candidate_sha256", "policy_sha256"):
        console.print(f"  [dim]{name:<32}[/] {getattr(lock, name)}", soft_wrap=True)
    console.print("phrase for --live:", escape(found.phrase), sep="\n", soft_wrap=True)


def _show_end(end: RolloutEnd, *, as_json: bool) -> None:
    verdict = end.verdict
    if as_json:
        print_json(
            {
                "record": end.record,
                "verdict": verdict,
                "aborted": end.aborted,
                "back_ms": end.back_ms,
            }
        )
    else:
        word = f"[red]stopped[/] {escape(end.aborted)}" if end.aborted else "[green]completed[/]"
        console.print(word, soft_wrap=True)
        if end.back_ms is not None:
            console.print(f"[dim]back to 0 % in[/] {end.back_ms:.0f} ms")
        for check in verdict.checks:
            if check.outcome != "PASS":
                said = f"  [{STYLES[check.outcome]}]{check.outcome:<9}[/] {escape(check.reason)}"
                console.print(said, soft_wrap=True)
        style = STYLES[verdict.outcome]
        console.print(f"GATE canary: [{style}]{verdict.outcome}[/] {escape(verdict.reason)}")
        console.print(f"[dim]evidence[/] {end.record.run_id}", soft_wrap=True)
    if end.aborted or not (verdict.is_pass or verdict.waived):
        raise typer.Exit(1)


class _Bar:
    """The phase, on the error stream and only on a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total:.0f} observed"),
            TimeElapsedColumn(),
            console=errors,
            transient=True,
            disable=not shown or not errors.is_terminal,
        )
        self._task = self._progress.add_task("canary", total=1)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, now: RolloutProgress) -> None:
        """Show how far it is."""
        evidence = e_value(now.log_evidence)
        said = f"{now.phase} ({now.number} of {now.n_phases}), e-value against {evidence:.2g}"
        self._progress.update(
            self._task, completed=now.observed, total=max(now.needed, 1), description=said
        )
