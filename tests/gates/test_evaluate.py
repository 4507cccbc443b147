"""Gates and the decision as a whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import PolicyError
from mlwb.evidence import KNOWN_NAMES, Context, Metric, new_record, rate
from mlwb.gates import (
    GATES,
    EvidenceView,
    Outcome,
    decide,
    evaluate,
    evaluate_all,
    evaluate_watch,
)
from mlwb.params import GatePolicy, Policy, load_policy

PARAMS = Path(__file__).resolve().parents[2] / "params"


def test_good_evidence_promotes(green: EvidenceView, policy: Policy, now: datetime) -> None:
    """With everything in place every gate passes and the decision is yes."""
    verdicts = evaluate_all(green, policy, now)
    assert [verdict.gate for verdict in verdicts] == list(GATES)
    assert [verdict.gate for verdict in verdicts if not verdict.is_pass] == []
    assert decide(verdicts, policy).promote is True


def test_no_evidence_promotes_nothing(policy: Policy, now: datetime) -> None:
    """Without evidence no gate passes; each says what is missing."""
    verdicts = evaluate_all({}, policy, now)
    assert not any(verdict.is_pass for verdict in verdicts)
    decision = decide(verdicts, policy)
    assert decision.promote is False
    hard = [gate.id for gate in policy.gates.values() if gate.severity == "hard"]
    assert len(decision.reasons) >= len(hard)


@pytest.mark.parametrize("gate", GATES)
def test_each_gate_can_block_alone(
    gate: str, green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """Taking away the evidence of one gate makes that gate not pass, and the decision no."""
    view = green
    for limit in policy.gates[gate].limits:
        view = spoil.drop(view, limit.kind)
    if gate == "evidence":
        view = replace(view, chain_problems=None)
    assert not evaluate(gate, view, policy, now).is_pass
    assert decide(evaluate_all(view, policy, now), policy).promote is False


def test_policy_and_evidence_speak_of_the_same_kinds() -> None:
    """Every limit names a kind of evidence that exists, in every shipped policy."""
    for name in ("policy.yml", "policy.demo.yml", "policy.strict.yml"):
        policy = load_policy(PARAMS / name)
        assert {limit.kind for limit in policy.limits.values()} <= set(KNOWN_NAMES)
        assert set(policy.gates["evidence"].settings["kinds"]) <= set(KNOWN_NAMES)


def test_unknown_gates_are_refused(policy: Policy, now: datetime) -> None:
    """A gate nobody defined is an error, not a pass."""
    with pytest.raises(PolicyError, match="sginal"):
        evaluate("sginal", {}, policy, now)


def test_verdicts_cite_evidence_and_policy(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """A verdict names the records it rests on by run id and digest, and the policy."""
    verdict = evaluate("signal", green, policy, now)
    records = [green.newest("offline_report"), green.newest("significance")]
    assert {(c.run_id, c.sha256) for c in verdict.evidence} == {
        (record.run_id, record.sha256) for record in records if record
    }
    assert verdict.policy_digest == policy.digest


def test_reasons_are_sentences_with_numbers(
    green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """A failed gate says which number missed which limit; a warning is said beside a pass."""
    view = spoil.metric(green, "offline_report", "auc", value=0.61)
    assert evaluate("signal", view, policy, now).reason == "auc = 0.61, must be >= 0.62"
    view = spoil.metric(green, "smoke", "p95_ms", value=30.0)
    verdict = evaluate("perf", view, policy, now)
    assert verdict.is_pass
    assert "warning: p95_ms = 30, must be < 10" in verdict.reason


def test_the_worst_binding_outcome_is_the_verdict(
    green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """One failed limit among unproven ones is a failure."""
    view = spoil.metric(green, "offline_report", "auc", value=None)
    assert evaluate("signal", view, policy, now).outcome is Outcome.UNPROVEN
    view = spoil.metric(view, "offline_report", "precision_top_20pct", value=0.1)
    assert evaluate("signal", view, policy, now).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("details", "blocks"),
    [
        ({"label": {"kind": "volatility"}}, False),
        ({"label": {"kind": "direction"}}, True),
        ({"label": {"kind": "triple_barrier"}}, True),
        ({"label": {}}, True),
        ({"label": "volatility"}, True),
        ({}, True),
    ],
)
def test_paper_money_binds_direction_labels(
    details: dict[str, Any], green: EvidenceView, *, policy: Policy, now: datetime, spoil: Any,
    blocks: bool,
) -> None:  # fmt: skip
    """A losing rule blocks a direction model, or one whose label nobody named; else it warns."""
    view = spoil.record(green, "pnl", details=details)
    view = spoil.metric(view, "pnl", "sharpe", value=-1.0)
    view = spoil.metric(view, "pnl", "sharpe_upper", value=0.5)
    verdicts = [v for v in evaluate_all(view, policy, now) if v.gate == "pnl"]
    assert verdicts[0].outcome is Outcome.FAIL
    others = [v for v in evaluate_all(green, policy, now) if v.gate != "pnl"]
    assert decide([*others, *verdicts], policy).promote is not blocks


def test_a_decision_needs_every_verdict(green: EvidenceView, policy: Policy, now: datetime) -> None:
    """Leaving out any verdict, or judging it under another policy, blocks."""
    verdicts = evaluate_all(green, policy, now)
    for place, verdict in enumerate(verdicts):
        rest = verdicts[:place] + verdicts[place + 1 :]
        assert decide(rest, policy).reasons == (f"{verdict.gate}: not evaluated",)
        other = replace(verdict, policy_digest="sha256:" + "0" * 64)
        assert decide([*rest, other], policy).promote is False
    assert decide([], policy).promote is False


def test_a_verdict_cannot_waive_itself(green: EvidenceView, policy: Policy, now: datetime) -> None:
    """Only the policy waives and softens: a verdict that says so of itself still blocks."""
    verdicts = list(evaluate_all(green, policy, now))
    verdicts[0] = replace(verdicts[0], outcome=Outcome.FAIL, waived="because", severity="soft")
    assert decide(verdicts, policy).promote is False


def test_the_demo_policy_promotes_without_waiting(
    green: EvidenceView, now: datetime, spoil: Any
) -> None:
    """With dwell times waived the measured gates decide; the waivers are said, never passed."""
    demo = load_policy(PARAMS / "policy.demo.yml")
    view = green
    for kind in ("nightly", "validation", "confirmation"):
        view = spoil.drop(view, kind)
    view = spoil.metric(view, "shadow", "covered_h", value=0.1)
    verdicts = evaluate_all(view, demo, now)
    decision = decide(verdicts, demo)
    assert decision.promote is True
    assert len(decision.reasons) == 3
    outcomes = {verdict.gate: verdict.outcome for verdict in verdicts}
    assert outcomes["nightly"] is Outcome.MISSING
    assert outcomes["shadow"] is Outcome.PASS
    assert "waived" in next(v.reason for v in verdicts if v.gate == "shadow")
    for gate in ("nightly", "validation", "confirmation"):
        assert any(reason.startswith(f"{gate} waived") for reason in decision.reasons)
    failing = spoil.metric(view, "parity", "max_abs_diff", value=1.0)
    assert decide(evaluate_all(failing, demo, now), demo).promote is False


def test_a_gate_whose_checks_are_all_waived_is_unproven(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """Waiving every limit of a gate does not make it pass."""
    gate = policy.gates["wf"]
    limits = tuple(replace(limit, waived="because") for limit in gate.limits)
    gates: dict[str, GatePolicy] = {**policy.gates, "wf": replace(gate, limits=limits)}
    verdict = evaluate("wf", green, replace(policy, gates=gates), now)
    assert verdict.outcome is Outcome.UNPROVEN


QUALITY = {
    "btc_perp": (50.8, 1.0, 0, 0, 0, None, None, 1.0),
    "btc_spot": (90.8, 1.0, 0, 0, 0, None, None, 1.0),
    "gbpusd_fxcm": (29.0, 0.9959, 300, 0, 0, 0.0115, 0.0102, 0.9959),
    "eurusd_fxcm": (15.0, 0.9899, 300, 0, 0, 0.0236, 0.0681, 0.9899),
    "xauusd_oanda": (15.0, 0.9950, 240, 0, 0, 0.0, 0.0, 0.9950),
    "xauusd_mt5": (65.0, 1.0, 240, 0, 0, 0.0, 0.0, 1.0),
}
DEFECTS = {
    "exchange_halt": ((45.9, 0.9988, 4860, 72, 0, None, None, 0.9977), 2),
    "duplicated_pages": ((11.4, 1.0, 0, 191, 26856, None, None, 0.134), 4),
    "illiquid_with_outages": ((30.0, 0.9875, 21300, 91, 542, None, None, 0.5163), 4),
    "paging_bug": ((364.4, 0.2002, 48120, 0, 0, None, None, 0.2002), 3),
    "trades_only": ((90.0, 0.4376, 5280, 0, 0, None, None, 0.4376), 3),
}


def _quality(numbers: tuple[float | None, ...]) -> dict[str, Any]:
    names = (
        "days", "coverage", "longest_gap_s", "stale_longest_bars", "duplicates_identical",
        "crossed_share", "locked_share", "completeness",
    )  # fmt: skip
    measured = dict(zip(names, numbers, strict=True))
    zeros = dict.fromkeys(
        ("duplicates_conflicting", "out_of_order", "non_positive", "ohlc_violations", "non_finite"),
        0,
    )
    metrics = [Metric(name, value) for name, value in {**measured, **zeros}.items()]
    metrics += [
        Metric("spikes_share", 0.0),
        Metric("clock_skew_p99_ms", None, null_reason="one clock"),
        rate("feature_completeness", 999, 1000, segment="rsi14_z"),
    ]
    context = Context(clock=ManualClock(), model_version="v1")
    return {"data_quality": new_record("data_quality", metrics, context)}


@pytest.mark.parametrize("name", QUALITY)
def test_clean_recordings_pass_the_data_gate(name: str, policy: Policy, clock: ManualClock) -> None:
    """Numbers measured on clean recorded markets, quotes crossed or not, are within the limits."""
    assert evaluate("data", _quality(QUALITY[name]), policy, clock.now()).is_pass


@pytest.mark.parametrize("name", DEFECTS)
def test_broken_recordings_fail_the_data_gate(
    name: str, policy: Policy, clock: ManualClock
) -> None:
    """Numbers measured on broken recordings fail on as many limits as they have defects."""
    numbers, defects = DEFECTS[name]
    verdict = evaluate("data", _quality(numbers), policy, clock.now())
    failed = [check.metric for check in verdict.checks if check.outcome is Outcome.FAIL]
    assert len(failed) == defects, failed


def test_a_watch_is_judged_as_a_gate_and_decides_nothing(
    policy: Policy, clock: ManualClock
) -> None:
    """Hard limits make the outcome, soft ones warn, and no decision looks at it."""
    metrics = [
        Metric("golden_max_abs_diff", 0.0),
        Metric("gateable", 1, segment="a"),
        Metric("psi_upper", 0.4, segment="a"),
        Metric("psi_lower", 0.1, segment="a"),
        Metric("psi_overall_upper", 0.1),
        Metric("psi_overall_lower", 0.0),
        Metric("prediction_psi_upper", 0.1),
        Metric("prediction_psi_lower", 0.0),
        Metric("moved", 0, segment="a"),
        Metric("e_value_highest", 25.0),
    ]
    shared = Context(clock=clock, model_version="v1.8.1", origin="live")
    outcomes = {}
    for lower in (0.1, 0.35):
        metrics[3] = Metric("psi_lower", lower, segment="a")
        record = new_record("drift_check", metrics, shared)
        verdict = evaluate_watch("drift_check", {"drift_check": record}, policy, clock.now())
        outcomes[lower] = verdict.outcome
        soft = {check.id: check.outcome for check in verdict.checks if not check.is_binding}
        assert soft["drift_check.e_value"] is Outcome.FAIL
        assert soft["drift_check.sr"] is Outcome.MISSING
    assert outcomes == {0.1: Outcome.UNPROVEN, 0.35: Outcome.FAIL}
    assert "drift_check" not in GATES
    with pytest.raises(PolicyError, match="no such watch"):
        evaluate_watch("drift", {}, policy, clock.now())
