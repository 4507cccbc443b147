"""The power fails anywhere while a record is written: what was acknowledged stays readable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlwb.core.errors import MlwbError
from mlwb.evidence import EvidenceStore, Record
from tests.registry.crash_lab import Laboratory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to name descriptors")

MakeRecord = Callable[..., Record]


@dataclass(frozen=True)
class Kept:
    """Run ids that must be there, those that must be once acknowledged, a record to write then."""

    kept: tuple[str, ...]
    told: tuple[str, ...]
    then: Record

    def __call__(self, home: Path, is_acknowledged: bool) -> str:
        """Empty, or what is wrong with a state."""
        store = EvidenceStore(home / "ml")
        must = {*self.kept, *(self.told if is_acknowledged else ())}
        try:
            for run_id in must:
                store.read(run_id)
            store.write(self.then)
            there = {entry.run_id for entry in store.index()}
            problems = store.verify()
        except (MlwbError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        if not must <= there <= {*self.kept, *self.told, self.then.run_id}:
            return f"lost {sorted(must - there)}, there are {sorted(there)}"
        return str(problems[0]) if problems else ""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsynced: object) -> Laboratory:  # noqa: ARG001 - not on disk
    """A laboratory around an evidence store."""
    (tmp_path / "evidence").mkdir()
    return Laboratory(tmp_path / "evidence", monkeypatch)


def _written(home: Path, record: Record) -> None:
    EvidenceStore(home / "ml").write(record)


@pytest.mark.parametrize("n_before", [0, 2])
def test_no_crash_loses_a_record(n_before: int, lab: Laboratory, make: MakeRecord) -> None:
    """At every step of a write, the first one too, the ledger and its records stay whole."""
    before = [make("smoke") for _ in range(n_before)]
    for record in before:
        _written(lab.home, record)
    record, then = make("smoke"), make("parity")
    kept = Kept(tuple(one.run_id for one in before), (record.run_id,), then)
    assert lab.violations(lambda home: _written(home, record), kept) == []


@pytest.mark.slow
def test_no_crash_of_a_completion_loses_a_record(lab: Laboratory, make: MakeRecord) -> None:
    """A writer is killed at any step, then the power fails while the next one completes it."""
    first, record, second, then = (make("smoke") for _ in range(4))
    _written(lab.home, first)

    def complete(home: Path) -> Kept:
        _written(home, second)
        there = {entry.run_id for entry in EvidenceStore(home / "ml").index()}
        return Kept((first.run_id,), tuple(there), then)

    assert lab.violations_of_repair(lambda home: _written(home, record), complete) == []


def test_a_ledger_that_is_not_synced_is_caught(lab: Laboratory, make: MakeRecord) -> None:
    """Control: forgetting to sync loses records, and the enumeration says so."""
    first, record, then = (make("smoke") for _ in range(3))
    _written(lab.home, first)
    kept = Kept((first.run_id,), (record.run_id,), then)
    found = lab.violations(
        lambda home: _written(home, record), kept, skip=lambda name, _is_dir: name == "fsync"
    )
    assert found
