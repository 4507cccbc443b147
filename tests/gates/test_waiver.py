"""A waiver lets one gate by for one candidate for a short time, and never hides why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from mlwb.core.clock import ManualClock, format_utc
from mlwb.core.errors import PolicyError
from mlwb.evidence import Context, Record, check_record
from mlwb.gates import (
    GATES,
    UNWAIVABLE,
    EvidenceView,
    Outcome,
    decide,
    evaluate,
    evaluate_all,
    waiver_record,
    waivers_of,
)
from mlwb.params import Policy


def waived(
    view: EvidenceView, policy: Policy, gate: str, *, days: float = 7, **changes: Any
) -> EvidenceView:
    """The view with a waiver of a gate, given at its beginning; keywords change the record."""
    context = Context(clock=ManualClock())
    record = waiver_record(
        view, policy, context, gate=gate, reason="the feed was down", approver="ada", days=days
    )
    details = {**record.details, **changes.pop("details", {})}
    record = replace(record, details=details, **changes)
    return replace(view, records=(*view.records, record))


@pytest.fixture
def few_nights(green: EvidenceView, spoil: Any) -> EvidenceView:
    """A candidate that lacks its nights, and nothing else."""
    found: EvidenceView = spoil.drop(green, "nightly")
    return replace(found, records=_without_confirmation(found))


def _without_confirmation(view: EvidenceView) -> tuple[Record, ...]:
    return tuple(record for record in view.records if record.kind != "confirmation")


def _blocking(view: EvidenceView, policy: Policy, now: datetime) -> set[str]:
    verdicts = evaluate_all(view, policy, now)
    decision = decide(verdicts, policy, waivers_of(view, policy, now))
    return set() if decision.promote else {reason.split()[0] for reason in decision.reasons}


def test_a_waiver_lets_its_gate_by_and_no_other(
    few_nights: EvidenceView, policy: Policy, now: datetime
) -> None:
    """The waived gate no longer blocks; its outcome stays what it is, and says who waived it."""
    assert _blocking(few_nights, policy, now) == {"nightly", "confirmation"}
    view = waived(few_nights, policy, "nightly")
    assert _blocking(view, policy, now) == {"confirmation"}
    verdict = evaluate("nightly", view, policy, now)
    assert (verdict.outcome, verdict.is_pass) == (Outcome.MISSING, False)
    assert verdict.waived == "ada until 2026-01-08T00:00:00Z: the feed was down"


def test_a_decision_says_what_was_waived(
    green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """A yes that rests on a waiver names gate, person, date and reason."""
    view = waived(spoil.drop(green, "nightly"), policy, "nightly")
    verdicts = [v for v in evaluate_all(view, policy, now) if v.gate != "confirmation"]
    verdicts += [v for v in evaluate_all(green, policy, now) if v.gate == "confirmation"]
    decision = decide(verdicts, policy, waivers_of(view, policy, now))
    assert decision.promote
    said = "nightly waived: ada until 2026-01-08T00:00:00Z: the feed was down"
    assert decision.reasons == (said,)
    assert decide(verdicts, policy).promote is False, "a verdict cannot waive itself"


def test_a_person_confirms_the_waivers_too(green: EvidenceView, policy: Policy) -> None:
    """A waiver given after the confirmation voids it: nobody confirmed that."""
    assert waived(green, policy, "shadow").evidence_digest != green.evidence_digest


@pytest.mark.parametrize("gate", sorted(UNWAIVABLE))
def test_some_gates_are_never_waived(
    gate: str, green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """What the model is and was fed, and a yes: refused when asked, ignored when forged."""
    with pytest.raises(PolicyError, match="cannot be waived"):
        waived(green, policy, gate)
    forged = waived(green, policy, "nightly", details={"gate": gate})
    assert gate not in waivers_of(forged, policy, now).valid
    assert waivers_of(forged, policy, now).ignored[gate] == (f"{gate} cannot be waived",)


def test_the_others_can_be(green: EvidenceView, policy: Policy, now: datetime) -> None:
    """Every gate is either waivable or named as never waived."""
    for gate in set(GATES) - UNWAIVABLE:
        assert gate in waivers_of(waived(green, policy, gate), policy, now).valid
    assert {"data", "schema", "parity", "psi", "evidence", "confirmation"} == UNWAIVABLE


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_version": "v1.8.0"}, "it was given for v1.8.0"),
        ({"details": {"policy_digest": "sha256:" + "0" * 64}}, "under another policy"),
        ({"details": {"manifest_sha256": "sha256:" + "0" * 64}}, "other model bytes"),
        ({"details": {"expires_at": "2026-01-08T00:00:01Z"}}, "more than 7 days"),
        ({"details": {"expires_at": "2026-01-01T01:00:00Z"}}, "it expired at"),
        ({"origin": "simulated"}, "it is simulated"),
        ({"timestamp": "2026-01-01T01:05:01Z"}, "dated in the future"),
    ],
)
def test_a_waiver_that_does_not_count_is_ignored_and_said(
    changes: dict[str, Any], says: str, few_nights: EvidenceView, *, policy: Policy, now: datetime
) -> None:
    """Expired, foreign or too long: the gate blocks as before, and its reason says why."""
    view = waived(few_nights, policy, "nightly", **changes)
    assert "nightly" in _blocking(view, policy, now)
    verdict = evaluate("nightly", view, policy, now)
    assert verdict.waived == ""
    assert "a waiver does not count: " in verdict.reason
    assert says in verdict.reason


def test_a_waiver_ends_on_the_second(
    few_nights: EvidenceView, policy: Policy, clock: ManualClock
) -> None:
    """A second before its end it counts, at its end it does not."""
    view = waived(few_nights, policy, "nightly", days=1)
    end = clock.now() + timedelta(days=1)
    assert "nightly" not in _blocking(view, policy, end - timedelta(seconds=1))
    assert "nightly" in _blocking(view, policy, end)


def test_evidence_that_may_not_be_used_is_not_waived(
    green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """Mocked evidence stays out, whoever waives it; missed limits are let by."""
    mocked = waived(spoil.record(green, "shadow", origin="mock"), policy, "shadow")
    assert evaluate("shadow", mocked, policy, now).outcome is Outcome.INVALID
    assert evaluate("shadow", mocked, policy, now).waived == ""
    assert "shadow" in _blocking(mocked, policy, now)
    failed = waived(spoil.metric(green, "shadow", "match_rate", value=0.5), policy, "shadow")
    assert "shadow" not in _blocking(failed, policy, now)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"days": 7.001}, "at most 7 days"),
        ({"days": 0}, "at most 7 days"),
        ({"days": float("nan")}, "at most 7 days"),
        ({"reason": " "}, "names its reason"),
        ({"approver": ""}, "names its reason"),
        ({"gate": "sginal"}, "cannot be waived"),
    ],
)
def test_a_waiver_is_asked_for_properly(
    arguments: dict[str, Any], says: str, green: EvidenceView, policy: Policy
) -> None:
    """Too long, without reason, without a person, of no gate: refused before it is written."""
    asked = {"gate": "nightly", "reason": "why", "approver": "ada", "days": 1.0, **arguments}
    with pytest.raises(PolicyError, match=says):
        waiver_record(green, policy, Context(clock=ManualClock()), **asked)


def test_a_policy_that_says_no_days_allows_none(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """The longest time is the policy's; without one there are no waivers."""
    view = waived(green, policy, "nightly")
    gate = replace(policy.gates["evidence"], settings={})
    silent = replace(policy, gates={**policy.gates, "evidence": gate})
    assert waivers_of(view, silent, now).valid == {}


def test_a_waiver_is_lawful_evidence(green: EvidenceView, policy: Policy) -> None:
    """The record fits its schema and is live, whatever the numbers are."""
    record = waived(green, policy, "nightly").records[-1]
    check_record(record.to_json())
    assert (record.origin, record.model_version) == ("live", green.model_version)
    assert record.details["expires_at"] == format_utc(ManualClock().now() + timedelta(days=7))
    assert record.metrics == ()
