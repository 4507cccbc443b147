"""A decision as evidence of its own, and its replay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from mlwb.core.canonical import canonical_bytes, to_plain
from mlwb.core.clock import format_utc, parse_utc
from mlwb.core.errors import EvidenceSchemaError
from mlwb.evidence import Context, EvidenceStore, Record, Upstream, new_record, rate, with_verdict
from mlwb.gates._evaluate import decide, evaluate_all
from mlwb.gates._verdict import Decision, Verdict
from mlwb.gates._view import EvidenceView
from mlwb.gates._waiver import waivers_of
from mlwb.params import Policy

__all__ = ["Replay", "decision_record", "replay"]


def decision_record(
    view: EvidenceView,
    verdicts: Iterable[Verdict],
    policy: Policy,
    *,
    now: datetime,
    context: Context,
) -> Record:
    """The verdicts and the decision they lead to, as a record of kind ``decision``.

    Parameters
    ----------
    view : EvidenceView
        What was judged, read from a store.
    verdicts : iterable of Verdict
        Of :func:`evaluate_all` on that view.
    policy : Policy
        What it was judged by.
    now : datetime
        The moment ages were counted from.
    context : Context
        Stamps the record; its model version is replaced by the view's.

    Returns
    -------
    Record
        Its JSON form is what ``Registry.promote`` takes. Every record of the view is cited.
    """
    judged, head = tuple(verdicts), view.ledger_head
    decision = decide(judged, policy, waivers_of(view, policy, now))
    passed = sum(verdict.is_pass for verdict in judged)
    record = new_record(
        "decision",
        [rate("gates_passed", passed, len(judged), definition="gates whose outcome is PASS")],
        replace(context, model_version=view.model_version),
        details={
            "policy": {"name": policy.name, "digest": policy.digest},
            "now": format_utc(now),
            "model_version": view.model_version,
            "manifest_sha256": view.manifest_sha256,
            "chain_problems": view.chain_problems,
            "used_confirmations": view.used_confirmations,
            "ledger_head": {"seq": head.seq, "sha256": head.sha256} if head else None,
            **_outcome(judged, decision),
        },
        upstream=[Upstream(cited.run_id, cited.sha256) for cited in map(view.cite, view.records)],
    )
    return with_verdict(record, is_pass=decision.promote, policy_digest=policy.digest)


def _outcome(verdicts: tuple[Verdict, ...], decision: Decision) -> dict[str, object]:
    return {
        "promote": decision.promote,
        "reasons": decision.reasons,
        "verdicts": to_plain(verdicts),
    }


@dataclass(frozen=True)
class Replay:
    """What computing an old decision again gave.

    Parameters
    ----------
    is_equal : bool
        Every verdict and the decision came out as the same bytes.
    differences : tuple of str
        What did not.
    verdicts : tuple of Verdict
        The verdicts as they come out now.
    """

    is_equal: bool
    differences: tuple[str, ...]
    verdicts: tuple[Verdict, ...]


def replay(record: Record, store: EvidenceStore, policy: Policy) -> Replay:
    """Compute an old decision again from the evidence it cites.

    Parameters
    ----------
    record : Record
        Of kind ``decision``.
    store : EvidenceStore
        Where the cited evidence is.
    policy : Policy
        The policy it was made under.

    Returns
    -------
    Replay

    Raises
    ------
    EvidenceSchemaError
        The record is not a decision.
    EvidenceError
        Cited evidence is gone or was edited.
    """
    if record.kind != "decision":
        raise EvidenceSchemaError("not a decision", expected="kind decision", got=record.kind)
    said, cited = record.details, {item.run_id: item.sha256 for item in record.upstream}
    problems = said["chain_problems"]
    view = EvidenceView(
        model_version=said["model_version"],
        records=store.read_each(cited),
        chain_problems=None if problems is None else tuple(problems),
        manifest_sha256=said["manifest_sha256"],
        used_confirmations=tuple(said["used_confirmations"]),
    )
    now = parse_utc(said["now"])
    verdicts = evaluate_all(view, policy, now)
    again = _outcome(verdicts, decide(verdicts, policy, waivers_of(view, policy, now)))
    differences = [
        f"evidence {item.run_id} is not the one cited"
        for item in map(view.cite, view.records)
        if cited[item.run_id] != item.sha256
    ]
    if said["policy"]["digest"] != policy.digest:
        differences.append("the policy is not the one it was made under")
    differences += [
        f"{key} came out differently"
        for key, value in again.items()
        if canonical_bytes(value) != canonical_bytes(said[key])
    ]
    return Replay(not differences, tuple(differences), verdicts)
