"""Looks at a server and a real registry: it acts once, says why, and survives what breaks."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from typing import Any

import pytest
from filelock import FileLock

from mlwb.core import fsops
from mlwb.core.chain import Chain
from mlwb.core.clock import ManualClock, SystemClock
from mlwb.core.errors import LockHeldError
from mlwb.monitor import Look, Watcher, alone
from mlwb.registry import Registry
from mlwb.registry import _journal as journal
from tests.inference.version_kit import point
from tests.monitor.monitor_kit import Box, FakeServer, watcher


@pytest.fixture
def clock() -> ManualClock:
    """Now, as the registry of the test was written now."""
    return ManualClock(SystemClock().now())


def _fails(server: FakeServer, found: Watcher, clock: ManualClock, looks: int = 4) -> list[Look]:
    """Looks a minute apart, at a server that fails a tenth of its requests."""
    seen = []
    for _ in range(looks):
        seen.append(found.look())
        server.answer(180, 20)
        clock.advance(60)
    return seen


def test_it_rolls_back_once_and_says_why(registry: Registry, clock: ManualClock) -> None:
    """Registry, log of looks and message name the trigger; the next looks do nothing."""
    server, box = FakeServer(), Box()
    found = watcher(registry, server, clock, deliver=box)
    looks = _fails(server, found, clock)
    assert [look.outcome for look in looks] == ["quiet", "quiet", "quiet", "acted"]
    assert (registry.latest(), registry.state().moved) == ("v1.0.0", "rollback")
    why = "monitor: error_rate 0.1, <= 0.05 must hold"
    links = Chain(registry.models_dir.parent / "promotions.log").links()
    assert [link.body["reason"] for link in links if link.body.get("action") == "rollback"] == [why]
    assert [notice.event for notice in box.notices] == ["fired", "acted"]
    assert why in box.notices[1].text
    lines = (registry.models_dir.parent / "monitor" / "looks.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == [look.outcome for look in looks]
    after = _fails(server, found, clock)
    assert {look.outcome for look in after} == {"quiet"}
    assert "the server answers with v2.0.0" in {row.reading.source for row in after[0].rows}


def test_it_says_only_what_it_would_do(registry: Registry, clock: ManualClock) -> None:
    """Without leave to act nothing moves."""
    server = FakeServer()
    look = _fails(server, watcher(registry, server, clock, acts=False), clock)[-1]
    assert (look.outcome, registry.latest()) == ("would", "v2.0.0")
    assert look.text.startswith("would roll back to v1.0.0: monitor: error_rate")


def test_a_restart_between_any_two_looks_changes_nothing(
    registry: Registry, clock: ManualClock
) -> None:
    """A new process for every look: the same outcome on the same look."""
    server, seen = FakeServer(), []
    for _ in range(4):
        seen += _fails(server, watcher(registry, server, clock), clock, looks=1)
    assert [look.outcome for look in seen] == ["quiet", "quiet", "quiet", "acted"]


def test_killed_between_the_flip_and_its_own_notes(
    registry: Registry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process finds the rollback in the registry's log and makes no second one."""
    server, box = FakeServer(), Box()
    found = watcher(registry, server, clock, deliver=box)
    _fails(server, found, clock, looks=3)
    with monkeypatch.context() as patched:
        patched.setattr(Watcher, "_tell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            found.look()
    assert registry.latest() == "v1.0.0"
    seq = registry.state().seq
    looks = _fails(server, watcher(registry, server, clock, deliver=box), clock, looks=6)
    assert {look.outcome for look in looks} == {"quiet"}
    assert registry.state().seq == seq
    assert [notice.event for notice in box.notices] == ["fired"]


def test_a_version_that_fails_after_the_rollback_waits_for_the_cooldown(
    registry: Registry, clock: ManualClock
) -> None:
    """And the cooldown is told once, not on every look."""
    server, box = FakeServer(), Box()
    found = watcher(registry, server, clock, deliver=box)
    _fails(server, found, clock)
    server.version, server.successes, server.errors, server.loads = "v1.0.0", 0, 0, 2
    looks = _fails(server, found, clock, looks=8)
    assert [look.outcome for look in looks[:3]] == ["quiet"] * 3
    assert {look.outcome for look in looks[4:]} == {"held"}
    assert "cooldown until" in looks[-1].text
    assert [notice.event for notice in box.notices].count("held") == 1


def test_garbage_and_silence_fire_nothing_but_being_down(
    registry: Registry, clock: ManualClock
) -> None:
    """Not measured is said of every number of the server; down is told and moves nothing."""
    server = FakeServer(garbage="<html>502</html>")
    found = watcher(registry, server, clock)
    for turn in range(20):
        server.is_away = turn % 2 == 1
        look = found.look()
        clock.advance(60)
    states = {row.name: row.state for row in look.rows}
    assert (states["down_s"], states["error_rate"], look.outcome) == (
        "fired",
        "not measured",
        "quiet",
    )
    assert registry.latest() == "v2.0.0"


def test_a_crash_loop_rolls_back_without_the_server(registry: Registry, clock: ManualClock) -> None:
    """Three starts in ten minutes; the registry needs no server to go back."""
    server, found = FakeServer(), None
    found = watcher(registry, server, clock)
    for turn in range(7):
        server.is_away = turn % 2 == 1
        look = found.look()
        clock.advance(30)
    assert (look.outcome, registry.latest()) == ("acted", "v1.0.0")
    assert "restarts 3" in look.text


def test_a_latest_moved_by_hand_is_put_right(registry: Registry, clock: ManualClock) -> None:
    """At the first look, with the server away; the log says what was put right."""
    point(registry.models_dir, "latest", "v3.0.0")
    look = watcher(registry, FakeServer(is_away=True), clock).look()
    assert (look.outcome, registry.latest()) == ("acted", "v2.0.0")
    assert registry.is_audited()
    assert registry.state().rolled_back_at == {}


def test_a_person_calls_for_it(registry: Registry, clock: ManualClock) -> None:
    """Their words stand in the log; the look after it is quiet."""
    found = watcher(registry, FakeServer(), clock)
    assert found.look(by="the feed is wrong").outcome == "acted"
    links = Chain(registry.models_dir.parent / "promotions.log").links()
    assert any("the feed is wrong" in str(link.body.get("reason")) for link in links)
    assert found.look().outcome == "quiet"


@pytest.mark.parametrize(("shadow", "state"), [("v3.0.0", "not measured"), ("v1.0.0", "fired")])
def test_a_candidate_that_disagrees_does_not_roll_the_champion_back(
    registry: Registry, clock: ManualClock, shadow: str, state: str
) -> None:
    """The correlation speaks against what answers only beside a version that has served."""
    server = FakeServer(shadow=shadow, rank_corr=0.2)
    found = watcher(registry, server, clock, acts=False)
    for _ in range(3):
        clock.advance(60)
        look = found.look()
    rows = {row.name: row for row in look.rows}
    assert rows["rank_corr"].state == state


def test_a_locked_registry_is_tried_again(
    registry: Registry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look says that it failed, the next one succeeds."""
    monkeypatch.setattr(journal, "_PATIENCE_S", 0.05)
    found = watcher(registry, FakeServer(), clock)
    with FileLock(registry.models_dir.parent / ".registry.lock"):
        look = found.look(by="now")
    assert (look.outcome, registry.latest()) == ("failed", "v2.0.0")
    assert "somebody else is changing the registry" in look.text
    assert found.look(by="now").outcome == "acted"


def test_an_edited_log_is_told_and_nothing_is_moved(registry: Registry, clock: ManualClock) -> None:
    """Without a log to trust there is no way back to take."""
    log = registry.models_dir.parent / "promotions.log"
    log.write_bytes(log.read_bytes().replace(b"a test", b"a toast"))
    look = watcher(registry, FakeServer(), clock).look()
    assert (look.outcome, registry.latest()) == ("held", "v2.0.0")
    assert any("log cannot be read" in problem for problem in look.problems)


def test_a_full_disk_does_not_keep_it_from_acting(
    registry: Registry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own files are not written, which is said; the rollback is made."""
    do, artifacts = fsops._do, registry.models_dir.parent

    def full(call: Any, *arguments: Any, **named: Any) -> Any:
        if call is os.open and "monitor" in str(arguments[0]):
            raise OSError(errno.ENOSPC, "No space left on device", str(arguments[0]))
        return do(call, *arguments, **named)

    monkeypatch.setattr(fsops, "_do", full)
    look = watcher(registry, FakeServer(), clock).look(by="now")
    assert (look.outcome, registry.latest()) == ("acted", "v1.0.0")
    assert sum("No space left" in problem for problem in look.problems) == 2
    assert not (artifacts / "monitor" / "state.json").exists()


def test_a_damaged_state_file_is_a_beginning(registry: Registry, clock: ManualClock) -> None:
    """It is said once, and the watch goes on."""
    folder = registry.models_dir.parent / "monitor"
    folder.mkdir()
    (folder / "state.json").write_bytes(b'{"schema": "mlwb.monitor/1", "version": 7')
    found = watcher(registry, FakeServer(), clock)
    assert "begins anew" in found.look().problems[0]
    assert found.look().problems == ()


def test_a_version_that_does_not_load_is_not_gone_back_to(
    registry: Registry, clock: ManualClock
) -> None:
    """`latest` stays, and the message says so."""

    def refuse(_: object) -> None:
        raise OSError("cannot be loaded")

    box = Box()
    found = replace(watcher(registry, FakeServer(), clock, deliver=box), load_check=refuse)
    look = found.look(by="now")
    assert (look.outcome, registry.latest()) == ("failed", "v2.0.0")
    assert box.notices[-1].event == "failed"


def test_a_receiver_that_hangs_comes_after_the_action(
    registry: Registry, clock: ManualClock
) -> None:
    """When the first message leaves, `latest` has moved already."""
    seen = []
    found = watcher(registry, FakeServer(), clock)

    def hang(_: object) -> str:
        seen.append(registry.latest())
        return "it hung"

    found.deliver = hang
    look = found.look(by="now")
    assert seen == ["v1.0.0"]
    assert look.problems == ("a message was not delivered: it hung",)


def test_the_log_of_looks_is_bounded(
    registry: Registry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long file is set aside in place of the one before it."""
    monkeypatch.setattr("mlwb.monitor._memory._LONGEST_LOG", 5000)
    found = watcher(registry, FakeServer(), clock)
    for _ in range(12):
        found.look()
    folder = registry.models_dir.parent / "monitor"
    names = {path.name for path in folder.iterdir()}
    assert names == {"looks.jsonl", "looks.jsonl.1", "state.json"}
    assert all((folder / name).stat().st_size < 12_000 for name in names)


def test_there_is_one_monitor_of_a_home(registry: Registry) -> None:
    """The second is refused in words."""
    folder = registry.models_dir.parent / "monitor"
    with alone(folder), pytest.raises(LockHeldError, match="another monitor"), alone(folder):
        pass
