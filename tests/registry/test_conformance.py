"""One contract, three places: a directory, a store in memory, a server that speaks S3."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    BrokenChainError,
    DigestMismatchError,
    IncompleteVersionError,
    LockHeldError,
    ModelError,
    ParamsError,
    PromotionRefusedError,
    SignatureError,
    StaleStateError,
)
from mlwb.core.signing import Signer, write_key_pair
from mlwb.registry import REQUIRED_FILES, MemoryStore, ObjectStore, open_store
from tests.registry.places import (
    Either,
    Local,
    Place,
    Remote,
    fill,
    publish,
    raised,
    serve,
    yes,
)

N_RACERS, N_FLIPS = 8, 12


@pytest.fixture(
    params=["directory", "memory", pytest.param("s3", marks=pytest.mark.server)],
)
def place(request: pytest.FixtureRequest, memory_dir: Path, clock: ManualClock) -> Place:
    """Somewhere to keep a registry."""
    if request.param == "directory":
        return Local(memory_dir, clock)
    store: ObjectStore = MemoryStore()
    if request.param == "s3":
        store = open_store(request.getfixturevalue("s3_url"), os.environ)
    return Remote(store, memory_dir, clock)


@pytest.fixture(params=["directory", "memory"])
def near(request: pytest.FixtureRequest, memory_dir: Path, clock: ManualClock) -> Place:
    """As `place`, without a server, for what is decided before anything is sent."""
    remote = Remote(MemoryStore(), memory_dir, clock)
    return Local(memory_dir, clock) if request.param == "directory" else remote


@pytest.fixture
def serving(place: Place) -> Either:
    """v1 was bootstrapped, v2 promoted over it, v3 is the candidate."""
    return serve(place.open())


def test_an_empty_place_has_nothing_and_is_in_order(place: Place) -> None:
    """No latest, no versions, nothing to complain about, nothing to roll back to."""
    registry = place.open()
    assert (registry.latest(), registry.candidate(), registry.previous()) == (None, None, None)
    assert registry.versions() == ()
    assert registry.doctor() == ()
    with pytest.raises(ArtifactNotFoundError):
        registry.resolve("latest")
    with pytest.raises(PromotionRefusedError, match="no previous"):
        registry.rollback(reason="drift")


def test_a_version_comes_out_as_it_went_in(place: Place, clock: ManualClock) -> None:
    """Published by one, read by another: every file, its digests, its place as candidate."""
    version = "1.0+rc_1-a"
    info = publish(place.open(), version)
    other = place.open()
    assert other.candidate() == version
    assert other.versions() == (version,)
    shown = other.show(version)
    assert (shown.sha256, shown.files, shown.version) == (info.sha256, info.files, version)
    folder = other.resolve("candidate")
    assert folder.name == version
    for name in REQUIRED_FILES:
        assert (folder / name).read_text() == f"{name} {version}\n"
        assert other.read(version, name) == (folder / name).read_bytes()
    assert other.verify(version) == ()
    with pytest.raises(ArtifactNotFoundError, match="no such file"):
        other.read(version, "../other")
    assert shown.created.startswith(f"{clock.now():%Y-%m-%d}")


def test_a_name_never_changes_its_meaning(place: Place, serving: Either) -> None:
    """Not with other bytes, not in another case, not after it is gone."""
    for name in ("v1", "V1"):
        with pytest.raises(ArtifactError, match="already published"):
            place.open().stage(name)
    for number in range(4, 8):
        publish(serving, f"v{number}")
    assert serving.garbage() == ("v3", "v4")
    assert serving.collect({"v4"}) == ("v3",)
    assert place.open().versions() == ("v1", "v2", "v4", "v5", "v6", "v7")
    assert place.open().doctor() == ()
    with pytest.raises(ArtifactError, match="already published"):
        place.open().stage("v3")


@pytest.mark.parametrize("name", ["latest", "../v9", "", "a/b", "nul", "x" * 65])
def test_names_that_cannot_be_are_refused(name: str, near: Place) -> None:
    """A version is letters, digits and a few signs, and no path."""
    with pytest.raises(ParamsError):
        near.open().stage(name)


def test_what_is_not_whole_is_not_published(near: Place) -> None:
    """A missing file, or weights outside the model: refused, and the name stays free."""
    registry = near.open()
    staging = fill(registry.stage("v1"), "one")
    (staging / "parity.json").unlink()
    with pytest.raises(IncompleteVersionError, match="parity"):
        registry.register("v1", staging)
    staging = fill(registry.stage("v1"), "one")
    (staging / "model.onnx").write_bytes(b"..\x0a\x08location..")
    with pytest.raises(IncompleteVersionError, match="outside"):
        registry.register("v1", staging)
    assert registry.versions() == ()
    publish(registry, "v1")
    assert registry.doctor() == ()


def test_promotion_and_rollback_are_seen_by_others(place: Place, serving: Either) -> None:
    """History, channels and who goes where, from any process."""
    assert place.open().status() == {
        "latest": "v2", "candidate": "v3", "previous": "v1",
        "versions": ("v1", "v2", "v3"), "seq": serving.state().seq,
    }  # fmt: skip
    decision = yes(serving, "v3")
    place.open().promote("v3", decision=decision, expect_current="v2", reason="better")
    assert place.open().rollback(reason="drift").history == ("v1", "v2")
    assert place.open().rollback(reason="drift").history == ("v1",)
    assert place.open().rollback("v3", reason="it was fine").history == ("v1", "v3")
    other = place.open()
    assert (other.latest(), other.previous(), other.candidate()) == ("v3", "v1", None)
    assert other.is_audited()
    assert other.doctor() == ()
    with pytest.raises(PromotionRefusedError, match="used before"):
        other.promote("v2", decision={**yes(other, "v2")}, expect_current="v3", reason="again")
    with pytest.raises(PromotionRefusedError, match="never was latest"):
        other.rollback("v9", reason="x")
    with pytest.raises(StaleStateError, match="not what you expect"):
        other.rollback(reason="x", expect_current="v2")
    with pytest.raises(PromotionRefusedError, match="is latest already"):
        other.rollback("v3", reason="x")


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], type[Exception]]] = {
    "a no": ({"promote": False}, {}, PromotionRefusedError),
    "another version": ({"model_version": "v2"}, {}, PromotionRefusedError),
    "other bytes": ({"manifest_sha256": "sha256:" + "0" * 64}, {}, PromotionRefusedError),
    "no reason": ({}, {"reason": " "}, ParamsError),
    "no decision": ({}, {"decision": None}, PromotionRefusedError),
    "another kind": ({}, {"decision": {"kind": "psi"}}, PromotionRefusedError),
    "stale": ({}, {"expect_current": "v1"}, StaleStateError),
    "an empty registry expected": ({}, {"expect_current": None}, StaleStateError),
    "not the first": ({}, {"bootstrap": True}, PromotionRefusedError),
    "too old": (
        {"now": "2025-12-31T00:00:00Z"},
        {"oldest": datetime(2026, 1, 1, tzinfo=UTC)},
        PromotionRefusedError,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_not_be_promoted_is_refused(name: str, near: Place) -> None:
    """Decision, expectation, age and reason are looked at, and nothing moves."""
    registry = near.open()
    publish(registry, "v1")
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    publish(registry, "v3")
    details, options, error = REFUSED[name]
    wanted = {
        "decision": yes(registry, "v3", **details), "expect_current": "v1", "reason": "x", **options
    }  # fmt: skip
    if name == "stale":
        wanted["expect_current"] = "v0"
    with pytest.raises(error):
        registry.promote("v3", **wanted)
    assert near.open().state().history == ("v1",)
    assert near.open().latest() == "v1"


def test_a_confirmation_counts_once(place: Place, serving: Either) -> None:
    """A second decision that rests on the same confirmation is refused."""
    verdicts = [{"gate": "confirmation", "evidence": [{"run_id": "yes-1"}]}]
    decision = yes(serving, "v3", verdicts=verdicts)
    serving.promote("v3", decision=decision, expect_current="v2", reason="better")
    publish(serving, "v4")
    with pytest.raises(PromotionRefusedError, match="confirmation was used before"):
        place.open().promote(
            "v4", decision=yes(serving, "v4", verdicts=verdicts), expect_current="v3", reason="x"
        )


def test_what_does_not_load_is_not_promoted(place: Place, serving: Either) -> None:
    """The load check sees the files, before anything moves; the log says that it failed."""
    seen = []

    def load(path: Path) -> None:
        seen.append((path.name, (path / "model.onnx").read_text(), place.open().latest()))
        raise ModelError("no such operator")

    with pytest.raises(PromotionRefusedError, match=r"does not load.*no such operator"):
        serving.promote(
            "v3", decision=yes(serving, "v3"), expect_current="v2", reason="x", load_check=load
        )
    assert seen == [("v3", "model.onnx v3\n", "v2")]
    assert place.open().latest() == "v2"
    assert place.open().candidate() == "v3"
    assert place.open().doctor() == ()


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "CHANGES.md"])
def test_a_changed_byte_is_found_and_named(file: str, place: Place, serving: Either) -> None:
    """Verify and doctor name the file; neither promotion nor rollback takes the version."""
    decision = yes(serving, "v3")
    place.tamper("v3", file)
    place.tamper("v1", "sidecar.json")
    other = place.open()
    error = raised(lambda: other.verify("v3"))
    assert error or file in {problem.where.split("/")[-1] for problem in other.verify("v3")}
    wheres = {problem.where for problem in other.doctor()}
    assert {"v1/sidecar.json"} < wheres
    assert any(where.startswith("v3") for where in wheres)
    with pytest.raises(ArtifactError):
        other.promote("v3", decision=decision, expect_current="v2", reason="x")
    with pytest.raises(DigestMismatchError, match=r"sidecar\.json"):
        other.rollback(reason="drift")
    assert place.open().state().history == ("v1", "v2")


def test_a_damaged_version_is_set_aside(place: Place, serving: Either) -> None:
    """Quarantine takes what is damaged and nothing else; latest goes to the one before."""
    with pytest.raises(ArtifactError, match="in order"):
        serving.quarantine("v2", reason="x")
    place.tamper("v2", "model.onnx")
    assert place.open().quarantine("v2", reason="disk error").history == ("v1",)
    other = place.open()
    assert (other.latest(), other.versions()) == ("v1", ("v1", "v3"))
    assert other.doctor() == ()


def test_a_latest_moved_by_hand_is_noticed(place: Place, serving: Either) -> None:
    """Doctor names it, promotion refuses, recovery leaves it, a rollback puts it right."""
    decision = yes(serving, "v3")
    place.move("latest", "v1")
    other = place.open()
    assert not other.is_audited()
    assert [(p.kind, p.where) for p in other.doctor()] == [("unaudited", "latest")]
    assert [p.kind for p in other.recover()] == ["unaudited"]
    with pytest.raises(StaleStateError, match="by hand"):
        other.promote("v3", decision=decision, expect_current="v2", reason="x")
    other.rollback("v2", reason="somebody moved latest")
    assert place.open().latest() == "v2"
    assert place.open().doctor() == ()


def test_an_edited_log_stops_everything(place: Place, serving: Either) -> None:
    """Doctor names the line, and nothing is changed on top of it."""
    place.edit_log()
    other = place.open()
    assert {problem.kind for problem in other.doctor()} <= {"edited", "reordered"}
    assert other.doctor()
    with pytest.raises(BrokenChainError):
        other.rollback(reason="drift")
    assert place.open().latest() == serving.latest() == "v2"


@pytest.fixture
def keys(tmp_path: Path) -> Signer:
    """A private key and its pinned public one."""
    return Signer(tmp_path / "key", write_key_pair(tmp_path / "key"))


def test_with_a_pinned_key_only_what_is_signed_moves(place: Place, keys: Signer) -> None:
    """Signed by the key: promoted, rolled back to, in order. By nobody: refused, until signed."""
    serve(place.open(signer=keys))
    pinned = Signer(public_keys=keys.public_keys)
    reader = place.open(signer=pinned)
    assert reader.doctor() == ()
    assert reader.signed_by("latest")
    publish(place.open(), "v4")
    decision = yes(reader, "v4")
    with pytest.raises(SignatureError):
        place.open(signer=keys).promote("v4", decision=decision, expect_current="v2", reason="x")
    place.open(signer=keys).sign("v4")
    place.open(signer=keys).promote("v4", decision=decision, expect_current="v2", reason="x")
    assert place.open(signer=pinned).doctor() == ()
    assert place.open().latest() == "v4"


def test_a_move_that_nobody_signed_is_noticed(place: Place, keys: Signer) -> None:
    """Latest moved by a process without the key: doctor says so, changes are refused."""
    registry = serve(place.open(signer=keys))
    place.open().promote("v3", decision=yes(registry, "v3"), expect_current="v2", reason="x")
    other = place.open(signer=keys)
    assert [problem.kind for problem in other.doctor()] == ["unsigned"]
    other.sign()
    assert place.open(signer=keys).doctor() == ()
    assert place.open(signer=keys).rollback(reason="drift").latest == "v2"


def race(place: Place, jobs: list[Callable[[Either], object]], **more: Any) -> list[object]:
    """What many registries say to a job each, all at the same time: None, or the error."""
    start = threading.Barrier(len(jobs))
    said: list[object] = [None] * len(jobs)

    def run(number: int) -> None:
        registry = place.open(**more)
        start.wait()
        said[number] = raised(lambda: jobs[number](registry))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def promotion(version: str, decision: dict[str, Any]) -> Callable[[Either], object]:
    """A job: promote a version over v2."""
    return lambda registry: registry.promote(
        version, decision=decision, expect_current="v2", reason="race"
    )


def publication(version: str) -> Callable[[Either], object]:
    """A job: publish a version."""
    return lambda registry: publish(registry, version)


def test_of_many_promoters_one_wins(place: Place, serving: Either) -> None:
    """All promote a candidate of their own over v2: one does, the others are told to look again."""
    versions = ["v3", *(f"v{number}" for number in range(4, 3 + N_RACERS))]
    for version in versions[1:]:
        publish(serving, version)
    jobs = [promotion(version, yes(serving, version)) for version in versions]
    said = race(place, jobs)
    winners = [version for version, error in zip(versions, said, strict=True) if error is None]
    lost = [error for error in said if error is not None]
    assert len(winners) == 1
    assert {type(error) for error in lost} <= {StaleStateError, LockHeldError}
    other = place.open()
    assert other.latest() == winners[0]
    assert other.state().history == ("v1", "v2", winners[0])
    assert other.doctor() == ()


def test_publishers_do_not_disturb_a_promotion(place: Place, serving: Either) -> None:
    """Versions published meanwhile take nothing from a promotion, and none is lost."""
    names = [f"w{number}" for number in range(4)]
    jobs = [publication(name) for name in names]
    said = race(place, [promotion("v3", yes(serving, "v3")), *jobs])
    assert said == [None] * 5
    other = place.open()
    assert other.latest() == "v3"
    assert set(names) < set(other.versions())
    assert other.doctor() == ()


def test_no_reader_sees_a_mixture(place: Place, serving: Either) -> None:
    """While latest flips, whoever resolves it has all files of one version."""
    decision = yes(serving, "v3")
    serving.promote("v3", decision=decision, expect_current="v2", reason="better")
    is_done = threading.Event()
    reads: list[frozenset[str]] = []

    def look() -> None:
        registry = place.open()
        while not is_done.is_set() or not reads:
            folder = registry.resolve("latest")
            reads.append(
                frozenset((folder / name).read_text().split()[1] for name in REQUIRED_FILES)
            )

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(N_FLIPS):
        serving.rollback(("v2", "v3")[number % 2], reason="flip")
    is_done.set()
    for thread in threads:
        thread.join()
    assert [read for read in reads if len(read) != 1] == []
    assert {version for read in reads for version in read} <= {"v2", "v3"}
