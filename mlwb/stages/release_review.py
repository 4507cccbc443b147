"""Stage 05: all gates, one decision, one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import BrokenChainError
from mlwb.evidence import Context, EvidenceStore, Metric, Record, new_record, with_verdict
from mlwb.gates import (
    Decision,
    EvidenceView,
    Replay,
    Verdict,
    decide,
    decision_record,
    evaluate_all,
    log_policy,
    read_view,
    replay,
    waivers_of,
)
from mlwb.params import Policy, ReleaseReviewParams
from mlwb.registry import evidence_heads
from mlwb.stages.common import (
    candidate_of,
    context,
    home_of,
    policy_of,
    registry_of,
    store_of,
    write_all,
)

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run"]

OFFLINE = ("data", "signal", "parity", "schema")
"""Gates behind the requirements' ``eval_result``."""


@dataclass(frozen=True)
class Inputs:
    """What the review reads.

    Parameters
    ----------
    params : ReleaseReviewParams
        As loaded.
    view : EvidenceView
        Evidence about the candidate, with the ledger verified.
    policy : Policy
        What it is judged by.
    latest : str
        Version that serves now; empty when none does.
    """

    params: ReleaseReviewParams
    view: EvidenceView
    policy: Policy
    latest: str


@dataclass(frozen=True)
class Result:
    """What the review found.

    Parameters
    ----------
    inputs : Inputs
        What it read.
    verdicts : tuple of Verdict
        One a gate, in the order of the matrix.
    decision : Decision
        Promote or not, with reasons.
    now : datetime
        Moment ages were counted from.
    """

    inputs: Inputs
    verdicts: tuple[Verdict, ...]
    decision: Decision
    now: datetime


def load(params: ReleaseReviewParams) -> Inputs:
    """Put the policy in force, then read the evidence about the candidate."""
    store, policy = store_of(params.run), policy_of(params.run)
    log_policy(store, policy, Context(clock=SystemClock()))
    registry = registry_of(params.run)
    version = candidate_of(params.run, registry)
    manifest = digest_file(registry.resolve(version) / "manifest.json")
    used = registry.state().used_confirmations
    view = read_view(
        store,
        version,
        manifest_sha256=manifest,
        used_confirmations=tuple(sorted(used)),
        heads=evidence_heads(home_of(params.run).artifacts / "promotions.log"),
    )
    return Inputs(params, view, policy, registry.latest() or "")


def measure(inputs: Inputs, clock: Clock) -> Result:
    """Ask every gate."""
    now = clock.now()
    verdicts = evaluate_all(inputs.view, inputs.policy, now)
    waivers = waivers_of(inputs.view, inputs.policy, now)
    return Result(inputs, verdicts, decide(verdicts, inputs.policy, waivers), now)


def record(result: Result, params: ReleaseReviewParams, clock: Clock) -> tuple[Record, ...]:
    """Write the decision, the offline evaluation and the review; sign the ledger that far."""
    inputs = result.inputs
    shared = _context(inputs, params, clock)
    decision = decision_record(
        inputs.view, result.verdicts, inputs.policy, now=result.now, context=shared
    )
    store = store_of(params.run)
    written = write_all(store, [decision, _evaluation(result, shared), _review(result, shared)])
    store.sign_head(clock)
    return written


def judge(records: Sequence[Record], policy: Policy, store: EvidenceStore) -> Replay:
    """Compute the verdicts again from the files the decision cites: equal, or why not."""
    decision = next(record for record in records if record.kind == "decision")
    return replay(decision, store, policy)


def run(params: ReleaseReviewParams, policy: Policy, clock: Clock) -> Decision:
    """All four verbs; the decision.

    Raises
    ------
    BrokenChainError
        The verdicts do not come out the same from the files.
    """
    result = measure(load(params), clock)
    again = judge(record(result, params, clock), policy, store_of(params.run))
    if not again.is_equal:
        raise BrokenChainError("the decision cannot be repeated", got="; ".join(again.differences))
    return result.decision


def _context(inputs: Inputs, params: ReleaseReviewParams, clock: Clock) -> Context:
    origins = {item.origin for item in inputs.view.records}
    origin = "simulated" if "simulated" in origins else "replay"
    return context(
        "release_review", params, clock, version=inputs.view.model_version, origin=origin
    )


def _evaluation(result: Result, shared: Context) -> Record:
    offline = [verdict for verdict in result.verdicts if verdict.gate in OFFLINE]
    passed = sum(verdict.is_pass for verdict in offline)
    record_ = new_record(
        "eval_result",
        [Metric("gates_passed", passed, n=len(offline))],
        shared,
        details={"gates": {verdict.gate: str(verdict.outcome) for verdict in offline}},
    )
    is_pass = passed == len(offline)
    return with_verdict(record_, is_pass=is_pass, policy_digest=result.inputs.policy.digest)


def _review(result: Result, shared: Context) -> Record:
    passed = sum(verdict.is_pass for verdict in result.verdicts)
    return new_record(
        "release_review",
        [Metric("gates_passed", passed, n=len(result.verdicts))],
        shared,
        details={
            "promote": result.decision.promote,
            "reasons": list(result.decision.reasons),
            "latest": result.inputs.latest,
            "policy": result.inputs.policy.name,
        },
    )
