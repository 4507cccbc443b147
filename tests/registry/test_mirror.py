"""A directory follows a store: verified, flipped, kept when the store is away or lies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.clock import ManualClock
from mlwb.core.errors import (
    ArtifactError,
    BrokenChainError,
    MlwbError,
    ParamsError,
    PromotionRefusedError,
    SignatureError,
    StaleStateError,
    StoreUnavailableError,
)
from mlwb.core.signing import Signer, write_key_pair
from mlwb.registry import MemoryStore, Mirror, Pulled, Registry
from mlwb.registry._remote_log import slot
from mlwb.registry._store import put_right
from tests.registry.faulty_store import Faulty
from tests.registry.places import Remote, publish, serve, yes


@pytest.fixture
def place(memory_dir: Path, clock: ManualClock) -> Remote:
    """A store where v2 is latest, v1 previous and v3 the candidate."""
    place = Remote(MemoryStore(), memory_dir, clock)
    serve(place.open())
    return place


@pytest.fixture
def store(place: Remote) -> Faulty:
    """The same store, counted and sometimes away."""
    return Faulty(place.store, name=place.store.name)


@pytest.fixture
def models(memory_dir: Path) -> Path:
    """Where the replica has its models."""
    return memory_dir / "replica" / "artifacts" / "models"


@pytest.fixture
def mirror(store: Faulty, models: Path, clock: ManualClock) -> Mirror:
    """A mirror that has not looked yet."""
    return Mirror(store, models, clock=clock)


def local(models: Path, **more: Any) -> Registry:
    """The replica as a server sees it."""
    return Registry(models, clock=ManualClock(), **more)


def promote(place: Remote, version: str) -> None:
    """Promote a version over what is latest."""
    registry = place.open()
    registry.promote(
        version, decision=yes(registry, version), expect_current=registry.latest(), reason="x"
    )


def test_a_replica_is_a_registry_to_whoever_reads_it(
    mirror: Mirror, models: Path, place: Remote
) -> None:
    """Channels, versions, log and state as in the store; audited, and in order."""
    assert mirror.pull() == Pulled(latest="v2", seq=place.open().state().seq, is_news=True)
    replica = local(models)
    assert replica.status() == place.open().status()
    assert replica.state() == place.open().state()
    assert replica.is_audited()
    assert replica.doctor() == ()
    assert (replica.resolve("latest") / "model.onnx").read_text() == "model.onnx v2\n"
    assert replica.resolve("latest").joinpath("model.onnx").stat().st_mode & 0o777 == 0o444


def test_nothing_new_is_three_small_reads(mirror: Mirror, store: Faulty) -> None:
    """One a channel; neither listing, nor log, nor a file of a version; nothing is written."""
    mirror.pull()
    store.calls.clear()
    assert not mirror.pull().is_news
    assert sorted(store.calls) == [
        f"get channels/{channel}.json" for channel in ("candidate", "latest", "previous")
    ]


def test_promotion_and_rollback_arrive(
    mirror: Mirror, models: Path, place: Remote, store: Faulty
) -> None:
    """What moves there moves here; going back needs no file again, since both are kept."""
    mirror.pull()
    promote(place, "v3")
    assert mirror.pull().latest == "v3"
    assert local(models).previous() == "v2"
    place.open().rollback(reason="drift")
    store.calls.clear()
    assert mirror.pull() == Pulled(latest="v2", seq=place.open().state().seq, is_news=True)
    assert not [call for call in store.calls if "models/" in call]
    assert local(models).doctor() == ()
    assert not [call for call in store.calls if call.startswith(("list", "put", "compare"))]


def test_old_versions_go(mirror: Mirror, models: Path, place: Remote) -> None:
    """Kept are what the channels name and the last that were latest; the disk does not fill."""
    mirror.pull()
    for number in range(3, 7):
        if number > 3:
            publish(place.open(), f"v{number}")
        promote(place, f"v{number}")
        mirror.pull()
    there = {path.name for path in models.iterdir() if path.is_dir() and not path.is_symlink()}
    assert there - {".staging"} == {"v4", "v5", "v6"}


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_store_that_is_away_changes_nothing(
    mirror: Mirror, models: Path, store: Faulty, place: Remote, *, is_restarted: bool
) -> None:
    """The last good version stays; when the store is back, the replica goes on."""
    mirror.pull()
    store.is_away = True
    follower = Mirror(store, models, clock=place.clock) if is_restarted else mirror
    with pytest.raises(StoreUnavailableError):
        follower.pull()
    assert local(models).latest() == "v2"
    assert local(models).doctor() == ()
    promote(place, "v3")
    store.is_away = False
    assert follower.pull().latest == "v3"


def test_following_says_what_is_new_and_no_more(
    mirror: Mirror, store: Faulty, place: Remote
) -> None:
    """First look, away, back, moved: each is told once, however often it is looked."""
    told: list[str] = []

    class Ticks(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == 5.0
            next(script)()
            return self.is_set()

    over = Ticks()
    script: Iterator[Callable[[], object]] = iter(
        [
            lambda: None, lambda: None,
            lambda: setattr(store, "is_away", True), lambda: None,
            lambda: setattr(store, "is_away", False), lambda: None,
            lambda: promote(place, "v3"), lambda: None, over.set,
        ]
    )  # fmt: skip

    def tell(outcome: Pulled | MlwbError) -> None:
        told.append(str(outcome.latest) if isinstance(outcome, Pulled) else outcome.code)

    mirror.follow(every_s=5.0, tell=tell, is_over=over)
    assert told == ["v2", "artifact.storage.unavailable", "v2", "v3"]


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json"])
def test_a_damaged_version_is_not_taken_over(
    file: str, mirror: Mirror, models: Path, place: Remote
) -> None:
    """A byte changed in the store after the promotion: refused by name, the last good stays."""
    mirror.pull()
    fsops.remove_tree(models / "v3")
    promote(place, "v3")
    place.tamper("v3", file)
    with pytest.raises(ArtifactError, match="v3"):
        mirror.pull()
    assert local(models).latest() == "v2"
    assert local(models).is_audited()
    assert not list((models / ".staging").iterdir())


def test_a_damaged_candidate_does_not_hold_latest_up(
    mirror: Mirror, models: Path, place: Remote
) -> None:
    """Latest is brought over, and what could not be is said."""
    place.tamper("v3", "model.onnx")
    pulled = mirror.pull()
    assert pulled.latest == "v2"
    assert "candidate" in pulled.problems[0]
    assert "model.onnx" in pulled.problems[0]
    assert local(models).candidate() is None


def test_a_damaged_copy_here_is_brought_again(mirror: Mirror, models: Path, place: Remote) -> None:
    """With the next news; what stood there goes to quarantine."""
    mirror.pull()
    path = models / "v3" / "model.onnx"
    path.chmod(0o644)
    path.write_text("?")
    promote(place, "v3")
    mirror.pull()
    assert local(models).doctor() == ()
    assert len(list((models.parent / "quarantine").iterdir())) == 1


def test_what_the_log_never_said_is_not_followed(
    mirror: Mirror, models: Path, place: Remote
) -> None:
    """A channel object moved by hand: refused."""
    mirror.pull()
    place.move("latest", "v1")
    with pytest.raises(ArtifactError, match="not where its log says"):
        mirror.pull()
    assert local(models).latest() == "v2"


def test_an_old_pointer_put_back_is_not_followed(
    mirror: Mirror, models: Path, place: Remote, clock: ManualClock
) -> None:
    """It was true once, and is behind what was followed: refused, also after a restart."""
    old = place.store.get("channels/latest.json")
    assert old is not None
    promote(place, "v3")
    mirror.pull()
    put_right(place.store, "channels/latest.json", old.data)
    for follower in (mirror, Mirror(place.store, models, clock=clock)):
        with pytest.raises(StaleStateError, match="behind"):
            follower.pull()
    assert local(models).latest() == "v3"


def test_a_log_chained_anew_is_not_followed(
    mirror: Mirror, models: Path, place: Remote, store: Faulty
) -> None:
    """Another registry under the same address, whole and in order: not the one followed."""
    mirror.pull()
    other = Remote(MemoryStore(), place.folder, place.clock)
    serve(other.open(actor="somebody else"))
    promote(other, "v3")
    store.behind = other.store
    for follower in (mirror, Mirror(store, models, clock=place.clock)):
        with pytest.raises((BrokenChainError, ArtifactError)):
            follower.pull()
    assert local(models).latest() == "v2"


def test_a_shortened_log_is_not_followed(
    mirror: Mirror, models: Path, place: Remote, clock: ManualClock
) -> None:
    """The last line that was read is gone: said after a restart."""
    mirror.pull()
    place.store.delete(slot(place.open().state().seq))
    with pytest.raises(BrokenChainError, match="not the one read before"):
        Mirror(place.store, models, clock=clock).pull()


def test_a_pinned_key_is_asked_for(
    place: Remote, models: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """Unsigned log or version: nothing is brought over. Signed: it is, and stays checkable."""
    keys = Signer(tmp_path / "key", write_key_pair(tmp_path / "key"))
    pinned = Signer(public_keys=keys.public_keys)
    with pytest.raises(SignatureError):
        Mirror(place.store, models, clock=clock, signer=pinned).pull()
    for version in ("v1", "v2", "v3"):
        place.open(signer=keys).sign(version)
    assert Mirror(place.store, models, clock=clock, signer=pinned).pull().problems == ()
    publish(place.open(signer=keys), "v4")
    assert Mirror(place.store, models, clock=clock, signer=pinned).pull().is_news
    assert local(models, signer=pinned).doctor() == ()


def test_a_registry_of_its_own_is_not_overwritten(
    place: Remote, memory_dir: Path, clock: ManualClock
) -> None:
    """A home that was promoted in cannot follow; a mirror is not promoted in, nor changes sides."""
    models = memory_dir / "own" / "artifacts" / "models"
    serve(local(models))
    with pytest.raises(ParamsError, match="registry of its own"):
        Mirror(place.store, models, clock=clock).pull()
    assert local(models).doctor() == ()
    replica = memory_dir / "replica" / "artifacts" / "models"
    Mirror(place.store, replica, clock=clock).pull()
    with pytest.raises(PromotionRefusedError, match="follows a registry elsewhere"):
        local(replica).rollback(reason="drift")
    other = Faulty(place.store, name="s3://another/place")
    with pytest.raises(ParamsError, match="follows another registry"):
        Mirror(other, replica, clock=clock).pull()


def test_an_empty_store_is_followed_once_there_is_something(
    models: Path, memory_dir: Path, clock: ManualClock
) -> None:
    """Nothing there: nothing is made here, also no claim on the directory."""
    empty = Remote(MemoryStore(), memory_dir, clock)
    mirror = Mirror(empty.store, models, clock=clock)
    assert mirror.pull() == Pulled(latest=None, seq=0, is_news=False)
    assert list(models.parent.glob("*.json")) == []
    publish(empty.open(), "v1")
    assert mirror.pull().latest is None
    assert local(models).candidate() == "v1"


def test_a_latest_taken_away_is_taken_away(
    models: Path, memory_dir: Path, clock: ManualClock
) -> None:
    """The only version was given up there: no latest here, and no damaged one is served anew."""
    alone = Remote(MemoryStore(), memory_dir, clock)
    registry = alone.open()
    publish(registry, "v1")
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    follower = Mirror(alone.store, models, clock=clock)
    follower.pull()
    alone.tamper("v1", "model.onnx")
    alone.open().quarantine("v1", reason="disk")
    assert follower.pull().latest is None
    assert local(models).latest() is None


def test_dying_at_any_file_operation_leaves_a_good_latest(
    place: Remote, models: Path, clock: ManualClock, die_at: Any
) -> None:
    """Killed while it follows a promotion: old or new, whole, and the next look goes on."""
    Mirror(place.store, models, clock=clock).pull()
    promote(place, "v3")
    fsops.remove_tree(models / "v3")
    (models / "candidate").unlink()
    step = 1
    while die_at(step, lambda: Mirror(place.store, models, clock=clock).pull()):
        replica = local(models)
        assert replica.latest() in {"v2", "v3"}
        assert replica.verify("latest") == ()
        step += 4
    assert step > 16
    assert Mirror(place.store, models, clock=clock).pull().latest == "v3"
    assert local(models).doctor() == ()
