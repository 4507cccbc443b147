"""No byte of a registry changes unseen, and the log remembers the evidence it promoted on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlwb.core.chain import Chain
from mlwb.core.clock import ManualClock
from mlwb.core.errors import BrokenChainError
from mlwb.evidence import Context, EvidenceStore, Metric, new_record
from mlwb.registry import Registry, evidence_heads

VERSIONS = ("v1", "v2", "v3")


def _watched(registry: Registry) -> list[Path]:
    """The log, every file of every version; links are followed by nobody."""
    folders = [registry.models_dir / version for version in VERSIONS]
    files = [path for folder in folders for path in sorted(folder.iterdir())]
    return [registry.models_dir.parent / "promotions.log", *files]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_log_or_version_is_noticed(
    serving: Registry, data: st.DataObject
) -> None:
    """One bit anywhere in the log or in a published version is named by doctor."""
    assert serving.doctor() == ()
    path = data.draw(st.sampled_from(_watched(serving)))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    path.chmod(0o644)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
    try:
        assert serving.doctor(), f"{path.name} byte {place} bit {bit}"
    finally:
        path.write_bytes(whole)
        path.chmod(0o444 if path.parent.name in VERSIONS else 0o644)


def _ledger(root: Path, clock: ManualClock) -> EvidenceStore:
    store = EvidenceStore(root)
    for n in range(3):
        clock.advance(1)
        store.write(new_record("bench", [Metric("n", n)], Context(clock=clock)))
    return store


def test_a_promotion_remembers_the_evidence_ledger(tmp_path: Path, clock: ManualClock) -> None:
    """A ledger cut below the line that a promotion names is noticed by that line alone."""
    store = _ledger(tmp_path / "evidence", clock)
    head = store.head()
    assert head is not None
    log = Chain(tmp_path / "promotions.log")
    log.append({"event": "intent", "action": "register", "evidence_head": ""})
    log.append({"event": "intent", "action": "promote", "evidence_head": head.sha256})
    log.append({"event": "commit"})
    heads = evidence_heads(log.path)
    assert [(item.sha256, item.kept_by) for item in heads] == [
        (head.sha256, "line 2 of promotions.log")
    ]
    assert store.verify(heads) == ()
    ledger = store.root / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    store.path(str(head.body["run_id"])).unlink()
    newest = store.path(store.index()[-1].run_id)
    (store.root / "bench.json").write_bytes(newest.read_bytes())
    assert store.verify() == ()
    assert [problem.kind for problem in store.verify(heads)] == ["truncated"]


def test_a_registry_without_promotions_remembers_nothing(
    tmp_path: Path, publish: Callable[..., Any], registry: Registry
) -> None:
    """No log and a log without promotions give no heads; an edited one is an error."""
    assert evidence_heads(tmp_path / "none.log") == ()
    publish("v1")
    log = registry.models_dir.parent / "promotions.log"
    assert evidence_heads(log) == ()
    log.write_bytes(log.read_bytes().replace(b"register", b"registes"))
    with pytest.raises(BrokenChainError):
        evidence_heads(log)
