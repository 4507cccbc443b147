"""Kill switch and mode: thrown for the very next request, the same for every worker."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.clock import ManualClock
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._switches import Mode, Switches
from tests.serve.asgi_kit import call

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()


@pytest.fixture
def settings(models: Path) -> ServeSettings:
    """Kill and mode file beside the models, as an entry point sets them."""
    return ServeSettings.from_env({}, models_dir=models, prediction_log=None, shadow_log=None)


def _code(app: App) -> str:
    reply = call(app, "/ml/predict", BODY)
    return "" if reply.status == 200 else str(reply.json()["code"])


def test_a_kill_file_counts_for_the_next_request(settings: ServeSettings) -> None:
    """Made by hand, by anybody, with anything in it; no look in between. So does its removal."""
    app = create_app(settings)
    file = settings.kill_file
    assert file is not None
    for _ in range(3):
        assert _code(app) == ""
        file.touch()
        reply = call(app, "/ml/predict", BODY)
        assert (reply.status, reply.json()["code"]) == (503, "killed")
        assert reply.headers["retry-after"] == "1"
        assert call(app, "/ml/health/ready").json()["reasons"] == ["killed"]
        file.unlink()


@pytest.mark.parametrize("route", ["/ml/predict", "/ml/predict-with-shadow"])
def test_who_is_switched_off_has_not_failed(settings: ServeSettings, route: str) -> None:
    """Refusals of a switch are no version's errors: nobody rolls back for having thrown it."""
    app = create_app(settings)
    app.state.switches.kill(reason="prices are wrong", by="ada")
    assert call(app, route, BODY).status == 503
    app.state.switches.lift()
    app.state.switches.set_mode("training", reason="night", by="ada")
    assert call(app, route, BODY).status == 503
    assert app.state.metrics.requests == {("none", "server_error"): 2}


def test_a_kill_stops_every_worker_and_outlives_them(
    settings: ServeSettings, clock: ManualClock
) -> None:
    """The file is the switch: another worker, and the next start, see who threw it and why."""
    app, other = create_app(settings), create_app(settings)
    found = Switches(settings, clock).kill(reason="prices are wrong", by="ada")
    assert (_code(app), _code(other), _code(create_app(settings))) == ("killed",) * 3
    assert (found.sources, found.everywhere) == (["file"], True)
    again = other.state.switches.state()
    assert (again.reason, again.by, again.since) == (
        "prices are wrong", "ada", "2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert other.state.switches.lift().killed is False
    assert (_code(app), _code(other)) == ("", "")


def test_the_environment_cannot_be_overruled(models: Path, clock: ManualClock) -> None:
    """SERVE_KILL=1 holds, whatever is lifted."""
    settings = ServeSettings.from_env({"SERVE_KILL": "1"}, models_dir=models)
    switches = Switches(settings, clock)
    switches.kill(reason="r", by="b")
    assert switches.lift().sources == ["environment"]
    assert switches.is_killed


def _full(call: Any, *arguments: Any, **named: Any) -> Any:
    if call is os.open or call is os.write:
        raise OSError(errno.ENOSPC, "No space left on device")
    return call(*arguments, **named)


def test_a_full_disk_does_not_keep_a_worker_from_stopping(
    settings: ServeSettings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses all the same, and says that the others may not."""
    switches = Switches(settings, clock)
    monkeypatch.setattr(fsops, "_do", _full)
    found = switches.kill(reason="r", by="b")
    assert switches.is_killed
    assert (found.sources, found.everywhere) == (["worker"], False)
    switches.look()
    assert switches.is_killed
    monkeypatch.undo()
    assert switches.lift().killed is False


def test_a_hanging_disk_does_not_keep_a_worker_from_stopping(
    settings: ServeSettings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predictions are refused before the file is made, and go on to be when it is."""
    switches, seen = Switches(settings, clock), []

    def slow(call: Any, *arguments: Any, **named: Any) -> Any:
        seen.append(switches.is_killed)
        return call(*arguments, **named)

    monkeypatch.setattr(fsops, "_do", slow)
    assert switches.kill(reason="r", by="b").sources == ["file"]
    assert seen
    assert all(seen)
    assert switches.is_killed


def test_a_switch_that_cannot_be_looked_at_counts_as_thrown(
    models: Path, clock: ManualClock
) -> None:
    """A name the file system refuses: nobody can say that it is off."""
    settings = ServeSettings(models, kill_file=models / ("x" * 300))
    switches = Switches(settings, clock)
    assert (switches.is_killed, switches.state().sources) == (True, ["unreadable"])


@pytest.mark.parametrize("mode", ["training", "maintenance"])
def test_a_mode_refuses_predictions_everywhere(settings: ServeSettings, mode: Any) -> None:
    """503 with its own code and Retry-After; other workers after a look, and after a restart."""
    app, other = create_app(settings), create_app(settings)
    app.state.switches.set_mode(mode, reason="retrain", by="ada")
    other.state.refresh()
    for server in (app, other, create_app(settings)):
        reply = call(server, "/ml/predict", BODY)
        assert (reply.status, reply.json()["code"]) == (503, f"mode_{mode}")
        assert reply.headers["retry-after"] == "1"
        assert call(server, "/ml/health/ready").json()["reasons"] == [f"mode_{mode}"]
        assert (server.state.switches.mode.by, server.state.switches.mode.reason) == (
            "ada", "retrain",
        )  # fmt: skip
    number = ("inference", "training", "maintenance").index(mode)
    assert f"\nml_mode {number}\n" in call(app, "/ml/metrics").body.decode()
    app.state.switches.set_mode("inference", reason="done", by="ada")
    other.state.refresh()
    assert (_code(app), _code(other)) == ("", "")


@pytest.mark.parametrize(
    "text", ["", "{", '{"mode":"asleep"}', '{"mode":"inference","more":1}', "[]", "\xff"]
)
def test_a_mode_file_nobody_can_read_is_maintenance(settings: ServeSettings, text: str) -> None:
    """Closed rather than open, with the reason; over as soon as the file is right or gone."""
    file = settings.mode_file
    assert file is not None
    app = create_app(settings)
    file.write_bytes(text.encode("latin-1"))
    app.state.refresh()
    assert _code(app) == "mode_maintenance"
    assert call(app, "/ml/health").json()["reasons"] == ["mode_maintenance", "mode:unreadable"]
    file.unlink()
    app.state.refresh()
    assert (_code(app), call(app, "/ml/health").json()["reasons"]) == ("", [])


def test_a_mode_file_that_was_read_badly_once_is_read_again(
    settings: ServeSettings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a machine is short of for a moment does not keep a server in maintenance."""
    switches = Switches(settings, clock)
    Switches(settings, clock).set_mode("training", reason="r", by="b")
    with monkeypatch.context() as short:
        short.setattr(Path, "read_bytes", _too_many_files)
        switches.look()
    assert (switches.mode.mode, switches.is_mode_unreadable) == ("maintenance", True)
    switches.look()
    assert (switches.mode.mode, switches.is_mode_unreadable) == ("training", False)


def _too_many_files(path: Path) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files", str(path))


def test_a_mode_that_cannot_be_kept_is_not_taken_up(
    settings: ServeSettings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers must agree: a mode only this one knows would be forgotten by a restart."""
    switches = Switches(settings, clock)
    monkeypatch.setattr(fsops, "_do", _full)
    with pytest.raises(OSError, match="No space left"):
        switches.set_mode("training", reason="r", by="b")
    assert switches.mode.mode == "inference"


def test_of_two_modes_in_one_moment_one_holds_for_all(
    settings: ServeSettings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker writes just behind this one."""
    first, second = Switches(settings, clock), Switches(settings, clock)
    write = fsops.write_atomic

    def overtaken(path: Path, data: bytes) -> None:
        write(path, data)
        monkeypatch.setattr(fsops, "write_atomic", write)
        second.set_mode("maintenance", reason="r", by="b")

    monkeypatch.setattr(fsops, "write_atomic", overtaken)
    first.set_mode("inference", reason="r", by="b")
    for each in (first, second):
        each.look()
        assert each.mode.mode == "maintenance"


def test_a_look_under_way_puts_nothing_back(
    settings: ServeSettings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mode set while another thread looks at the file of before holds."""
    switches = Switches(settings, clock)
    looking, original = threading.Event(), Switches._read_mode

    def slow(self: Switches) -> Mode:
        found = original(self)
        looking.set()
        time.sleep(0.05)
        return found

    monkeypatch.setattr(Switches, "_read_mode", slow)
    look = threading.Thread(target=switches.look)
    look.start()
    assert looking.wait(5)
    switches.set_mode("training", reason="r", by="b")
    look.join()
    assert switches.mode.mode == "training"
