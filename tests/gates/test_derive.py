"""Numbers that gates work out themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from mlwb.core.clock import ManualClock, format_utc
from mlwb.evidence import Context, Metric, Record, new_record
from mlwb.gates import EvidenceView, Outcome, evaluate
from mlwb.gates._psi import derive_psi
from mlwb.params import Policy

CONTEXT = Context(clock=ManualClock(), model_version="v1.8.1", origin="live")


def _psi_check(view: EvidenceView, policy: Policy, now: datetime, limit: str) -> Outcome:
    checks = evaluate("psi", view, policy, now).checks
    found = [check.outcome for check in checks if check.id == f"psi.{limit}"]
    return next(outcome for outcome in Outcome if outcome in found)


def _allowing(policy: Policy, *names: str) -> dict[str, Any]:
    return {**policy.gates["psi"].settings, "not_gateable_allowed": names}


@pytest.mark.parametrize(
    ("lower", "upper", "outcome"),
    [
        (0.01, 0.29, Outcome.PASS),
        (0.29, 0.31, Outcome.UNPROVEN),
        (0.31, 0.45, Outcome.FAIL),
        (0.3, 0.3, Outcome.FAIL),
        (None, 0.31, Outcome.UNPROVEN),
    ],
)
def test_psi_is_shown_below_refuted_or_unproven(
    lower: float | None, upper: float, outcome: Outcome, *, green: EvidenceView, policy: Policy,
    now: datetime, spoil: Any,
) -> None:  # fmt: skip
    """The interval of a feature lies below the limit, beyond it, or spans it."""
    view = spoil.metric(green, "psi_snapshot", "psi_lower", segment="rsi14_z", value=lower)
    view = spoil.metric(view, "psi_snapshot", "psi_upper", segment="rsi14_z", value=upper)
    assert _psi_check(view, policy, now, "feature") is outcome


def test_overall_psi_is_three_way_too(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """An overall interval across 0.2 is unproven, one beyond it is a failure."""
    view = spoil.metric(green, "psi_snapshot", "psi_overall_upper", value=0.25)
    assert _psi_check(view, policy, now, "overall") is Outcome.UNPROVEN
    view = spoil.metric(view, "psi_snapshot", "psi_overall_lower", value=0.21)
    assert _psi_check(view, policy, now, "overall") is Outcome.FAIL


def test_a_gateable_feature_needs_its_bound(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """Leaving out the bound of a gateable feature does not hide the feature."""
    view = spoil.metric(green, "psi_snapshot", "psi_upper", segment="rsi14_z", drop=True)
    assert _psi_check(view, policy, now, "feature") is Outcome.MISSING


@pytest.mark.parametrize("flag", [{"value": 0}, {"value": None}, {"drop": True}])
def test_features_no_window_can_judge_are_named_by_the_policy(
    flag: dict[str, Any], green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """A feature that is not gateable is unproven, and passes only where the policy lists it."""
    view = spoil.metric(green, "psi_snapshot", "gateable", segment="rsi14_z", **flag)
    verdict = evaluate("psi", view, policy, now)
    assert verdict.outcome is Outcome.UNPROVEN
    assert "rsi14_z" in verdict.reason
    psi = replace(policy.gates["psi"], settings=_allowing(policy, "rsi14_z"))
    listed = replace(policy, gates={**policy.gates, "psi": psi})
    assert evaluate("psi", view, listed, now).is_pass


def test_with_no_gateable_feature_nothing_is_shown(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """A policy that allows every feature to go unjudged still does not get a pass."""
    view, names = green, ("rsi14_z", "spread_bp")
    for name in names:
        view = spoil.metric(view, "psi_snapshot", "gateable", segment=name, value=0)
    psi = replace(policy.gates["psi"], settings=_allowing(policy, *names))
    listed = replace(policy, gates={**policy.gates, "psi": psi})
    assert not evaluate("psi", view, listed, now).is_pass


@pytest.mark.parametrize(
    ("values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], 0.02),
        ([0.2, 0.9], 0.4),
        ([0.02], 0.02),
        ([0.5, 0.6, 0.7, 0.8, 0.9], 1.0),
        ([1e-4] * 7, 7e-4),
    ],
)
def test_holm_agrees_with_statsmodels(values: list[float], adjusted: float, policy: Policy) -> None:
    """Oracle: smallest p of statsmodels 0.14 ``multipletests(values, method="holm")``."""
    names = [f"f{n}" for n in range(len(values))]
    metrics = [Metric("p_block", v, segment=n) for n, v in zip(names, values, strict=True)]
    metrics += [Metric("gateable", 1, segment=name) for name in names]
    record = new_record("psi_snapshot", metrics, CONTEXT)
    view = EvidenceView(model_version="v1.8.1", records=(record,))
    found = derive_psi(view, policy, CONTEXT.clock.now())["p_block_holm"]
    assert found.metric.value == pytest.approx(adjusted, rel=1e-12)


def test_holm_without_every_p_value_is_unproven(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """A missing p value is not taken for a good one."""
    for change in ({"value": None}, {"drop": True}):
        view = spoil.metric(green, "psi_snapshot", "p_block", segment="rsi14_z", **change)
        assert _psi_check(view, policy, now, "beyond_null") is Outcome.UNPROVEN
    view = spoil.metric(green, "psi_snapshot", "p_block", segment="rsi14_z", value=0.02)
    assert _psi_check(view, policy, now, "beyond_null") is Outcome.FAIL
    view = spoil.metric(green, "psi_snapshot", "p_block", segment="rsi14_z", value=0.03)
    assert _psi_check(view, policy, now, "beyond_null") is Outcome.PASS


@pytest.mark.parametrize(
    ("p_value", "corrected", "outcome"),
    [
        (0.02, 0.35, Outcome.FAIL),
        (0.02, 0.3, Outcome.FAIL),
        (0.02, 0.29, Outcome.PASS),
        (0.03, 0.35, Outcome.PASS),
        (0.02, None, Outcome.FAIL),
        (None, 0.35, Outcome.UNPROVEN),
    ],
)
def test_a_feature_that_is_large_and_no_chance_has_moved(
    p_value: float | None, corrected: float | None, outcome: Outcome, *, green: EvidenceView,
    policy: Policy, now: datetime, spoil: Any,
) -> None:  # fmt: skip
    """After Holm over two features p may be 0.025; a size that is not there counts as large."""
    view = spoil.metric(green, "psi_snapshot", "p_block", segment="rsi14_z", value=p_value)
    view = spoil.metric(view, "psi_snapshot", "psi_corrected", segment="rsi14_z", value=corrected)
    assert _psi_check(view, policy, now, "moved") is outcome
    if outcome is Outcome.FAIL:
        assert "rsi14_z" in evaluate("psi", view, policy, now).reason


def test_an_unjudged_feature_names_the_window_that_could(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """Whoever is told that a window is too short is told how long it must be."""
    view = spoil.metric(green, "psi_snapshot", "gateable", segment="rsi14_z", value=0)
    reason = evaluate("psi", view, policy, now).reason
    assert "rsi14_z (28 days could)" in reason
    view = spoil.metric(view, "psi_snapshot", "gateable_days", segment="rsi14_z", value=None)
    reason = evaluate("psi", view, policy, now).reason
    assert "rsi14_z (no window that fits the reference could)" in reason


def test_a_mean_that_nobody_can_judge_is_unproven(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """A mean that chance alone carries over its limit is not passed for being small today."""
    for change in ({"value": 0}, {"drop": True}):
        view = spoil.metric(green, "psi_snapshot", "overall_gateable", **change)
        verdict = evaluate("psi", view, policy, now)
        assert verdict.outcome is Outcome.UNPROVEN
        assert "the mean over features, and no policy exempts it" in verdict.reason
        assert "must name" not in verdict.reason


def test_a_score_is_shown_steady_or_it_is_not(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """The bound of the score decides, not its plain number; a score beyond judging never passes."""
    assert evaluate("drift", green, policy, now).is_pass
    view = spoil.metric(green, "psi_snapshot", "prediction_psi", value=0.4)
    assert evaluate("drift", view, policy, now).is_pass
    view = spoil.metric(green, "psi_snapshot", "prediction_psi_upper", value=0.3)
    assert evaluate("drift", view, policy, now).outcome is Outcome.UNPROVEN
    view = spoil.metric(view, "psi_snapshot", "prediction_psi_lower", value=0.26)
    assert evaluate("drift", view, policy, now).outcome is Outcome.FAIL
    for change in ({"value": 0}, {"value": None}, {"drop": True}):
        view = spoil.metric(green, "psi_snapshot", "prediction_gateable", **change)
        verdict = evaluate("drift", view, policy, now)
        assert verdict.outcome is Outcome.UNPROVEN
        assert "the score (21 days could)" in verdict.reason


def _night(policy: Policy, clock: ManualClock, days_ago: int, **changes: Any) -> Record:
    value = changes.pop("green", 1)
    stamp = format_utc(clock.now() - timedelta(days=days_ago))
    record = new_record("nightly", [Metric("green", value)], CONTEXT)
    fields = {"timestamp": stamp, "policy_digest": policy.digest, **changes}
    return replace(record, run_id=f"{record.run_id}{days_ago}", **fields)


def _streak(records: list[Record], policy: Policy, now: datetime) -> float | int | None:
    view = EvidenceView(model_version="v1.8.1", records=tuple(records))
    return evaluate("nightly", view, policy, now).checks[0].observed


def test_seven_green_nights_pass_six_do_not(
    policy: Policy, clock: ManualClock, now: datetime
) -> None:
    """The streak is counted in dates back from the newest run."""
    nights = [_night(policy, clock, n) for n in range(7)]
    assert _streak(nights, policy, now) == 7
    assert _streak(nights[:6], policy, now) == 6
    view = EvidenceView(model_version="v1.8.1", records=tuple(nights))
    assert evaluate("nightly", view, policy, now).is_pass
    assert not evaluate("nightly", replace(view, records=view.records[:6]), policy, now).is_pass


@pytest.mark.parametrize(
    "changes",
    [
        {"green": 0},
        {"green": None},
        {"green": 0.99},
        {"model_version": "v1.8.0"},
        {"policy_digest": "sha256:" + "0" * 64},
        {"policy_digest": ""},
        {"origin": "simulated"},
        {"metrics": ()},
        {"metrics": (Metric("green", 1), Metric("green", 1, segment="rerun"))},
    ],
)
def test_a_night_that_is_not_green_breaks_the_streak(
    changes: dict[str, Any], policy: Policy, clock: ManualClock, now: datetime
) -> None:
    """Red, unmeasured, another model, another policy or another origin: the count starts anew."""
    nights = [_night(policy, clock, n, **(changes if n == 3 else {})) for n in range(10)]
    assert _streak(nights, policy, now) == 3


def test_a_missing_night_breaks_the_streak(
    policy: Policy, clock: ManualClock, now: datetime
) -> None:
    """A date without a run is not skipped over."""
    nights = [_night(policy, clock, n) for n in range(10) if n != 4]
    assert _streak(nights, policy, now) == 4


def test_a_second_run_does_not_turn_a_red_night_green(
    policy: Policy, clock: ManualClock, now: datetime
) -> None:
    """Running again on the same date until it is green does not help."""
    nights = [_night(policy, clock, n) for n in range(8)]
    red = _night(policy, clock, 2, green=0)
    assert _streak([red, *nights], policy, now) == 2
    assert _streak([*nights, red], policy, now) == 2


def test_an_old_streak_is_stale(policy: Policy, clock: ManualClock) -> None:
    """Seven green nights last week say nothing about tonight."""
    nights = [_night(policy, clock, n) for n in range(7)]
    view = EvidenceView(model_version="v1.8.1", records=tuple(nights))
    late = clock.now() + timedelta(hours=27)
    assert evaluate("nightly", view, policy, late).outcome is Outcome.STALE


@pytest.mark.parametrize(
    ("kind", "change", "limit"),
    [
        ("offline_report", None, "kinds_missing"),
        ("parity", {"model_version": "v1.8.0"}, "other_versions"),
        ("smoke", {"metrics": (Metric("error_rate", 0.0035, n=50, k=0),)}, "lint_problems"),
    ],
)
def test_incomplete_mixed_or_impossible_evidence_fails(
    kind: str, change: dict[str, Any] | None, limit: str, *, green: EvidenceView, policy: Policy,
    now: datetime, spoil: Any,
) -> None:  # fmt: skip
    """A missing kind, a record about another version and an impossible number are each counted."""
    view = spoil.record(green, kind, **change) if change else spoil.drop(green, kind)
    verdict = evaluate("evidence", view, policy, now)
    failed = {c.id for c in verdict.checks if c.outcome is Outcome.FAIL}
    assert failed == {f"evidence.{limit}"}
    assert kind in verdict.reason


def test_an_unverified_or_broken_ledger_does_not_pass(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """Nobody looked is unproven; something found is a failure that is said."""
    unseen = evaluate("evidence", replace(green, chain_problems=None), policy, now)
    assert unseen.outcome is Outcome.UNPROVEN
    broken = replace(green, chain_problems=("smoke was edited",))
    verdict = evaluate("evidence", broken, policy, now)
    assert verdict.outcome is Outcome.FAIL
    assert "smoke was edited" in verdict.reason


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("phrase", "confirm: promote v1.8.1 to latest", "phrase"),
        ("phrase", "CONFIRM: promote v1.8.0 to latest", "phrase"),
        ("phrase", "", "phrase"),
        ("policy_digest", "sha256:" + "0" * 64, "policy"),
        ("evidence_digest", "sha256:" + "0" * 64, "evidence"),
        ("manifest_sha256", "sha256:" + "0" * 64, "bytes"),
        ("expires_at", "2026-01-01T01:00:00Z", "expired"),
        ("expires_at", "2020-01-01T00:00:00Z", "expired"),
    ],
)
def test_a_confirmation_is_bound_to_what_was_shown(
    field: str, value: str, said: str, *, green: EvidenceView, policy: Policy, now: datetime,
    spoil: Any,
) -> None:  # fmt: skip
    """Another phrase, policy, evidence or model, or a late use: the yes does not count."""
    record = green.newest("confirmation")
    assert record is not None
    assert evaluate("confirmation", green, policy, now).is_pass
    view = spoil.record(green, "confirmation", details={**record.details, field: value})
    verdict = evaluate("confirmation", view, policy, now)
    assert verdict.outcome is Outcome.FAIL
    assert said in verdict.reason


def test_a_confirmation_without_details_does_not_count(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """An empty confirmation is a no, not an error."""
    view = spoil.record(green, "confirmation", details={})
    assert evaluate("confirmation", view, policy, now).outcome is Outcome.FAIL


def test_a_confirmation_counts_once_and_for_known_bytes(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """Used before, or with nobody knowing which model bytes are meant, it does not count."""
    record = green.newest("confirmation")
    assert record is not None
    used = replace(green, used_confirmations=(record.run_id,))
    assert not evaluate("confirmation", used, policy, now).is_pass


@pytest.mark.parametrize("field", ["phrase", "manifest_sha256"])
def test_nothing_said_to_nothing_asked_is_no_confirmation(
    field: str, green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """An empty phrase for a policy without one, or no bytes for no bytes, is not a yes."""
    record = green.newest("confirmation")
    assert record is not None
    view = spoil.record(green, "confirmation", details={**record.details, field: ""})
    view = replace(view, manifest_sha256="" if field == "manifest_sha256" else "sha256:" + "a" * 64)
    gate = policy.gates["confirmation"]
    gate = replace(gate, settings={} if field == "phrase" else gate.settings)
    unasked = replace(policy, gates={**policy.gates, "confirmation": gate})
    assert not evaluate("confirmation", view, unasked, now).is_pass


def test_a_policy_that_wants_no_evidence_gets_no_pass(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """Without a list of kinds nothing can be complete."""
    gate = replace(policy.gates["evidence"], settings={})
    empty = replace(policy, gates={**policy.gates, "evidence": gate})
    assert evaluate("evidence", green, empty, now).outcome is Outcome.UNPROVEN


def test_newer_evidence_voids_a_confirmation(
    green: EvidenceView, policy: Policy, now: datetime
) -> None:
    """Measuring again after the yes means asking again."""
    again = new_record("smoke", [], CONTEXT)
    view = replace(green, records=(*green.records, again))
    assert not evaluate("confirmation", view, policy, now).is_pass


@pytest.mark.parametrize(
    ("delta", "p_adjusted", "outcome"),
    [
        (0.02, 0.01, Outcome.FAIL),
        (0.02, 0.10, Outcome.FAIL),
        (0.02, 0.11, Outcome.PASS),
        (0.005, 0.01, Outcome.PASS),
        (0.02, None, Outcome.FAIL),
        (None, 0.01, Outcome.FAIL),
    ],
)
def test_a_group_harms_beyond_the_policys_margin_and_level(
    delta: float | None,
    p_adjusted: float | None,
    outcome: Outcome,
    *,
    green: EvidenceView,
    policy: Policy,
    now: datetime,
    spoil: Any,
) -> None:
    """Harm needs both numbers of the policy; a number that is missing counts against the group."""
    view = spoil.metric(green, "ablation", "delta", segment="level", value=delta)
    view = spoil.metric(view, "ablation", "p_adjusted", segment="level", value=p_adjusted)
    assert evaluate("ablation", view, policy, now).outcome is outcome


def test_an_ablation_that_left_nothing_out_proves_nothing(
    green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> None:
    """Without a single group the gate is unproven, never passed."""
    view = spoil.record(green, "ablation", metrics=())
    assert evaluate("ablation", view, policy, now).outcome is Outcome.UNPROVEN
