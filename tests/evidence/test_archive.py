"""Old records move into archives: nothing is lost, nothing cited goes, nothing goes unread."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from mlwb.core.canonical import parse_json
from mlwb.core.clock import ManualClock
from mlwb.core.errors import BrokenChainError, EvidenceMissingError
from mlwb.evidence import Context, EvidenceStore, Record, Upstream, plan_retirement, retire

MakeRecord = Callable[..., Record]
DieAt = Callable[[int, Callable[[], object]], bool]
DAY_S = 86_400.0


def days_of(kind: str) -> int | None:
    """Ninety days, thirty for nights, decisions for ever."""
    return {"nightly": 30, "decision": None, "archive": None}.get(kind, 90)


@pytest.fixture
def aged(store: EvidenceStore, make: MakeRecord, clock: ManualClock) -> EvidenceStore:
    """Two records each of three kinds and two canaries from day 0, two of them again on day 60."""
    for kind in ("smoke", "nightly", "canary_run", "smoke", "nightly", "canary_run", "decision"):
        store.write(make(kind))
    clock.advance(60 * DAY_S)
    for kind in ("nightly", "smoke"):
        store.write(make(kind))
    return store


def _kinds(store: EvidenceStore, clock: ManualClock) -> dict[str, int]:
    return Counter(entry.kind for entry in plan_retirement(store, days_of, now=clock.now()).old)


def _retire(
    store: EvidenceStore, clock: ManualClock, files: dict[str, Path] | None = None
) -> Record | None:
    plan = plan_retirement(store, days_of, now=clock.now())
    context = Context(clock=clock, origin="live")
    return retire(store, plan, context, retention="default", files=files)


def test_each_kind_has_its_own_time(aged: EvidenceStore, clock: ManualClock) -> None:
    """After 60 days nights are old, after 90 the rest; the newest of a kind stays."""
    assert _kinds(aged, clock) == {"nightly": 2}
    clock.advance(29 * DAY_S)
    assert _kinds(aged, clock) == {"nightly": 2}
    clock.advance(2 * DAY_S)
    assert _kinds(aged, clock) == {"smoke": 2, "nightly": 2, "canary_run": 1}


def test_a_time_ends_to_the_second(
    store: EvidenceStore, make: MakeRecord, clock: ManualClock
) -> None:
    """On its last second a record stays, one later it goes."""
    for _ in range(2):
        store.write(make("smoke"))
    first = ManualClock(clock.start + timedelta(seconds=1), 90 * DAY_S)
    assert plan_retirement(store, days_of, now=first.now()).old == ()
    first.advance(1)
    assert len(plan_retirement(store, days_of, now=first.now()).old) == 1


def test_what_a_served_decision_rests_on_stays(
    aged: EvidenceStore, clock: ManualClock, make: MakeRecord
) -> None:
    """The cited record and what that one rests on stay, with the reason; others go."""
    first, second = aged.index()[0], aged.index()[3]
    canary = aged.index()[2]
    later = replace(make("parity"), upstream=(Upstream(first.run_id, first.sha256),))
    aged.write(later)
    clock.advance(200 * DAY_S)
    plan = plan_retirement(aged, days_of, now=clock.now(), cited=[later.run_id, canary.run_id])
    gone = {entry.run_id for entry in plan.old}
    assert first.run_id not in gone
    assert canary.run_id not in gone
    assert second.run_id in gone
    assert plan.kept[first.run_id] == "a served model's decision cites it"


def test_archived_records_are_read_and_verified_as_before(
    aged: EvidenceStore, clock: ManualClock
) -> None:
    """Every record reads the same afterwards, the ledger is whole, and the file is gone."""
    clock.advance(40 * DAY_S)
    before = {record.run_id: record for record in aged.records()}
    record = _retire(aged, clock)
    assert record is not None
    moved = [item["run_id"] for item in record.details["records"]]
    assert len(moved) == 5
    assert not any(aged.path(run_id).exists() for run_id in moved)
    assert {run_id: aged.read(run_id) for run_id in before} == before
    assert aged.verify() == ()
    assert aged.verify([link.as_head for link in aged._chain.links()]) == ()
    assert _retire(aged, clock) is None, "what is archived is not archived again"


def test_an_archive_is_a_plain_zip_with_a_manifest(aged: EvidenceStore, clock: ManualClock) -> None:
    """Oracle: the zipfile module; members are the records' bytes, the manifest names each."""
    clock.advance(40 * DAY_S)
    before = {entry.run_id: aged.path(entry.run_id).read_bytes() for entry in aged.index()}
    record = _retire(aged, clock)
    assert record is not None
    with zipfile.ZipFile(aged.root / "archived" / record.details["file"]) as packed:
        assert packed.testzip() is None
        manifest = parse_json(packed.read("manifest.json"))
        for item in record.details["records"]:
            name = f"records/{item['run_id']}.json"
            assert packed.read(name) == before[item["run_id"]]
            assert manifest["files"][name]["sha256"] == item["sha256"]


def test_a_canarys_own_copy_goes_with_it(aged: EvidenceStore, clock: ManualClock) -> None:
    """The copy under a time of its own leaves too, the one of the newest canary stays."""
    clock.advance(40 * DAY_S)
    assert len(list(aged.root.glob("canary_run_*.json"))) == 2
    _retire(aged, clock)
    assert len(list(aged.root.glob("canary_run_*.json"))) == 1
    assert (aged.root / "smoke_1k.json").exists()


def test_other_files_are_archived_and_removed(
    aged: EvidenceStore, clock: ManualClock, tmp_path: Path
) -> None:
    """A log that is handed over goes into the archive under its name, and then from the disk."""
    log = tmp_path / "predictions.jsonl.1"
    log.write_bytes(b'{"score":0.5}\n' * 1000)
    record = _retire(aged, clock, files={"shadow/predictions.jsonl.1": log})
    assert record is not None
    assert not log.exists()
    with zipfile.ZipFile(aged.root / "archived" / record.details["file"]) as packed:
        assert packed.read("files/shadow/predictions.jsonl.1") == b'{"score":0.5}\n' * 1000


@pytest.mark.parametrize("place", [0, 60, 400, -1, -100])
def test_an_edited_archive_is_named(aged: EvidenceStore, clock: ManualClock, place: int) -> None:
    """A flipped byte anywhere in an archive is noticed; a removed archive is missing."""
    clock.advance(40 * DAY_S)
    record = _retire(aged, clock)
    assert record is not None
    path = aged.root / "archived" / record.details["file"]
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    assert ("edited", f"archived/{path.name}") in {(p.kind, p.where) for p in aged.verify()}
    path.unlink()
    assert {problem.kind for problem in aged.verify()} == {"missing"}
    with pytest.raises(EvidenceMissingError, match="archive"):
        aged.read(record.details["records"][0]["run_id"])


def test_an_archive_nobody_announced_is_foreign(aged: EvidenceStore) -> None:
    """A zip put there by hand is a stranger."""
    (aged.root / "archived").mkdir()
    (aged.root / "archived" / "20200101T000000Z.zip").write_bytes(b"PK")
    assert [problem.kind for problem in aged.verify()] == ["foreign"]


def test_edited_evidence_is_not_archived(aged: EvidenceStore, clock: ManualClock) -> None:
    """A store with a problem is left exactly as it is."""
    clock.advance(40 * DAY_S)
    path = aged.path(aged.index()[0].run_id)
    path.write_bytes(path.read_bytes().replace(b"1200", b"1201"))
    before = sorted(item.name for item in aged.root.iterdir() if not item.name.startswith("."))
    with pytest.raises(BrokenChainError, match="edited"):
        _retire(aged, clock)
    after = sorted(item.name for item in aged.root.iterdir() if not item.name.startswith("."))
    assert after == before


@pytest.mark.slow
def test_killed_at_any_step_of_archiving(
    aged: EvidenceStore, clock: ManualClock, die_at: DieAt
) -> None:
    """Killed before every file operation: every record can still be read, the next run ends it."""
    clock.advance(40 * DAY_S)
    known = [record.run_id for record in aged.records()]
    step = 0
    while True:
        step += 1
        was_killed = die_at(step, partial(_retire, aged, clock))
        assert {problem.kind for problem in aged.verify()} <= {
            "torn", "unfinished", "foreign", "missing", "edited",
        }, step  # fmt: skip
        assert [record.run_id for record in aged.records()][: len(known)] == known
        clock.advance(1)
        if not was_killed:
            break
    assert step > 15
    _retire(aged, clock)
    assert aged.verify() == ()
