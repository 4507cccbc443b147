"""Mode, kill and audit by route: guarded, with a reason, written down, the same for all workers."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import point, write_version
from tests.serve.asgi_kit import Reply, call, request, running
from tests.serve.registry_kit import OTHER

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@pytest.fixture
def settings(models: Path) -> ServeSettings:
    """Files beside the models, as an entry point sets them; a candidate waits."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "candidate", "v2.0.0")
    return ServeSettings.from_env({}, models_dir=models, prediction_log=None, shadow_log=None)


def _post(app: App, path: str, **body: Any) -> Reply:
    return call(app, path, json.dumps(body).encode())


def _code(app: App) -> str:
    reply = call(app, "/ml/predict", BODY)
    return "" if reply.status == 200 else str(reply.json()["code"])


def _full(call: Any, *arguments: Any, **named: Any) -> Any:
    if call is Path.replace or call is Path.unlink:
        raise OSError(errno.EROFS, "Read-only file system")
    return call(*arguments, **named)


def test_a_kill_by_route_holds_for_the_next_request(settings: ServeSettings) -> None:
    """Here and in another worker, without a look; lifted the same way."""
    app, other = create_app(settings), create_app(settings)

    async def both() -> list[int]:
        seen = []
        for on in (True, False) * 3:
            body = json.dumps({"on": on, "reason": "a drill"}).encode()
            assert (await request(app, "/ml/kill", body)).status == 200
            seen += [(await request(server, "/ml/predict", BODY)).status for server in (app, other)]
        return seen

    assert asyncio.run(both()) == [503, 503, 200, 200] * 3


def test_answers_do_not_begin_unaudited(settings: ServeSettings) -> None:
    """Where no line can be written they are ended all the same, and begin once one can."""
    app = create_app(settings)
    log = settings.audit_log
    assert log is not None
    assert _post(app, "/ml/kill", on=True, reason="a drill").status == 200
    log.unlink(missing_ok=True)
    log.mkdir()
    for path, body in (("/ml/kill", {"on": False}), ("/ml/mode", {"mode": "inference"})):
        refused = _post(app, path, reason="all is well", **body)
        assert (refused.status, refused.json()["code"]) == (503, "storage")
    assert _post(app, "/ml/mode", mode="maintenance", reason="a drill").status == 200
    assert _code(app) == "killed"
    log.rmdir()
    assert _post(app, "/ml/kill", on=False, reason="all is well").status == 200
    assert _post(app, "/ml/mode", mode="inference", reason="all is well").status == 200
    assert _code(app) == ""


def test_the_switch_says_who_threw_it_and_why(settings: ServeSettings) -> None:
    """By any worker; what is on cannot be without a reason."""
    app, other = create_app(settings), create_app(settings)
    said = _post(app, "/ml/kill", on=True, reason="prices are wrong").json()
    found = call(other, "/ml/kill").json()
    assert found == said
    assert (found["killed"], found["sources"], found["everywhere"]) == (True, ["file"], True)
    assert (found["reason"], found["by"]) == ("prices are wrong", "anonymous")
    for body in ({"on": False}, {"on": False, "reason": " "}, {"on": 0, "reason": "r"}, {}):
        assert _post(app, "/ml/kill", **body).json()["code"] == "invalid_input"
    assert _code(other) == "killed"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/ml/kill", {"on": True}, "#/reason: reason is missing"),
        ("/ml/kill", {"on": "yes", "reason": "r"}, "#/on: Expected bool, got str"),
        ("/ml/rollback", {"reason": ""}, "#/reason: Expected str of length >= 1"),
        ("/ml/rollback", {"why": "r"}, "#: an unknown field; see /docs for the names"),
        ("/ml/mode", {"mode": "asleep", "reason": "r"}, "#/mode: not one of the words it may be"),
    ],
)
def test_a_wrong_order_is_told_what_is_wrong(
    settings: ServeSettings, path: str, body: dict[str, object], said: str
) -> None:
    """Whoever types it at night reads which field it is."""
    found = _post(create_app(settings), path, **body).json()
    assert found["code"] == "invalid_input"
    (wrong,) = found["errors"]
    assert f"{wrong['pointer']}: {wrong['detail']}".startswith(said)


def test_no_route_lifts_what_the_environment_says(models: Path) -> None:
    """409, and the file is left as it was."""
    settings = ServeSettings.from_env({"SERVE_KILL": "1"}, models_dir=models)
    app = create_app(settings)
    assert settings.kill_file is not None
    settings.kill_file.touch()
    reply = _post(app, "/ml/kill", on=False, reason="r")
    assert (reply.status, reply.json()["code"]) == (409, "kill_held")
    assert settings.kill_file.exists()
    assert call(app, "/ml/kill").json()["sources"] == ["environment", "file"]


def test_a_file_that_cannot_be_removed_keeps_killing(
    settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses: said so, and predictions stay refused."""
    app = create_app(settings)
    _post(app, "/ml/kill", on=True, reason="r")
    monkeypatch.setattr(fsops, "_do", _full)
    reply = _post(app, "/ml/kill", on=False, reason="r")
    assert (reply.status, reply.json()["code"], _code(app)) == (503, "storage", "killed")


@pytest.mark.parametrize("by_path", [True, False])
def test_a_mode_by_route(settings: ServeSettings, *, by_path: bool) -> None:
    """Both spellings; predictions are refused at once, with the reason on record."""
    app = create_app(settings)
    for mode, code in (
        ("training", "mode_training"),
        ("maintenance", "mode_maintenance"),
        ("inference", ""),
    ):
        path, body = ("/ml/mode", {"mode": mode})
        if by_path:
            path, body = f"/ml/mode/{mode}", {}
        said = _post(app, path, reason="a retrain", **body)
        assert (said.status, said.json()["mode"], _code(app)) == (200, mode, code)
        assert call(app, "/ml/mode").json() == said.json()
        assert said.json()["reason"] == "a retrain"


def test_a_mode_needs_a_reason_and_a_name(settings: ServeSettings) -> None:
    """422, and the mode is as before; another path is none."""
    app = create_app(settings)
    for path, body in (
        ("/ml/mode", {"mode": "training"}),
        ("/ml/mode", {"mode": "asleep", "reason": "r"}),
        ("/ml/mode/training", {}),
        ("/ml/mode/training", {"reason": ""}),
        ("/ml/mode/training", {"reason": "r", "mode": "inference"}),
    ):
        assert _post(app, path, **body).json()["code"] == "invalid_input"
    assert _post(app, "/ml/mode/asleep", reason="r").status == 404
    assert call(app, "/ml/mode").json()["mode"] == "inference"


def test_an_open_canary_holds_the_mode(settings: ServeSettings) -> None:
    """First end the canary: what it measured must not be cut in two."""
    app = create_app(settings)
    assert _post(app, "/ml/canary", mode="observe", percent=5, reason="r").status == 200
    reply = _post(app, "/ml/mode/training", reason="r")
    assert (reply.status, reply.json()["code"], _code(app)) == (409, "canary_open", "")
    _post(app, "/ml/canary", mode="off", reason="r")
    assert _post(app, "/ml/mode/training", reason="r").status == 200


def test_a_mode_the_disk_refuses(settings: ServeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and the mode is as before."""
    app = create_app(settings)
    monkeypatch.setattr(fsops, "_do", _full)
    reply = _post(app, "/ml/mode/training", reason="r")
    assert (reply.status, reply.json()["code"], _code(app)) == (503, "storage", "")


def _audit(app: App, query: bytes = b"", *, before: Any = None) -> Reply:
    async def asked() -> Reply:
        async with running(app):
            for path, body in before or ():
                await request(app, path, json.dumps(body).encode())
            await asyncio.to_thread(app.state.audit.settle)
            return await request(app, "/ml/audit", query=query)

    return asyncio.run(asked())


def test_every_act_is_on_record(settings: ServeSettings) -> None:
    """Who, what, why, how it ended, under the id the caller got; newest first, chained."""
    app = create_app(settings)
    acts = [
        ("/ml/kill", {"on": True, "reason": "a drill"}),
        ("/ml/kill", {"on": False, "reason": "over"}),
        ("/ml/mode/training", {"reason": "a retrain"}),
        ("/ml/rollback", {"reason": "r"}),
    ]
    found = _audit(app, b"verify=1", before=acts).json()
    own = [
        (line["what"], line["outcome"], line["who"], line["reason"])
        for line in found["lines"]
        if line["what"] != "call"
    ]
    assert own == [
        ("rollback", "refused", "anonymous", "r [promotion_refused]"),
        ("mode", "done", "anonymous", "training: a retrain"),
        ("kill", "done", "anonymous", "off: over"),
        ("kill", "done", "anonymous", "on: a drill"),
    ]
    assert (found["status"], found["problems"], found["lost"]) == ("intact", [], 0)
    calls = {line["request_id"] for line in found["lines"] if line["what"] == "call"}
    assert {line["request_id"] for line in found["lines"]} == calls


def test_an_audit_log_that_was_edited(settings: ServeSettings) -> None:
    """A changed line shows among the newest at once, an older one when everything is read."""
    file = settings.audit_log
    assert file is not None
    acts = [("/ml/mode/training", {"reason": f"reason {number}"}) for number in range(4)]
    assert _audit(create_app(settings), before=acts).json()["status"] == "intact"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"reason 0", b"reason 9"))
    found = _audit(create_app(settings), b"limit=2").json()
    assert (found["status"], found["problems"], len(found["lines"])) == ("intact", None, 2)
    found = _audit(create_app(settings), b"limit=2&verify=1").json()
    assert found["status"] == "broken"
    assert "edited" in found["problems"][0]
    file.write_bytes(whole.replace(b"reason 3", b"reason 9"))
    assert _audit(create_app(settings)).json()["status"] == "broken"


@pytest.mark.parametrize("query", [b"limit=0", b"limit=1001", b"limit=x", b"limit=-1", b"limit="])
def test_how_many_lines(settings: ServeSettings, query: bytes) -> None:
    """A number within bounds, or 422."""
    assert _audit(create_app(settings), query).json()["code"] == "invalid_input"


def test_without_a_file_the_newest_stand_in_memory(models: Path) -> None:
    """And the answer says that nothing proves them."""
    app = create_app(ServeSettings(models))
    found = _audit(app, before=[("/ml/mode/training", {"reason": "r"})]).json()
    assert found["status"] == "memory"
    assert [line["what"] for line in found["lines"]] == ["call", "mode"]


def test_who_may_do_what(app: App) -> None:
    """Everything that changes or shows who rules is an administrator's."""
    open_to = {(e.method, e.path): e.permission.value for e in app.endpoints}
    admin = {
        ("GET", "/ml/audit"), ("GET", "/ml/canary"), ("GET", "/ml/kill"), ("GET", "/ml/mode"),
        ("POST", "/ml/canary"), ("POST", "/ml/kill"), ("POST", "/ml/mode"),
        ("POST", "/ml/mode/inference"), ("POST", "/ml/mode/maintenance"),
        ("POST", "/ml/mode/training"), ("POST", "/ml/models/{version}/load"),
        ("POST", "/ml/models/{version}/promote"), ("POST", "/ml/rollback"),
    }  # fmt: skip
    assert {open_to[route] for route in admin} == {"admin"}
