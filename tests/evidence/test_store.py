"""The evidence store: immutable, chained, and whole after any crash."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import (
    BrokenChainError,
    EvidenceError,
    EvidenceMissingError,
    EvidenceSchemaError,
)
from mlwb.evidence import Context, EvidenceStore, Metric, Record, new_record, with_verdict
from tests.records import DETAILS

MakeRecord = Callable[..., Record]
DieAt = Callable[[int, Callable[[], object]], bool]


@pytest.fixture
def filled(store: EvidenceStore, make: MakeRecord) -> EvidenceStore:
    """Four records of three kinds."""
    for kind in ("smoke", "parity", "smoke", "canary_run"):
        store.write(make(kind))
    return store


def _record_paths(store: EvidenceStore) -> list[Path]:
    return [store.path(link.body["run_id"]) for link in store._chain.links()]


def test_what_was_written_is_read_back(store: EvidenceStore, make: MakeRecord) -> None:
    """A record comes back equal but for its place in the chain; its copy is the same bytes."""
    record = make("smoke", details={**DETAILS["smoke"], "phases": [1, 2]})
    path = store.write(record)
    assert store.read(record.run_id) == store.newest("smoke") == record
    assert (store.root / "smoke_1k.json").read_bytes() == path.read_bytes()
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert store.newest("smoke").sha256 == digest


def test_what_a_writer_that_died_left_is_swept(store: EvidenceStore, make: MakeRecord) -> None:
    """A record the ledger never knew of, a half of a copy: gone with the next record."""
    store.write(make("smoke"))
    orphan, half = store.root / ".lost.pending", store.root / ".smoke_1k.json.0123456789ab.tmp"
    for path in (orphan, half):
        path.write_bytes(b"half")
        os.utime(path, (1e9, 1e9))
    store.write(make("smoke"))
    assert not orphan.exists()
    assert not half.exists()
    assert store.verify() == ()


def test_records_name_the_record_before(filled: EvidenceStore) -> None:
    """Oracle: hashlib over each file gives what the next record names as its predecessor."""
    before = ""
    for path in _record_paths(filled):
        assert json.loads(path.read_bytes())["prev_sha256"] == before
        before = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert filled.verify() == ()


def test_newest_follows_the_order_of_writing(filled: EvidenceStore, make: MakeRecord) -> None:
    """A record with an older clock written later is the newest: order is never the clock's."""
    late = replace(make("parity"), timestamp="2020-01-01T00:00:00Z")
    filled.write(late)
    assert filled.newest("parity").timestamp == "2020-01-01T00:00:00Z"


def test_records_by_kind_and_run(store: EvidenceStore, context: Context) -> None:
    """Records are listed in order, all or by kind or by the run they belong to."""
    runs = [replace(context, run=run) for run in ("aaaaaaaa", "bbbbbbbb")]
    for each in runs:
        for kind in ("smoke", "parity"):
            store.write(new_record(kind, [], each, details=DETAILS[kind]))
    assert [record.kind for record in store.records()] == ["smoke", "parity"] * 2
    assert len(store.records("smoke")) == 2
    assert [record.kind for record in store.records(run="bbbbbbbb")] == ["smoke", "parity"]


def test_absent_evidence_is_named(store: EvidenceStore) -> None:
    """No record of a kind, an unknown kind and an unknown run are errors that say which."""
    with pytest.raises(EvidenceMissingError, match="psi_snapshot"):
        store.newest("psi_snapshot")
    with pytest.raises(EvidenceSchemaError, match="opinion"):
        store.newest("opinion")
    with pytest.raises(EvidenceMissingError, match="nowhere"):
        store.read("nowhere")
    assert store.verify() == ()


def test_a_record_is_never_replaced(store: EvidenceStore, make: MakeRecord) -> None:
    """A second record of one run id is refused; the first stays."""
    record = make()
    store.write(record)
    with pytest.raises(EvidenceSchemaError, match="already there"):
        store.write(replace(record, metrics=()))
    assert store.read(record.run_id).metrics == record.metrics


def test_a_misfit_leaves_no_trace(store: EvidenceStore, make: MakeRecord) -> None:
    """A record that does not fit the schema is refused before anything is written."""
    with pytest.raises(EvidenceSchemaError):
        store.write(replace(make(), origin="invented"))
    assert not store.root.exists()


def test_eval_result_has_a_text_beside_it(store: EvidenceStore, make: MakeRecord) -> None:
    """The text says PASS only for a passed record, and names the numbers."""
    digest = "sha256:" + "6" * 64
    texts = []
    for record in (
        make("eval_result", [Metric("auc", 0.64)]),
        with_verdict(make("eval_result"), is_pass=False, policy_digest=digest),
        with_verdict(make("eval_result"), is_pass=True, policy_digest=digest),
    ):
        store.write(record)
        texts.append((store.root / "eval_result.txt").read_text())
    assert ["PASS" in text for text in texts] == [False, False, True]
    assert "auc = 0.64" in texts[0]


def test_canary_runs_keep_their_own_names(store: EvidenceStore, make: MakeRecord) -> None:
    """Each canary run is found under its time, none replaces another."""
    for _ in range(2):
        store.write(make("canary_run"))
    assert len(list(store.root.glob("canary_run_*.json"))) == 2
    assert store.verify() == ()


def test_every_changed_byte_of_a_record_is_noticed(filled: EvidenceStore) -> None:
    """Flip any byte of any record: verify names that record and reading refuses it."""
    for path in _record_paths(filled):
        data = path.read_bytes()
        for place in range(0, len(data), 37):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            assert [(p.kind, p.where) for p in filled.verify()] == [("edited", path.stem)]
        with pytest.raises(BrokenChainError, match="edited"):
            filled.read(path.stem)
        path.write_bytes(data)
    assert filled.verify() == ()


def test_a_removed_record_is_named(filled: EvidenceStore) -> None:
    """Deleting any record file is noticed by its run id."""
    for path in _record_paths(filled):
        data = path.read_bytes()
        path.unlink()
        assert [(p.kind, p.where) for p in filled.verify()] == [("missing", path.stem)]
        path.write_bytes(data)


def test_a_smuggled_record_is_named(filled: EvidenceStore, make: MakeRecord) -> None:
    """A valid record that was put there by hand is no evidence."""
    stranger = make("parity")
    filled.path(stranger.run_id).write_bytes(stranger.to_bytes())
    assert [problem.kind for problem in filled.verify()] == ["foreign"]
    assert filled.newest("parity").run_id != stranger.run_id


def test_an_edited_copy_is_named(filled: EvidenceStore) -> None:
    """The copy under the known name is the newest record or a problem."""
    copy = filled.root / "parity.json"
    copy.write_bytes(copy.read_bytes().replace(b"1200", b"1201"))
    assert [(p.kind, p.where) for p in filled.verify()] == [("edited", "parity.json")]
    copy.unlink()
    assert [(p.kind, p.where) for p in filled.verify()] == [("missing", "parity.json")]


def test_a_cut_ledger_leaves_its_records_behind(filled: EvidenceStore) -> None:
    """Cutting the ledger's tail shows in the records it no longer names, and by the known head."""
    head = filled.head()
    ledger = filled.root / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    last = _record_paths(filled)[-1]
    ledger.write_bytes(b"".join(lines[:-1]))
    assert "truncated" in {problem.kind for problem in filled.verify()}
    last.unlink()
    next(filled.root.glob("canary_run_*.json")).unlink()
    assert filled.verify() == ()
    assert head is not None
    assert [problem.kind for problem in filled.verify([head.as_head])] == ["truncated"]


def test_a_record_taken_out_with_its_ledger_redone_is_noticed(filled: EvidenceStore) -> None:
    """Whoever removes a record and chains the ledger anew still has the next record to explain."""
    bodies = [dict(link.body) for link in filled._chain.links()]
    removed = filled.path(bodies.pop(1)["run_id"])
    filled._chain.path.unlink()
    for body in bodies:
        filled._chain.append(body)
    removed.unlink()
    (filled.root / "parity.json").unlink()
    assert [(p.kind, p.where) for p in filled.verify()] == [("rechained", bodies[1]["run_id"])]


def test_a_broken_ledger_stops_reading_and_writing(filled: EvidenceStore, make: MakeRecord) -> None:
    """Nothing is read past, or written behind, an edited ledger."""
    ledger = filled.root / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"kind":"canary_run"', b'"kind":"parity"'))
    assert [problem.kind for problem in filled.verify()] == ["edited"]
    with pytest.raises(EvidenceError):
        filled.newest("smoke")
    with pytest.raises(EvidenceError):
        filled.write(make())


@pytest.mark.slow
def test_killed_at_any_step(store: EvidenceStore, make: MakeRecord, die_at: DieAt) -> None:
    """Killed before every file operation: nothing acknowledged is lost, the next write heals."""
    acknowledged = make("smoke")
    store.write(acknowledged)
    step, healed = 0, [acknowledged.run_id]
    while True:
        step += 1
        doomed = make("eval_result")
        was_killed = die_at(step, partial(store.write, doomed))
        assert {problem.kind for problem in store.verify()} <= {
            "torn", "unfinished", "missing", "edited",
        }  # fmt: skip
        named = [record.run_id for record in store.records()]
        assert named[: len(healed)] == healed
        after = make("parity")
        store.write(after)
        assert store.verify() == ()
        healed = [record.run_id for record in store.records()]
        assert healed[-1] == after.run_id
        if not was_killed:
            break
    assert step > 15
    assert doomed.run_id in healed


def _write_many(root: str, worker: int) -> None:
    context = Context(clock=ManualClock(), model_version=f"v{worker}")
    store = EvidenceStore(Path(root))
    for n in range(10):
        store.write(new_record("smoke", [Metric("requests", n)], context, details=DETAILS["smoke"]))


def test_writers_at_once_lose_nothing(store: EvidenceStore) -> None:
    """Four processes writing ten records each leave one whole chain of forty."""
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_write_many, args=(str(store.root), n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert store.verify() == ()
    assert len(store.records("smoke")) == 40


def test_a_read_only_reader_needs_no_lock(filled: EvidenceStore) -> None:
    """Reading and verifying create nothing."""
    before = sorted(path.name for path in filled.root.iterdir())
    filled.verify()
    filled.records()
    assert sorted(path.name for path in filled.root.iterdir()) == before
