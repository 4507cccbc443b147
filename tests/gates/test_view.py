"""Which evidence is looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.evidence import Context, EvidenceStore, Metric, Record, new_record
from mlwb.gates import EvidenceView, read_view
from tests.records import DETAILS


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    """An empty store."""
    return EvidenceStore(tmp_path)


def _write(store: EvidenceStore, clock: ManualClock, kind: str, version: str) -> Record:
    clock.advance(1)
    context = Context(clock=clock, model_version=version)
    record = new_record(kind, [Metric("green", 1)], context, details=DETAILS[kind])
    store.write(record)
    return store.read(record.run_id)


def test_the_newest_about_the_candidate_is_used(store: EvidenceStore, clock: ManualClock) -> None:
    """Later evidence about another version does not hide the candidate's."""
    _write(store, clock, "smoke", "v2")
    own = _write(store, clock, "smoke", "v2")
    _write(store, clock, "smoke", "v1")
    assert read_view(store, "v2").newest("smoke") == own


def test_foreign_evidence_is_shown_where_there_is_none(
    store: EvidenceStore, clock: ManualClock
) -> None:
    """With nothing about the candidate the other version's is there, to be called invalid."""
    other = _write(store, clock, "smoke", "v1")
    assert read_view(store, "v2").newest("smoke") == other


def test_market_evidence_needs_no_model(store: EvidenceStore, clock: ManualClock) -> None:
    """Data quality measured before there was a model is about every model; a smoke test is not."""
    _write(store, clock, "data_quality", "v1")
    free = _write(store, clock, "data_quality", "none")
    _write(store, clock, "smoke", "none")
    view = read_view(store, "v2")
    assert view.newest("data_quality") == free
    assert view.is_about(free)
    smoke = view.newest("smoke")
    assert smoke is not None
    assert not view.is_about(smoke)


def test_nights_are_all_kept_and_decisions_left_out(
    store: EvidenceStore, clock: ManualClock
) -> None:
    """Kinds that are counted come whole, one record of the others."""
    for _ in range(3):
        _write(store, clock, "nightly", "v2")
        _write(store, clock, "smoke", "v2")
    view = read_view(store, "v2")
    assert len(view.all("nightly")) == 3
    assert len(view.all("smoke")) == 1


def test_what_verifying_found_is_a_fact_of_the_view(
    store: EvidenceStore, clock: ManualClock
) -> None:
    """A whole ledger is an empty list of problems, an edited copy is one problem."""
    _write(store, clock, "smoke", "v2")
    assert read_view(store, "v2").chain_problems == ()
    (store.root / "smoke_1k.json").write_bytes(b"{}")
    problems = read_view(store, "v2").chain_problems
    assert problems is not None
    assert len(problems) == 1


def test_what_is_confirmed_is_the_measurements(clock: ManualClock) -> None:
    """The digest a person confirms changes with any measurement and with nothing else."""
    context = Context(clock=clock, model_version="v2")
    smoke, parity = (new_record(kind, [], context) for kind in ("smoke", "parity"))
    view = EvidenceView(model_version="v2", records=(smoke, parity))
    shown = view.evidence_digest
    later = new_record("release_review", [], context)
    assert replace(view, records=(*view.records, later)).evidence_digest == shown
    assert replace(view, records=(parity, smoke)).evidence_digest == shown
    assert replace(view, records=(smoke,)).evidence_digest != shown
    other = replace(parity, metrics=(Metric("flips", 0),))
    assert replace(view, records=(smoke, other)).evidence_digest != shown
