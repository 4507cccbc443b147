"""Decisions as evidence: written, read, computed again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from mlwb.core.canonical import canonical_bytes
from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceError, EvidenceSchemaError
from mlwb.evidence import Context, EvidenceStore, Record
from mlwb.gates import EvidenceView, decision_record, evaluate_all, read_view, replay
from mlwb.params import Policy, load_policy

PARAMS = Path(__file__).resolve().parents[2] / "params"
MANIFEST = "sha256:" + "a" * 64


@pytest.fixture
def store(tmp_path: Path, green: EvidenceView) -> EvidenceStore:
    """A store that holds the passing evidence."""
    store = EvidenceStore(tmp_path / "evidence")
    for record in green.records:
        store.write(record)
    return store


@pytest.fixture
def view(store: EvidenceStore) -> EvidenceView:
    """The passing evidence as read from the store."""
    return read_view(store, "v1.8.1", manifest_sha256=MANIFEST)


@pytest.fixture
def decision(
    view: EvidenceView, policy: Policy, *, now: datetime, clock: ManualClock, store: EvidenceStore
) -> Record:
    """The decision on that evidence, written and read back."""
    record = decision_record(
        view, evaluate_all(view, policy, now), policy, now=now, context=Context(clock=clock)
    )
    store.write(record)
    return store.read(record.run_id)


def test_a_decision_is_lawful_evidence(
    decision: Record, policy: Policy, view: EvidenceView
) -> None:
    """The record fits its schema, says yes or no at the top, and cites all it rests on."""
    assert decision.kind == "decision"
    assert decision.model_version == "v1.8.1"
    assert decision.is_pass is decision.details["promote"]
    assert decision.policy_digest == policy.digest
    assert len(decision.upstream) == len(view.records)
    assert len(decision.details["verdicts"]) == 16


def test_a_decision_replays_bit_for_bit(
    decision: Record, store: EvidenceStore, policy: Policy
) -> None:
    """From the files alone the same verdicts come out, as the same bytes."""
    again = replay(decision, store, policy)
    assert again.is_equal
    assert again.differences == ()
    assert canonical_bytes(again.verdicts) == canonical_bytes(decision.details["verdicts"])


def test_later_evidence_does_not_change_an_old_decision(
    decision: Record, store: EvidenceStore, policy: Policy, green: EvidenceView
) -> None:
    """A replay uses what was cited, not what is newest."""
    newer = green.records[2]
    metrics = tuple(replace(metric, value=0) for metric in newer.metrics)
    store.write(replace(newer, run_id=newer.run_id[:-8] + "00000000", metrics=metrics))
    assert replay(decision, store, policy).is_equal


def test_an_edited_decision_is_noticed(
    decision: Record, store: EvidenceStore, policy: Policy
) -> None:
    """Turning a no into a yes, or a verdict into a pass, does not survive a replay."""
    for key, value in (("promote", not decision.details["promote"]), ("verdicts", [])):
        forged = replace(decision, details={**decision.details, key: value})
        again = replay(forged, store, policy)
        assert not again.is_equal
        assert again.differences == (f"{key} came out differently",)


def test_another_policy_is_noticed(decision: Record, store: EvidenceStore) -> None:
    """A replay under another policy says so."""
    again = replay(decision, store, load_policy(PARAMS / "policy.strict.yml"))
    assert "the policy is not the one it was made under" in again.differences


def test_edited_evidence_stops_a_replay(
    decision: Record, store: EvidenceStore, policy: Policy
) -> None:
    """Cited evidence that was changed since is an error, not a new verdict."""
    path = store.path(decision.upstream[0].run_id)
    path.write_bytes(path.read_bytes().replace(b"1000", b"1001"))
    with pytest.raises(EvidenceError, match="edited"):
        replay(decision, store, policy)


def test_a_wrong_citation_is_noticed(
    decision: Record, store: EvidenceStore, policy: Policy
) -> None:
    """A cited digest that is not the record's is a difference."""
    first, *rest = decision.upstream
    forged = replace(decision, upstream=(replace(first, sha256="sha256:" + "0" * 64), *rest))
    assert not replay(forged, store, policy).is_equal


def test_only_decisions_replay(store: EvidenceStore, policy: Policy, view: EvidenceView) -> None:
    """Any other record is refused by name."""
    with pytest.raises(EvidenceSchemaError, match="data_quality"):
        replay(view.records[0], store, policy)
