"""A store that fails or a process that dies at any call: one readable latest, nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import (
    BrokenChainError,
    MlwbError,
    PromotionRefusedError,
    StaleStateError,
    StorageError,
    StoreUnavailableError,
)
from mlwb.core.signing import Signer
from mlwb.registry import MemoryStore, RemoteRegistry
from mlwb.registry._remote_log import RemoteLog, slot
from tests.registry.faulty_store import Careless, Died, Faulty
from tests.registry.places import Remote, publish, serve, yes
from tests.registry.test_conformance import promotion, race


@pytest.fixture
def place(memory_dir: Path, clock: ManualClock) -> Remote:
    """A store in memory where v2 is latest, v1 previous, v3 the candidate."""
    place = Remote(MemoryStore(), memory_dir, clock)
    serve(place.open())
    return place


Action = Callable[[RemoteRegistry, Any], object]

ACTIONS: dict[str, tuple[Action, tuple[str, ...]]] = {
    "promote": (
        lambda registry, decision: registry.promote(
            "v3", decision=decision, expect_current="v2", reason="better"
        ),
        ("v1", "v2", "v3"),
    ),
    "rollback": (lambda registry, _: registry.rollback(reason="drift"), ("v1",)),
    "register": (lambda registry, _: publish(registry, "v4"), ("v1", "v2")),
    "collect": (lambda registry, _: registry.collect(), ("v1", "v2")),
    "quarantine": (lambda registry, _: registry.quarantine("v2", reason="disk"), ("v1",)),
    "recover": (lambda registry, _: registry.recover(), ("v1", "v2")),
}


def prepare(name: str, place: Remote) -> Any:
    """Bring the place to where an action makes sense; a decision about v3."""
    decision = yes(place.open(), "v3")
    if name == "collect":
        for number in range(4, 7):
            publish(place.open(), f"v{number}")
    if name == "quarantine":
        place.tamper("v2", "model.onnx")
    return decision


def check(place: Remote, after: tuple[str, ...], *, is_told: bool, damaged: str = "") -> None:
    """What must hold after an interrupted action, before and after repair."""
    before = ("v1", "v2")
    reader = place.open()
    latest = reader.latest()
    assert latest in ({after[-1]} if is_told else {before[-1], after[-1]})
    if latest != damaged:
        assert reader.resolve("latest").name == latest
    history = reader.state().history
    assert history in ([after] if is_told else [before, after])
    left = [p for p in place.open().recover() if p.where.split("/")[0] != damaged]
    assert {p.kind for p in left} <= {"unlisted"}  # an upload that was not finished
    repaired = place.open()
    assert repaired.state().history == history
    assert repaired.latest() == history[-1]
    assert repaired.is_audited()


MANY = [
    name if name == "rollback" else pytest.param(name, marks=pytest.mark.slow) for name in ACTIONS
]


@pytest.mark.parametrize("name", MANY)
def test_dying_at_any_call_breaks_no_promise(
    name: str, memory_dir: Path, clock: ManualClock
) -> None:
    """Before each call and after the last: readable, repaired to before or after, no loss."""
    action, after = ACTIONS[name]
    damaged = "v2" if name == "quarantine" else ""
    first = Remote(MemoryStore(), memory_dir, clock)
    serve(first.open())
    decision = prepare(name, first)
    objects = dict(first.store.objects)  # type: ignore[attr-defined]
    counting = Faulty(first.store)
    action(first.open(store=counting), decision)
    check(first, after, is_told=True, damaged=damaged if first.open().latest() == "v2" else "")
    assert len(counting.calls) > 8
    faults = dict.fromkeys(range(1, len(counting.calls) + 1), "die before")
    for fault in (*({number: kind} for number, kind in faults.items()), {max(faults): "die after"}):
        store = MemoryStore()
        store.objects = dict(objects)
        place = Remote(store, memory_dir, clock)
        with pytest.raises(Died):
            action(place.open(store=Faulty(store, fault)), decision)
        check(place, after, is_told=False, damaged=damaged)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["lost", "timeout", "conflict"])
@pytest.mark.parametrize("name", ["promote", "rollback"])
def test_a_call_that_goes_wrong_loses_nothing(
    name: str, fault: str, memory_dir: Path, clock: ManualClock
) -> None:
    """Each call once: the action succeeds for good, or says that it did not, and both are true."""
    action, after = ACTIONS[name]
    first = Remote(MemoryStore(), memory_dir, clock)
    serve(first.open())
    decision = prepare(name, first)
    objects = dict(first.store.objects)  # type: ignore[attr-defined]
    counting = Faulty(first.store)
    action(first.open(store=counting), decision)
    n_done = 0
    for number in range(1, len(counting.calls) + 1):
        store = MemoryStore()
        store.objects = dict(objects)
        place = Remote(store, memory_dir, clock)
        try:
            action(place.open(store=Faulty(store, {number: fault})), decision)
        except StorageError:
            check(place, after, is_told=False, damaged="v2" if name == "quarantine" else "")
        else:
            n_done += 1
            check(place, after, is_told=True)
    assert n_done > 0


def test_a_lost_answer_to_the_line_itself_is_a_promotion(place: Remote) -> None:
    """The one write that decides: done but not heard of, it is found to be ours, once."""
    decision = yes(place.open(), "v3")
    counting = Faulty(MemoryStore())
    counting.behind.objects = dict(place.store.objects)  # type: ignore[attr-defined]
    promotion("v3", decision)(place.open(store=counting))
    (number,) = [
        number
        for number, call in enumerate(counting.calls, start=1)
        if call.startswith("put_if_absent log/")
    ]
    lines = place.open().state().seq
    registry = place.open(store=Faulty(place.store, {number: "lost"}))
    assert promotion("v3", decision)(registry).history == ("v1", "v2", "v3")  # type: ignore[attr-defined]
    assert place.open().state().seq == lines + 1
    assert place.open().doctor() == ()


def test_a_store_that_goes_away_leaves_no_guess(place: Remote) -> None:
    """After a promotion that nobody knows about, doing it again says what happened."""
    decision = yes(place.open(), "v3")
    store = Faulty(place.store)
    registry = place.open(store=store)
    registry.state()
    store.is_away = True
    with pytest.raises(StoreUnavailableError):
        promotion("v3", decision)(registry)
    store.is_away = False
    promotion("v3", decision)(registry)
    with pytest.raises(StaleStateError):
        promotion("v3", decision)(place.open())
    assert place.open().state().history == ("v1", "v2", "v3")


def test_a_careless_store_is_refused_before_the_first_change(place: Remote) -> None:
    """Nothing is written to a store that would take two promotions for one."""
    decision = yes(place.open(), "v3")
    objects = dict(place.store.objects)  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="ignores conditional writes"):
        promotion("v3", decision)(place.open(store=Careless(place.store)))
    assert place.store.objects == objects  # type: ignore[attr-defined]


class Slow(Faulty):
    """Every racer has looked before anybody writes the line; only then they write."""

    barrier: threading.Barrier
    waited: ClassVar[set[int]] = set()

    def put_if_absent(self, key: str, data: bytes) -> Any:
        """Wait for the others, once each, at the line."""
        if key.startswith("log/") and threading.get_ident() not in self.waited:
            self.waited.add(threading.get_ident())
            self.barrier.wait(timeout=20)
        return super().put_if_absent(key, data)


class SlowAndCareless(Slow, Careless):
    """As above, on a clone that ignores the headers."""


@pytest.mark.parametrize(("kind", "is_safe"), [(Slow, True), (SlowAndCareless, False)])
def test_only_conditional_writes_make_one_winner(
    kind: type[Slow], place: Remote, monkeypatch: pytest.MonkeyPatch, *, is_safe: bool
) -> None:
    """All have looked, all write: one wins. The control, unconditional puts: all think they did."""
    monkeypatch.setattr("mlwb.registry._remote.probe", lambda _: None)
    versions = ["v3", "v4", "v5", "v6"]
    for version in versions[1:]:
        publish(place.open(), version)
    jobs = [promotion(version, yes(place.open(), version)) for version in versions]
    store = kind(place.store)
    kind.waited.clear()
    store.barrier = threading.Barrier(len(versions))
    said = race(place, jobs, store=store)
    n_winners = sum(error is None for error in said)
    if is_safe:
        assert n_winners == 1
        assert {type(error) for error in said} == {type(None), StaleStateError}
        assert place.open().doctor() == ()
    else:
        assert n_winners == len(versions)
        assert len(place.open().state().history) == 3


def test_a_late_projection_does_not_go_back(place: Remote) -> None:
    """Whoever wakes up with an old view leaves a channel that is further on."""
    sleeper = RemoteLog(place.store, Signer())
    sleeper.read_on()
    promotion("v3", yes(place.open(), "v3"))(place.open())
    from mlwb.registry._remote_channels import project

    project(sleeper, place.store)
    assert place.open().latest() == "v3"
    assert place.open().doctor() == ()


def test_a_cut_log_is_noticed_by_its_channels(place: Remote) -> None:
    """Lines removed from the end: doctor says that a channel names one that is gone."""
    registry = place.open()
    seq = registry.state().seq
    place.store.delete(slot(seq))
    place.store.delete(slot(seq - 1))
    assert ("truncated", "log") in {(p.kind, p.where) for p in place.open().doctor()}
    with pytest.raises(StaleStateError, match="by hand"):
        place.open().promote("v1", decision={}, expect_current="v2", reason="x")


def test_a_line_removed_from_the_middle_is_noticed(place: Remote) -> None:
    """Doctor names the number; nothing is promoted over the gap."""
    place.store.delete(slot(2))
    assert ("missing", slot(2)) in {(p.kind, p.where) for p in place.open().doctor()}
    with pytest.raises(MlwbError):
        place.open().rollback(reason="drift")


def test_a_reader_that_remembers_sees_a_replaced_log(place: Remote, memory_dir: Path) -> None:
    """A log that was chained anew from the start is whole, and not the one read before."""
    log = RemoteLog(place.store, Signer())
    log.read_on()
    other = Remote(MemoryStore(), memory_dir, ManualClock())
    serve(other.open(actor="somebody else"))
    with pytest.raises(BrokenChainError, match="not the one read before"):
        RemoteLog(other.store, Signer(), log.links).read_on()


def test_a_machine_reads_a_line_once_and_remembers_it(place: Remote, memory_dir: Path) -> None:
    """The next process asks for the last line it knows and for the next; a cut log is named."""
    memory = memory_dir / "remote" / "log"
    lines = place.open(memory=memory).state().seq
    store = Faulty(place.store)
    again = place.open(store=store, memory=memory)
    assert again.state() == place.open().state()
    assert store.calls == [f"get {slot(lines)}", f"get {slot(lines + 1)}"]
    promotion("v3", yes(again, "v3"))(again)
    assert place.open(memory=memory).doctor() == ()
    other = Remote(MemoryStore(), memory_dir, ManualClock())
    serve(other.open(actor="somebody else"))
    assert [p.kind for p in other.open(memory=memory).doctor()] == ["rechained"]
    with pytest.raises(BrokenChainError, match="not the one read before"):
        other.open(memory=memory).rollback(reason="drift")
    memory.unlink()
    assert other.open(memory=memory).doctor() == ()


def test_reading_latest_is_one_request_and_lists_nothing(place: Remote) -> None:
    """A reader fetches the channel object, then what it names; it never lists."""
    store = Faulty(place.store)
    assert place.open(store=store).latest() == "v2"
    assert store.calls == ["get channels/latest.json"]
    place.open(store=store).resolve("latest")
    place.open(store=store).read("latest", "sidecar.json")
    assert not [call for call in store.calls if call.startswith("list")]


def test_unfinished_uploads_stand_in_nobodys_way(place: Remote) -> None:
    """Another attempt at the name, with other bytes, is published as if nothing was there."""
    counting = Faulty(MemoryStore())
    publish(place.open(store=counting), "v4")
    uploads = [n for n, call in enumerate(counting.calls, 1) if " models/v4/" in call]
    for number in (uploads[3], uploads[-1]):
        store = MemoryStore()
        with pytest.raises(Died):
            publish(place.open(store=Faulty(store, {number: "die before"})), "v4")
        again = Remote(store, place.folder, place.clock)
        assert [problem.kind for problem in again.open().doctor()] == ["unlisted"]
        place.clock.advance(60)
        publish(again.open(), "v4")
        assert again.open().verify("v4") == ()


def test_two_pushers_of_one_name_do_not_mix(place: Remote) -> None:
    """Different bytes under one name at the same time: one is published whole, one is told."""
    place.open().state()

    def job(word: str) -> Callable[[Any], object]:
        return lambda registry: publish_as(registry, "v4", word)

    said = race(place, [job("one"), job("two")])
    assert sum(error is None for error in said) == 1
    assert place.open().verify("v4") == ()


def publish_as(registry: RemoteRegistry, version: str, word: str) -> object:
    """Publish a version with given content."""
    from tests.registry.places import fill

    return registry.register(version, fill(registry.stage(version), word))


def test_a_push_may_be_repeated_and_repairs(place: Remote) -> None:
    """The same bytes again: nothing new in the log. A damaged object: put right, and logged."""
    folder = place.open().resolve("v1")
    lines = place.open().state().seq
    place.open().push(folder)
    assert place.open().state().seq == lines
    place.tamper("v1", "model.onnx")
    with pytest.raises(MlwbError):
        place.open().resolve("v1")
    place.open().restore("v1", folder)
    assert place.open().resolve("v1").is_dir()
    assert place.open().state().seq == lines + 1
    assert place.open().doctor() == ()
    with pytest.raises(MlwbError, match="in order"):
        place.open().restore("v1", folder)


def test_what_is_pushed_is_whole_and_its_own(place: Remote) -> None:
    """Damaged on the way, or other bytes under a name that is taken: refused."""
    folder = place.open().resolve("v1")
    (folder / "bench.json").write_text("other")
    with pytest.raises(MlwbError, match=r"bench\.json"):
        place.open().push(folder)
    with pytest.raises(PromotionRefusedError):
        place.open().rollback("v3", reason="x")
