"""``mlwb gate``: verdicts from evidence and policy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlwb.cli._common import (
    JsonFlag,
    PolicyOption,
    console,
    errors,
    evidence_store,
    evidence_view,
    home,
    print_json,
    print_problems,
    read_policy,
    registry,
)
from mlwb.cli._run import STYLES, verdict_table
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceMissingError, PromotionRefusedError
from mlwb.evidence import Context
from mlwb.gates import (
    GATES,
    Decision,
    EvidenceView,
    Verdict,
    confirmation_record,
    decide,
    evaluate,
    evaluate_all,
    log_policy,
    logged_policy,
    phrase_of,
    progress_of,
    replay,
    waiver_record,
    waivers_of,
)
from mlwb.params import Policy, load_params

__all__ = ["add"]

app = typer.Typer(
    help="Ask one gate, all of them, or whether the candidate may be promoted.",
    no_args_is_help=True,
)

VersionOption = Annotated[str, typer.Option("--version", help="Else the candidate, else `latest`.")]


def add(root: typer.Typer) -> None:
    """Register the commands."""
    root.add_typer(app, name="gate")


def _ask(gate: str, version: str, policy: str, *, as_json: bool) -> None:
    verdict = evaluate(gate, evidence_view(version), read_policy(policy), SystemClock().now())
    if as_json:
        print_json(verdict)
    else:
        console.print(verdict_table([verdict]))
        for check in sorted(verdict.checks, key=lambda check: check.outcome == "PASS"):
            style = STYLES[check.outcome]
            said = f"  [{style}]{check.outcome:<9}[/] {escape(check.reason)}"
            if not check.is_binding:
                said += " [dim](blocks nothing)[/]"
            console.print(said, soft_wrap=True)
    if not verdict.is_pass and not verdict.waived:
        raise typer.Exit(1)


def _command(gate: str) -> Callable[..., None]:
    def ask(
        version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
    ) -> None:
        _ask(gate, version, policy, as_json=as_json)

    ask.__doc__ = f"Ask the gate `{gate}`; exit 1 when it does not pass."
    return ask


for _gate in GATES:
    app.command(_gate, epilog=f"Example: mlwb gate {_gate}")(_command(_gate))


@app.command("all", epilog="Example: mlwb gate all --policy policy.strict.yml")
def _all(
    version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
) -> None:
    """Print the pre-production matrix; exit 1 unless every gate passes."""
    verdicts = evaluate_all(evidence_view(version), read_policy(policy), SystemClock().now())
    if as_json:
        print_json(verdicts)
    else:
        table = Table(box=None, header_style="dim")
        for column in ("check", "expected", "measured", "status"):
            table.add_column(column)
        for verdict in verdicts:
            for check in verdict.checks:
                place = f"{check.id}[{check.segment}]" if check.segment else check.id
                observed = "-" if check.observed is None else f"{check.observed:.6g}"
                status = f"[{STYLES[check.outcome]}]{check.outcome}[/]"
                if (verdict.waived or check.waived) and check.outcome != "PASS":
                    status = f"WAIVED [dim]({check.outcome})[/]"
                table.add_row(
                    place.replace("[", r"\["), f"{check.comparator} {check.limit}", observed, status
                )
        console.print(table)
    if not all(verdict.is_pass or verdict.waived for verdict in verdicts):
        raise typer.Exit(1)


@app.command("promote", epilog="Example: mlwb gate promote --policy policy.demo.yml")
def _promote(
    version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
) -> None:
    """Say whether the candidate may be promoted; exit 1 when it may not. Nothing is changed."""
    rules = read_policy(policy)
    view, now = evidence_view(version), SystemClock().now()
    waivers = waivers_of(view, rules, now)
    if not as_json and not _is_in_force(rules):
        console.print(
            f"policy {rules.name} is not in force: this is what it would say. To decide by it, "
            f"measure under it: mlwb run --policy {policy}",
            soft_wrap=True,
        )
    _said(decide(evaluate_all(view, rules, now), rules, waivers), as_json=as_json)


def _is_in_force(rules: Policy) -> bool:
    """The newest policy in the ledger is this one, or there is none yet that it could replace."""
    try:
        return bool(evidence_store().newest("policy").details["digest"] == rules.digest)
    except EvidenceMissingError:
        return True


def _said(decision: Decision, *, as_json: bool) -> None:
    if as_json:
        print_json(decision)
    else:
        word = "[bold green]READY[/]" if decision.promote else "[bold red]BLOCKED[/]"
        console.print(f"PROMOTE: {word}")
        for reason in decision.reasons:
            console.print(f"  - {escape(reason)}", soft_wrap=True)
    if not decision.promote:
        raise typer.Exit(1)


@app.command("decide", epilog="Example: mlwb gate decide")
def _decide(
    version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
) -> None:
    """Judge the candidate and write the decision, measuring nothing anew; exit 1 when it is no.

    A policy that is not in force yet comes into force, and what was measured before is stale.
    """
    decision = _decided(version, policy)
    if not as_json and any("before the policy changed" in said for said in decision.reasons):
        console.print(f"measure again under this policy: mlwb run --policy {policy}")
    _said(decision, as_json=as_json)


def _decided(version: str, policy: str) -> Decision:
    from mlwb.stages import release_review

    models, rules, path = registry(), read_policy(policy), Path(policy)
    wanted = version or models.candidate() or models.latest() or ""
    params = load_params("release_review", home().params)
    name = str(path.resolve()) if path.is_file() else policy
    run = replace(params.run, home=str(home().root), model_version=wanted, policy=name)
    return release_review.run(replace(params, run=run), rules, SystemClock())


@app.command("progress", epilog="Example: mlwb gate progress")
def _progress(
    version: VersionOption = "", policy: PolicyOption = "policy.yml", as_json: JsonFlag = False
) -> None:
    """Say how far the candidate is: canary phases, hours, green nights, the confirmation."""
    view, rules = evidence_view(version), read_policy(policy)
    steps = progress_of(view, rules, SystemClock().now())
    if as_json:
        print_json([{**vars(step), "done": step.is_done} for step in steps])
        return
    table = Table(box=None, header_style="dim")
    for column in ("waits for", "reached", "needed", "state", "why"):
        table.add_column(column)
    for step in steps:
        state = f"[{STYLES[step.outcome]}]{step.outcome}[/]" + (" (waived)" if step.waived else "")
        needed = f"{step.needed:g} {step.unit}"
        table.add_row(step.gate, f"{step.reached:.3g}", needed, state, escape(step.reason))
    console.print(f"{view.model_version} under {rules.name}")
    console.print(table)


@app.command("waive", epilog='Example: mlwb gate waive nightly --reason "feed down" --by ada')
def _waive(
    gate: Annotated[str, typer.Argument(help="The gate; some can never be waived.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the decision.")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")],
    days: Annotated[float, typer.Option("--days", help="How long it is valid.")] = 1.0,
    version: VersionOption = "",
    policy: PolicyOption = "policy.yml",
    as_json: JsonFlag = False,
) -> None:
    """Waive one gate for this candidate, these bytes and this policy, for a few days."""
    store = evidence_store()
    context = Context(clock=SystemClock())
    view, rules = evidence_view(version), read_policy(policy)
    record = waiver_record(view, rules, context, gate=gate, reason=reason, approver=by, days=days)
    store.write(record)
    until = record.details["expires_at"]
    if as_json:
        about = {"gate": gate, "model_version": record.model_version, "expires_at": until}
        print_json({**about, "run_id": record.run_id})
    else:
        console.print(f"{gate} is waived for {record.model_version} until {until}: {record.run_id}")


@app.command("confirm", epilog="Example: mlwb gate confirm --by ada")
def _confirm(
    by: Annotated[str, typer.Option("--by", help="Who confirms.")],
    version: VersionOption = "",
    policy: PolicyOption = "policy.yml",
    as_json: JsonFlag = False,
) -> None:
    """Show what would be promoted, take the typed phrase, and write the decision it leads to.

    With --json, what a person reads goes to standard error; the decision is what is printed.
    """
    screen = errors if as_json else console
    rules, store = read_policy(policy), evidence_store()
    log_policy(store, rules, Context(clock=SystemClock()))
    view = evidence_view(version)  # after: a new policy makes stale what was measured before it
    verdicts = evaluate_all(view, rules, SystemClock().now())
    _show_what_is_confirmed(screen, view, rules, verdicts)
    waivers = waivers_of(view, rules, SystemClock().now())
    blocking = [
        reason
        for reason in decide(verdicts, rules, waivers).reasons
        if not reason.startswith("confirmation ")
    ]
    if blocking and not decide(verdicts, rules, waivers).promote:
        raise PromotionRefusedError(f"there is nothing to confirm yet: {'; '.join(blocking)}")
    screen.print("Type this to confirm:", phrase_of(view, rules), sep="\n", soft_wrap=True)
    typed = sys.stdin.readline().rstrip("\n")
    context = Context(clock=SystemClock())
    record = confirmation_record(view, rules, context, typed=typed, by=by)
    store.write(record)
    screen.print(f"confirmed until {record.details['expires_at']}; it counts once")
    _said(_decided(version, policy), as_json=as_json)


def _show_what_is_confirmed(
    screen: Console, view: EvidenceView, rules: Policy, verdicts: tuple[Verdict, ...]
) -> None:
    screen.print(verdict_table(verdicts))
    screen.print(f"[dim]model[/]    {view.model_version}, manifest {view.manifest_sha256}")
    screen.print(f"[dim]policy[/]   {rules.name}, {rules.digest}", soft_wrap=True)
    for limit in rules.watch["canary_abort"]:
        held = f"{limit.metric} {limit.comparator} {limit.value}"
        screen.print(f"[dim]abort[/]    unless {held}")


@app.command("replay", epilog="Example: mlwb gate replay")
def _replay(
    run_id: Annotated[str, typer.Argument(help="A decision's run id; else the newest.")] = "",
    policy: PolicyOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Compute an old decision again from the files it cites; exit 1 when it differs.

    The policy is the one it was made under, from the ledger, unless another is named.
    """
    store = evidence_store()
    record = store.read(run_id) if run_id else store.newest("decision")
    asked = record.details.get("policy", {}).get("digest", "")
    logged = None if policy else logged_policy(store, asked)
    rules = logged or read_policy(policy or "policy.yml")
    again = replay(record, store, rules)
    if as_json:
        print_json({"equal": again.is_equal, "differences": again.differences})
    else:
        print_problems(again.differences, f"{record.run_id}: the same, bit for bit")
    if not again.is_equal:
        raise typer.Exit(1)
