"""Which policy is in force stands in the ledger before anything is judged by it."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from mlwb.core.canonical import digest
from mlwb.core.clock import ManualClock
from mlwb.core.errors import PolicyError
from mlwb.evidence import Context, EvidenceStore, Metric, new_record
from mlwb.gates import (
    EvidenceView,
    Outcome,
    evaluate,
    evaluate_all,
    log_policy,
    logged_policy,
    read_view,
)
from mlwb.params import Policy, load_policy, parse_policy
from tests.records import DETAILS

PARAMS = Path(__file__).resolve().parents[2] / "params"
SHA = "sha256:" + "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    """An empty home."""
    return EvidenceStore(tmp_path)


@pytest.fixture
def strict() -> Policy:
    """The strict policy."""
    return load_policy(PARAMS / "policy.strict.yml")


def laxer(policy: Policy) -> Policy:
    """The policy with one limit lowered."""
    content = copy.deepcopy(dict(policy.content))
    content["gates"]["signal"]["limits"]["auc"]["value"] = "0.50"
    return parse_policy(content)


def _write_parity(store: EvidenceStore, policy: Policy, clock: ManualClock) -> None:
    clock.advance(60)
    limits = policy.gates["parity"].limits + policy.gates["schema"].limits
    metrics = [Metric(limit.metric, 100_000 if limit.metric == "n_rows" else 0) for limit in limits]
    context = Context(clock=clock, model_version="v1", origin="replay")
    store.write(new_record("parity", metrics, context, details=DETAILS["parity"]))


def _parity(store: EvidenceStore, policy: Policy, clock: ManualClock) -> Outcome:
    return evaluate("parity", read_view(store, "v1"), policy, clock.now()).outcome


@pytest.mark.parametrize("name", ["policy.yml", "policy.demo.yml", "policy.strict.yml"])
def test_a_policy_is_made_again_of_its_content(name: str) -> None:
    """What the ledger keeps of a policy gives the same policy, digest and limits."""
    policy = load_policy(PARAMS / name)
    again = parse_policy(policy.content)
    assert again == policy
    assert again.digest == digest(policy.content)


def test_the_first_use_is_logged_once(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """One record with number 1 and the whole content; using it again adds nothing."""
    record = log_policy(store, policy, Context(clock=clock))
    assert record is not None
    assert (record.details["seq"], record.details["changed"]) == (1, [])
    assert log_policy(store, policy, Context(clock=clock)) is None
    again = logged_policy(store, policy.digest)
    assert again == policy
    assert again is not None
    assert list(again.limits) == list(policy.limits), "in the order of the file"
    assert logged_policy(store, SHA) is None


def test_a_change_is_logged_limit_by_limit(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """Numbers grow, also when an older policy comes back; what changed is said."""
    context = Context(clock=clock)
    records = [log_policy(store, item, context) for item in (policy, laxer(policy), policy)]
    assert [record.details["seq"] for record in records if record] == [1, 2, 3]
    assert records[1] is not None
    assert records[1].details["changed"] == ["signal.auc: >= 0.62 hard -> >= 0.50 hard"]


def test_a_waiver_by_policy_is_a_change(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """Turning to a policy that waives gates says which."""
    context = Context(clock=clock)
    log_policy(store, policy, context)
    record = log_policy(store, load_policy(PARAMS / "policy.demo.yml"), context)
    assert record is not None
    said = record.details["changed"]
    assert "nightly: not waived -> a demonstration does not wait 7 nights" in said


def test_the_first_policy_of_a_home_judges_what_is_there(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """Evidence from before any policy was said is not lost: the first one binds all."""
    _write_parity(store, policy, clock)
    log_policy(store, policy, Context(clock=clock))
    assert _parity(store, policy, clock) is Outcome.PASS


def test_limits_cannot_move_after_the_result(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """Evidence measured before the policy changed is stale; measured after, it counts."""
    log_policy(store, policy, Context(clock=clock))
    _write_parity(store, policy, clock)
    assert _parity(store, policy, clock) is Outcome.PASS
    moved = laxer(policy)
    assert _parity(store, moved, clock) is Outcome.PASS, "asking what a policy would say is free"
    log_policy(store, moved, Context(clock=clock))
    assert _parity(store, moved, clock) is Outcome.STALE
    verdict = evaluate("parity", read_view(store, "v1"), moved, clock.now())
    assert "measured before the policy changed on 2026-01-01T00:01:00Z" in verdict.reason
    _write_parity(store, policy, clock)
    assert _parity(store, moved, clock) is Outcome.PASS


def test_going_back_to_an_older_policy_is_a_change_too(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """A failed result is not saved by the policy before: that one starts anew."""
    log_policy(store, laxer(policy), Context(clock=clock))
    log_policy(store, policy, Context(clock=clock))
    _write_parity(store, policy, clock)
    log_policy(store, laxer(policy), Context(clock=clock))
    assert _parity(store, laxer(policy), clock) is Outcome.STALE


def test_order_is_the_ledgers_not_the_clocks(
    store: EvidenceStore, policy: Policy, strict: Policy
) -> None:
    """A clock set back does not make evidence older or newer than the policy."""
    late, early = ManualClock(elapsed_s=9_000.0), ManualClock()
    log_policy(store, strict, Context(clock=late))
    log_policy(store, policy, Context(clock=late))
    _write_parity(store, policy, early)
    assert _parity(store, policy, late) is Outcome.PASS


@pytest.mark.parametrize(
    ("change", "says"),
    [({"seq": 7}, "policy 7 stands where 1 belongs"), ({"digest": SHA}, "not what its digest")],
)
def test_a_forged_policy_log_fails_the_evidence_gate(
    change: dict[str, object], says: str, *, green: EvidenceView, policy: Policy, now: datetime,
    store: EvidenceStore, clock: ManualClock,
) -> None:  # fmt: skip
    """A number that does not grow, or a content under another digest, is no evidence."""
    record = log_policy(store, policy, Context(clock=clock))
    assert record is not None
    sound = replace(green, records=(record, *green.records))
    assert evaluate("evidence", sound, policy, now).is_pass
    forged = replace(record, details={**record.details, **change})
    verdict = evaluate("evidence", replace(green, records=(forged, *green.records)), policy, now)
    assert verdict.outcome is Outcome.FAIL
    assert says in verdict.reason


def test_a_logged_policy_does_not_void_a_confirmation(
    green: EvidenceView, policy: Policy, *, now: datetime, store: EvidenceStore, clock: ManualClock
) -> None:
    """What a person confirmed is bound to the policy itself, not to the record about it."""
    record = log_policy(store, policy, Context(clock=clock))
    assert record is not None
    view = replace(green, records=(record, *green.records))
    assert all(verdict.is_pass for verdict in evaluate_all(view, policy, now))


def test_a_policy_from_before_an_upgrade_is_still_known(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """A logged policy that lacks a group which is newer than it is read; no file may lack one."""
    content = copy.deepcopy(dict(policy.content))
    del content["watch"]["rollback"]
    with pytest.raises(PolicyError, match="rollback"):
        parse_policy(content)
    old = parse_policy(content, is_old=True)
    assert old.digest == digest(content)
    assert "rollback" not in old.watch
    log_policy(store, old, Context(clock=clock))
    assert logged_policy(store, old.digest) == old
    record = log_policy(store, policy, Context(clock=clock))
    assert record is not None
    assert "rollback.p95_ms: none -> <= 200 hard" in record.details["changed"]


def test_a_policy_nobody_reads_any_more_locks_nobody_out(
    store: EvidenceStore, policy: Policy, clock: ManualClock
) -> None:
    """A logged policy of a form that is gone is followed by the new one, and says so."""
    log_policy(store, replace(policy, digest=SHA, content={"name": "old"}), Context(clock=clock))
    assert logged_policy(store, SHA) is None
    record = log_policy(store, policy, Context(clock=clock))
    assert record is not None
    assert record.details["seq"] == 2
    assert "no longer read" in record.details["changed"][0]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("gates.parity.about", "Other words.", "nothing but words"),
        ("gates.parity.limits.flips.source", "other words", "nothing but words"),
        ("gates.parity.limits.flips.min_n", 7, "parity.flips: its counts, age, origins or place"),
        ("gates.nightly.max_age_h", 27, "nightly.consecutive_green: its counts, age, origins"),
        ("gates.pnl.severity", "hard", "pnl: its severity or settings"),
        ("gates.ablation.settings.harm", "0.5", "ablation: its severity or settings"),
    ],
)
def test_only_words_may_change_freely(
    path: str, value: object, says: str, *, store: EvidenceStore, policy: Policy,
    clock: ManualClock,
) -> None:  # fmt: skip
    """New words make nothing stale; any number, age, origin or setting does."""
    content = copy.deepcopy(dict(policy.content))
    *parents, last = path.split(".")
    target = content
    for part in parents:
        target = target[part]
    target[last] = value
    moved = parse_policy(content)
    log_policy(store, policy, Context(clock=clock))
    _write_parity(store, policy, clock)
    record = log_policy(store, moved, Context(clock=clock))
    assert record is not None
    assert record.details["changed"][0].startswith(says)
    expected = Outcome.PASS if says == "nothing but words" else Outcome.STALE
    assert _parity(store, moved, clock) is expected
