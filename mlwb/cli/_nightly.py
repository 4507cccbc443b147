"""``mlwb nightly``: measure the waiting candidate once more, and record whether it was green."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from mlwb.cli._common import (
    DataOption,
    JsonFlag,
    ParamOption,
    PolicyOption,
    ProfileOption,
    QuietFlag,
    SourceOption,
    console,
    evidence_store,
    home,
    print_json,
    read_policy,
    registry,
)
from mlwb.cli._run import Display, overrides_of, verdict_table
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import MlwbError
from mlwb.evidence import Context, Metric, Record, new_record, with_verdict
from mlwb.gates import is_green
from mlwb.params import Policy

if TYPE_CHECKING:
    from mlwb.runner import Outcome

__all__ = ["add", "night_record"]

_AGAIN = ("data", "psi_validation", "replay", "canary_analysis", "release_review")
"""Steps that measure a candidate that is already trained."""


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("nightly", epilog="Example: mlwb nightly --data bars.csv.gz")(_nightly)


def _nightly(
    data: DataOption = None,
    source: SourceOption = "",
    profile: ProfileOption = "",
    policy: PolicyOption = "policy.yml",
    param: ParamOption = None,
    quiet: QuietFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure the candidate again (train one where none waits) and record the night.

    A night is green when the gates that the policy's `nightly.settings.judged` names pass. Exit 1
    when it is red; what broke the run gives its own code, and the night is red.
    """
    from mlwb.runner import STEPS, Options, finish_run, run_loop

    clock, waiting = SystemClock(), registry().candidate()
    options = Options(
        home=home(),
        profile=profile,
        policy=policy,
        overrides=overrides_of(data, source, param or []),
        version=waiting or "",
        command="nightly",
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Display(shown=not (quiet or as_json)) as display:
        outcome = run_loop(options, clock, display.tell, steps=_AGAIN if waiting else STEPS)
    summary = finish_run(options, outcome)
    store = evidence_store()
    token = outcome.run_id.rsplit("_", 1)[1]
    rules = read_policy(policy)
    night = night_record(outcome, store.records(run=token), rules, clock)
    store.write(night)
    store.sign_head(clock)
    _say(outcome, night, as_json=as_json, report=str(summary["report"]))
    if outcome.error is not None:
        raise outcome.error
    if not night.is_pass:
        raise typer.Exit(1)


def night_record(
    outcome: Outcome, records: Iterable[Record], policy: Policy, clock: Clock
) -> Record:
    """What one night was, as a record of kind ``nightly``; nothing is written.

    Parameters
    ----------
    outcome : Outcome
        Of the run; one that stopped is a red night.
    records : iterable of Record
        What the run wrote: the night is as simulated as they are.
    policy : Policy
        What it was judged by.
    clock : Clock
        Dates the night, in UTC.
    """
    green, red = is_green(outcome.verdicts, policy)
    error: MlwbError | None = outcome.error
    origins = {record.origin for record in records if record.kind != "decision"}
    context = Context(
        clock=clock,
        model_version=outcome.version,
        origin="simulated" if "simulated" in origins else "replay",
        run=outcome.run_id.rsplit("_", 1)[1],
    )
    is_pass = green and error is None
    record = new_record(
        "nightly",
        [Metric("green", int(is_pass)), Metric("gates_red", len(red))],
        context,
        details={
            "date": clock.now().date().isoformat(),
            "blocking": list(red),
            "run_id": outcome.run_id,
            "error": error.code if error else "",
        },
    )
    return with_verdict(record, is_pass=is_pass, policy_digest=policy.digest)


def _say(outcome: Outcome, night: Record, *, as_json: bool, report: str) -> None:
    red = ", ".join(night.details["blocking"])
    if as_json:
        print_json({"green": night.is_pass, **night.details, "report": report})
        return
    if outcome.verdicts:
        console.print(verdict_table(outcome.verdicts))
    word = "[bold green]GREEN[/]" if night.is_pass else "[bold red]RED[/]"
    console.print(f"NIGHT {night.details['date']}: {word} {red}", soft_wrap=True)
    console.print(f"[dim]report[/]   {report}", soft_wrap=True)
