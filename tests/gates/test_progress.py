"""How far a candidate is, and when a night is green."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import PromotionRefusedError
from mlwb.evidence import Context, check_record
from mlwb.gates import (
    EvidenceView,
    Outcome,
    confirmation_record,
    evaluate,
    evaluate_all,
    is_green,
    phrase_of,
    progress_of,
)
from mlwb.params import Policy, load_policy

PARAMS = Path(__file__).resolve().parents[2] / "params"


def _by_gate(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, tuple[float, bool]]:
    return {step.gate: (step.reached, step.is_done) for step in progress_of(view, policy, now)}


def test_a_green_candidate_has_all_it_waits_for(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """Every count is reached, and said with its unit."""
    steps = progress_of(green, policy, now)
    assert all(step.is_done for step in steps)
    assert [str(step) for step in steps] == [
        "canary: 5 of 5 phases, done",
        "shadow: 24 of 24 h, done",
        "nightly: 7 of 7 nights, done",
        "validation: 24 of 24 h, done",
        "confirmation: 1 of 1 confirmation, done",
    ]


def test_an_empty_home_has_nothing(policy: Policy, now: datetime) -> None:
    """Without evidence everything is at zero and nothing is done."""
    steps = progress_of(EvidenceView(model_version="v1", records=()), policy, now)
    assert {(step.reached, step.is_done, step.outcome) for step in steps} == {
        (0.0, False, Outcome.MISSING)
    }


def test_three_nights_are_three_of_seven(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """Nights are counted back from the newest."""
    nights = green.all("nightly")
    kept = tuple(record for record in green.records if record not in nights[:4])
    assert _by_gate(replace(green, records=kept), policy, now)["nightly"] == (3.0, False)


def test_hours_of_another_candidate_do_not_count(
    green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """Shadow hours of another version, or simulated ones, are none."""
    for change in ({"model_version": "v1.8.0"}, {"origin": "simulated"}):
        view = spoil.record(green, "shadow", **change)
        assert _by_gate(view, policy, now)["shadow"] == (0.0, False)


def test_what_the_policy_waives_is_done(green: EvidenceView, now: datetime, spoil: Any) -> None:
    """A demonstration does not wait, and the real count is shown all the same."""
    demo = load_policy(PARAMS / "policy.demo.yml")
    view = spoil.metric(spoil.drop(green, "nightly"), "shadow", "covered_h", value=0.1)
    assert _by_gate(view, demo, now)["nightly"] == (0.0, True)
    said = [str(step) for step in progress_of(view, demo, now)]
    assert said[1:4] == [
        "shadow: 0.1 of 24 h, waived",
        "nightly: 0 of 7 nights, waived",
        "validation: 24 of 24 h, done",
    ]


def test_a_night_is_green_when_the_judged_gates_pass(
    green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """Hours, nights and people are not waited for; any judged gate turns the night red."""
    view = green
    for kind in ("nightly", "validation", "confirmation"):
        view = spoil.drop(view, kind)
    view = spoil.metric(view, "shadow", "covered_h", value=0.1)
    verdicts = evaluate_all(view, policy, now)
    assert is_green(verdicts, policy) == (True, ())
    for gate in policy.gates["nightly"].settings["judged"]:
        others = [verdict for verdict in verdicts if verdict.gate != gate]
        assert is_green(others, policy) == (False, (gate,)), "not asked is red"
        failed = replace(evaluate(gate, view, policy, now), outcome=Outcome.FAIL, waived="because")
        assert is_green([*others, failed], policy) == (False, (gate,)), "a waiver is no green"


def test_no_verdicts_are_no_green_night(policy: Policy) -> None:
    """A run that stopped, or a policy that judges nothing, is red."""
    assert is_green((), policy)[0] is False
    silent = replace(policy.gates["nightly"], settings={})
    assert is_green((), replace(policy, gates={**policy.gates, "nightly": silent}))[0] is False


def test_the_phrase_shows_what_is_at_stake(green: EvidenceView, policy: Policy, spoil: Any) -> None:
    """Version, abort thresholds as the policy writes them, and the PSI that was measured."""
    phrase = phrase_of(spoil.metric(green, "psi_snapshot", "psi_overall", value=0.12345), policy)
    assert phrase == (
        "CONFIRM: promote v1.8.1 to latest, abort above 120 ms p95, above 0.02 errors "
        "or below 0.90 match, PSI 0.1235"
    )
    assert phrase_of(spoil.drop(green, "psi_snapshot"), policy).endswith("PSI not measured")


@pytest.mark.parametrize("typed", ["", "yes", "CONFIRM: promote v1.8.1 to latest"])
def test_only_the_whole_phrase_confirms(typed: str, green: EvidenceView, policy: Policy) -> None:
    """Anything else typed is refused and nothing is made of it."""
    with pytest.raises(PromotionRefusedError, match="not the phrase"):
        confirmation_record(green, policy, Context(clock=ManualClock()), typed=typed, by="ada")


def test_a_confirmation_confirms_what_was_shown(
    green: EvidenceView, policy: Policy, *, clock: ManualClock, spoil: Any
) -> None:
    """The record of the typed phrase passes the gate; with any measurement changed it does not."""
    asked = spoil.drop(green, "confirmation")
    context = Context(clock=clock)
    record = confirmation_record(asked, policy, context, typed=phrase_of(asked, policy), by="ada")
    check_record(record.to_json())
    view = replace(asked, records=(*asked.records, record))
    assert evaluate("confirmation", view, policy, clock.now()).is_pass
    later = spoil.metric(view, "smoke", "p95_ms", value=9.5)
    verdict = evaluate("confirmation", later, policy, clock.now())
    assert "it was given for other evidence" in verdict.reason
    other = spoil.metric(view, "psi_snapshot", "psi_overall", value=0.19)
    assert "not the asked one" in evaluate("confirmation", other, policy, clock.now()).reason
    with pytest.raises(PromotionRefusedError, match="who gives it"):
        confirmation_record(asked, policy, context, typed=phrase_of(asked, policy), by=" ")
