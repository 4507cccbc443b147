"""Each way to change evidence is noticed and called by its name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlwb.core.canonical import digest_bytes, parse_json
from mlwb.core.chain import Chain, Head
from mlwb.core.clock import ManualClock
from mlwb.core.errors import SignatureError
from mlwb.core.signing import Signer, write_key_pair
from mlwb.evidence import EvidenceStore, Kinship, LoggedTrial, Metric, Record, TrialLedger
from tests.records import DETAILS

MakeRecord = Callable[..., Record]
KINDS = ("data_quality", "smoke", "eval_result", "parity", "canary_run", "daily_report")


@pytest.fixture
def filled(store: EvidenceStore, make: MakeRecord) -> EvidenceStore:
    """A record of several kinds, a decision that names the ledger's head, trials."""
    for kind in KINDS:
        store.write(make(kind))
    head = store.head()
    assert head is not None
    cited = {"seq": head.seq, "sha256": head.sha256}
    store.write(make("decision", details={**DETAILS["decision"], "ledger_head": cited}))
    akin = Kinship("BTCUSDT", "volatility", 60)
    trial = LoggedTrial(akin, "logistic C=0.1", "p", "f", "w", "a1b2c3d4", 0.66)
    TrialLedger(store.root).note([trial, trial], ManualClock())
    store.write(make("smoke"))
    return store


def _kinds(store: EvidenceStore, *heads: Head) -> set[str]:
    return {problem.kind for problem in store.verify(heads)}


def _rechain(store: EvidenceStore, change: Callable[[list[dict[str, object]]], None]) -> None:
    """Chain the ledger anew with its bodies changed, as somebody with the source code would."""
    chain = Chain(store.root / "ledger.jsonl")
    bodies = [dict(link.body) for link in chain.links()]
    change(bodies)
    chain.path.unlink()
    for body in bodies:
        chain.append(body)


def _forge_all(store: EvidenceStore, run_id: str) -> None:
    """Better a number, then redo every digest after it: records, copies and ledger."""
    known = {entry.run_id: entry.sha256 for entry in store.index()}
    copies = [
        (path, digest)
        for path in (*store.root.glob("*.json"), *store.root.glob("daily/*.json"))
        if path.stem not in known
        for digest in [Record.from_json(parse_json(path.read_bytes())).run_id]
    ]
    before, digests = "", dict[str, str]()
    for entry in store.index():
        record = Record.from_json(parse_json(store.path(entry.run_id).read_bytes()))
        better = (Metric("p95_ms", 0.1, n=1200),) if entry.run_id == run_id else record.metrics
        record = replace(record, prev_sha256=before, metrics=better)
        store.path(entry.run_id).write_bytes(record.to_bytes())
        before = digests[entry.run_id] = record.sha256
    for path, copied in copies:
        path.write_bytes(store.path(copied).read_bytes())

    def renamed(bodies: list[dict[str, object]]) -> None:
        for body in bodies:
            body["record"] = digests[str(body["run_id"])]

    _rechain(store, renamed)


def test_a_whole_store_has_no_problem(filled: EvidenceStore) -> None:
    """Nothing is called tampering that is not."""
    heads = [link.as_head for link in filled._chain.links()]
    assert filled.verify(heads) == ()


def test_a_second_copy_is_a_duplicate(filled: EvidenceStore) -> None:
    """The same record under another name is called a duplicate, not a stranger."""
    path = filled.path(filled.newest("parity").run_id)
    shutil.copy(path, path.with_name(path.name.replace("_parity_", "_again_")))
    assert _kinds(filled) == {"duplicate"}


def test_a_record_named_twice_is_a_duplicate(filled: EvidenceStore) -> None:
    """A ledger that names a record twice, so that it counts as newest again, is noticed."""
    _rechain(filled, lambda bodies: bodies.append(dict(bodies[1])))
    assert "duplicate" in _kinds(filled)


def test_a_cut_tail_is_called_truncated(filled: EvidenceStore) -> None:
    """Cutting the ledger shows by the records left behind, by a decision, and by a kept head."""
    head = filled.head()
    assert head is not None
    lines = (filled.root / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (filled.root / "ledger.jsonl").write_bytes(b"".join(lines[:-2]))
    assert "truncated" in _kinds(filled)
    for line in lines[-2:]:
        filled.path(str(parse_json(line)["run_id"])).unlink()
    (filled.root / "decision.json").unlink()
    shutil.copy(filled.path(filled.newest("smoke").run_id), filled.root / "smoke_1k.json")
    (filled.root / "trials.jsonl").unlink()
    assert filled.verify() == ()
    assert _kinds(filled, head.as_head) == {"truncated"}


def test_a_ledger_cut_below_a_decision_cannot_keep_it(filled: EvidenceStore) -> None:
    """A decision stays only with the line it names: taking out evidence before it shows."""
    run_id = filled.newest("parity").run_id

    def without(bodies: list[dict[str, object]]) -> None:
        bodies[:] = [body for body in bodies if body["run_id"] != run_id]

    _rechain(filled, without)
    filled.path(run_id).unlink()
    (filled.root / "parity.json").unlink()
    assert _kinds(filled) == {"rechained"}


def test_a_history_redone_to_the_end_contradicts_the_decision(filled: EvidenceStore) -> None:
    """Better a number and redo every digest: the decision still names the ledger as it was."""
    heads = [link.as_head for link in filled._chain.links()]
    _forge_all(filled, filled.newest("parity").run_id)
    assert _kinds(filled) == {"rechained"}
    assert _kinds(filled, *heads[:3]) == {"rechained"}
    decision = filled.newest("decision")
    said = [str(problem) for problem in filled.verify()]
    assert any(decision.run_id in text for text in said)


def test_a_file_from_elsewhere_is_foreign(filled: EvidenceStore, make: MakeRecord) -> None:
    """A lawful record, junk, and a record in a folder of copies are strangers all the same."""
    stranger = make("parity")
    filled.path(stranger.run_id).write_bytes(stranger.to_bytes())
    (filled.root / "notes.json").write_bytes(b"not json")
    (filled.root / "daily" / "report_2020-01-01.json").write_bytes(b"{}")
    found = filled.verify()
    assert [problem.kind for problem in found] == ["foreign"] * 3
    assert "daily/report_2020-01-01.json" in {problem.where for problem in found}


def test_an_emptied_folder_shows_only_by_a_kept_head(filled: EvidenceStore) -> None:
    """Nothing left is nothing wrong, unless somebody remembers that there was something."""
    head = filled.head()
    assert head is not None
    shutil.rmtree(filled.root)
    assert filled.verify() == ()
    assert _kinds(filled, head.as_head) == {"truncated"}


@pytest.fixture
def keys(tmp_path: Path) -> Signer:
    """A key pair of one's own."""
    private = tmp_path / "keys" / "signing.pem"
    private.parent.mkdir()
    return Signer(private, write_key_pair(private))


@pytest.fixture
def signed(filled: EvidenceStore, keys: Signer, clock: ManualClock) -> EvidenceStore:
    """The store with its head signed, as somebody sees it who pins the key."""
    store = EvidenceStore(filled.root, keys)
    assert store.sign_head(clock)
    assert store.verify() == ()
    return store


def test_without_a_key_nothing_is_signed(filled: EvidenceStore, clock: ManualClock) -> None:
    """A process without a key leaves no file of heads, and nothing is demanded."""
    assert filled.sign_head(clock) is False
    assert not (filled.root / "heads.jsonl").exists()
    assert filled.verify() == ()


def test_an_empty_ledger_has_no_head_to_sign(
    store: EvidenceStore, keys: Signer, clock: ManualClock
) -> None:
    """Signing before the first record is no error and no signature."""
    assert EvidenceStore(store.root, keys).sign_head(clock) is False


def test_a_tail_cut_below_a_signed_head_is_noticed(signed: EvidenceStore) -> None:
    """Cut the ledger, take its records away and tidy up: the signed line is gone all the same."""
    lines = (signed.root / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (signed.root / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    signed.path(str(parse_json(lines[-1])["run_id"])).unlink()
    shutil.copy(signed.path(signed.newest("smoke").run_id), signed.root / "smoke_1k.json")
    assert [problem.kind for problem in signed.verify()] == ["truncated"]


def test_a_pinned_key_wants_the_newest_decision_signed(
    signed: EvidenceStore, make: MakeRecord, clock: ManualClock
) -> None:
    """Taking signed heads away, or deciding without signing, is a problem under a pinned key."""
    signed.write(make("decision"))
    assert [problem.kind for problem in signed.verify()] == ["unsigned"]
    signed.sign_head(clock)
    signed.write(make("smoke"))
    assert signed.verify() == ()
    (signed.root / "heads.jsonl").unlink()
    assert [problem.kind for problem in signed.verify()] == ["unsigned"]


def test_a_head_signed_by_another_key_is_forged(
    signed: EvidenceStore, keys: Signer, tmp_path: Path, clock: ManualClock
) -> None:
    """Whoever redoes everything and signs with another key is found out by the pinned one."""
    stranger = tmp_path / "keys" / "stranger.pem"
    write_key_pair(stranger)
    (signed.root / "heads.jsonl").unlink()
    _forge_all(signed, signed.newest("parity").run_id)
    assert EvidenceStore(signed.root, Signer(stranger)).sign_head(clock)
    assert {problem.kind for problem in signed.verify()} == {"forged", "rechained"}
    only_public = Signer(public_keys=keys.public_keys)
    with pytest.raises(SignatureError, match="no key to sign"):
        only_public.sign("a", b"b")


def test_an_edited_file_of_heads_is_named(signed: EvidenceStore) -> None:
    """The file of heads is a chain of its own."""
    path = signed.root / "heads.jsonl"
    path.write_bytes(path.read_bytes().replace(b"2026", b"2027"))
    assert ("edited", "heads.jsonl line 1") in {(p.kind, p.where) for p in signed.verify()}


def _files(store: EvidenceStore) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file() and path.stat().st_size)


def test_the_flips_below_cover_every_file(filled: EvidenceStore) -> None:
    """Records, copies, the text, both ledgers: what is flipped is all there is."""
    names = {path.name for path in _files(filled)}
    assert {"ledger.jsonl", "trials.jsonl", "eval_result.txt", "report_2026-01-01.json"} <= names
    assert len(names) == 2 * len(KINDS) + 2 + 1 + 3


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_any_file_is_noticed(filled: EvidenceStore, data: st.DataObject) -> None:
    """One bit anywhere below the evidence directory is a problem, never silence."""
    path = data.draw(st.sampled_from(_files(filled)))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
    try:
        assert filled.verify(), f"{path.name} byte {place} bit {bit}"
    finally:
        path.write_bytes(whole)


@pytest.mark.slow
def test_every_byte_of_every_file_is_watched(store: EvidenceStore, make: MakeRecord) -> None:
    """Exhaustive on a small store: flip one bit of each byte of each file, one after the other."""
    store.write(make("eval_result"))
    akin = Kinship("BTCUSDT", "volatility", 60)
    trial = LoggedTrial(akin, "logistic C=0.1", "p", "f", "w", "a1b2c3d4", 0.66)
    TrialLedger(store.root).note([trial], ManualClock())
    for path in _files(store):
        whole = path.read_bytes()
        for place in range(len(whole)):
            bit = 1 << (place % 8)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            assert store.verify(), f"{path.name} byte {place}"
        path.write_bytes(whole)
    assert store.verify() == ()


@pytest.mark.parametrize(
    "data", [b"[]", b"junk", b'{"kind":"smoke"}', b'{"a":1,"a":2}', b'{"a":NaN}'], ids=repr
)
def test_bytes_that_are_no_record_are_named_though_the_ledger_names_them(
    filled: EvidenceStore, data: bytes
) -> None:
    """Whoever chains the ledger anew over junk does not stop the verification."""
    run_id = filled.index()[1].run_id
    filled.path(run_id).write_bytes(data)

    def named(bodies: list[dict[str, object]]) -> None:
        bodies[1]["record"] = digest_bytes(data)

    _rechain(filled, named)
    assert "forged" in _kinds(filled)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"kind": "shadow"}, "rechained"),
        ({"model_version": "v9"}, "rechained"),
        ({"timestamp": "2020-01-01T00:00:00Z"}, "rechained"),
        ({"kind": "luck"}, "forged"),
        ({"record": 1}, "forged"),
    ],
    ids=str,
)
def test_a_ledger_line_says_what_its_record_says(
    filled: EvidenceStore, said: dict[str, object], kind: str
) -> None:
    """The newest record of a kind is looked for in the ledger, so that it must not lie."""
    assert filled.verify() == ()
    _rechain(filled, lambda bodies: bodies[-1].update(said))
    assert kind in _kinds(filled)


def test_what_stands_in_the_way_of_evidence_is_named(filled: EvidenceStore) -> None:
    """Directories and links that lead nowhere do not stop the verification."""
    (filled.root / "odd.json").mkdir()
    (filled.root / "loop.json").symlink_to("loop.json")
    copy = filled.root / "parity.json"
    copy.unlink()
    copy.mkdir()
    found = {(problem.kind, problem.where) for problem in filled.verify()}
    assert found == {
        ("foreign", "odd.json"), ("foreign", "loop.json"), ("edited", "parity.json"),
    }  # fmt: skip
