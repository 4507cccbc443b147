"""A canary that is leased: it ends by itself when nobody renews it, and nobody else holds it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import point, write_version
from tests.serve.asgi_kit import Reply, call, request, running
from tests.serve.registry_kit import OTHER

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
TTL_S = 5.0


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@pytest.fixture
def settings(models: Path) -> ServeSettings:
    """Champion `v1.0.0`, candidate `v2.0.0`."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "candidate", "v2.0.0")
    return ServeSettings.from_env({}, models_dir=models, prediction_log=None)


@pytest.fixture
def clock() -> ManualClock:
    """Moves when told."""
    return ManualClock()


def _post(app: App, path: str, **body: Any) -> Reply:
    return call(app, path, json.dumps(body).encode())


def _order(app: App, mode: str = "live", percent: float = 100.0, **more: Any) -> Reply:
    lease = {"holder": "runner-a", "ttl_s": TTL_S} if mode != "off" else {}
    return _post(
        app, "/ml/canary", **{"mode": mode, "percent": percent, "reason": "r"} | lease | more
    )


def _renew(app: App, holder: str = "runner-a", **other: str) -> Reply:
    lock = _shown(app)["lock"] or dict.fromkeys(LOCK_FIELDS, "")
    return _post(app, "/ml/canary/lease", holder=holder, lock={**lock, **other})


LOCK_FIELDS = ("champion", "champion_sha256", "candidate", "candidate_sha256", "policy_sha256")


def _shown(app: App) -> dict[str, Any]:
    found: dict[str, Any] = call(app, "/ml/canary").json()
    return found


def _answers(app: App) -> str:
    said: str = call(app, "/ml/predict", BODY).json()["model_version"]
    return said


def _said(app: App) -> list[tuple[str, str]]:
    app.state.audit.start()
    app.state.audit.close()
    lines = app.state.audit.recent()
    return [(str(e["outcome"]), str(e["reason"])) for e in lines if e["what"] == "canary"]


def test_it_goes_on_as_long_as_it_is_renewed(settings: ServeSettings, clock: ManualClock) -> None:
    """Three times its length; each renewal begins it anew."""
    app = create_app(settings, clock=clock)
    assert _order(app).json()["lease"] == {"holder": "runner-a", "ttl_s": TTL_S, "left_s": TTL_S}
    for _ in range(4):
        clock.advance(0.8 * TTL_S)
        assert _answers(app) == "v2.0.0"
        assert _renew(app).json()["lease"]["left_s"] == TTL_S


@pytest.mark.parametrize("mode", ["live", "observe"])
def test_the_request_after_the_end_is_the_champions(
    settings: ServeSettings, clock: ManualClock, mode: str
) -> None:
    """No timer is waited for; audit log, answer and file say that it is over, and why."""
    app = create_app(settings, clock=clock)
    _order(app, mode)
    clock.advance(TTL_S - 0.001)
    assert _answers(app) == ("v2.0.0" if mode == "live" else "v1.0.0")
    before = app.state.metrics.success
    clock.advance(0.001)
    assert _answers(app) == "v1.0.0"
    assert app.state.metrics.success == before
    found = _shown(app)
    assert (found["mode"], found["percent"], found["active"]) == ("off", 0.0, False)
    assert (found["ended"], found["by"], found["lease"]) == ("lease_expired", "server", None)
    assert _said(app)[0] == (
        "ended", f"lease_expired; was {mode} 100 % of v2.0.0 over v1.0.0",
    )  # fmt: skip
    assert settings.canary_file is not None
    assert json.loads(settings.canary_file.read_bytes())["mode"] == "off"


@pytest.mark.slow
def test_it_ends_without_any_request(settings: ServeSettings) -> None:
    """A server that nobody asks looks at the clock itself, within a second."""
    app = create_app(settings)

    async def wait() -> None:
        async with running(app):
            body = {"mode": "live", "percent": 5, "reason": "r", "holder": "a", "ttl_s": 0.1}
            assert (await request(app, "/ml/canary", json.dumps(body).encode())).status == 200
            await asyncio.sleep(0.6)
            assert app.state.canary.plan.ended == "lease_expired"

    asyncio.run(wait())


def test_metrics_tell_what_is_left(settings: ServeSettings, clock: ManualClock) -> None:
    """Seconds while it is held; nothing of share and lease after it is over."""
    app = create_app(settings, clock=clock)
    _order(app, percent=25.0)
    clock.advance(2.0)
    assert "ml_canary_percent 25.0\nml_canary_lease_seconds 3.0\n" in _without_help(app)
    clock.advance(4.0)
    assert "ml_canary_percent 0.0\nml_canary_lease_seconds 0.0\n" in _without_help(app)
    assert 'ml_canary_ended_total{status="lease_expired"} 1\n' in _without_help(app)


def _without_help(app: App) -> str:
    lines = app.state.metrics_text().splitlines()
    return "".join(f"{line}\n" for line in lines if not line.startswith("#"))


def test_a_restart_ends_it(settings: ServeSettings, clock: ManualClock) -> None:
    """However much was left: the next server asks nobody's runner, it waits to be asked."""
    _order(create_app(settings, clock=clock))
    again = create_app(settings, clock=clock)
    assert _answers(again) == "v1.0.0"
    assert _shown(again)["ended"] == "lease_expired"
    assert _renew(again).json()["code"] == "lease_lost"


def test_who_goes_on_draws_the_same_requests(settings: ServeSettings, clock: ManualClock) -> None:
    """A lost lease changes nobody's side; a canary that was ended on purpose draws anew."""
    app = create_app(settings, clock=clock)
    _order(app)
    salt = app.state.canary.plan.salt
    clock.advance(TTL_S)
    _shown(app)
    _order(app)
    assert app.state.canary.plan.salt == salt
    again = create_app(settings, clock=clock)
    _order(again)
    assert again.state.canary.plan.salt == salt
    _order(again, "off", 0)
    _order(again)
    assert again.state.canary.plan.salt != salt


def test_two_runners_cannot_hold_it(settings: ServeSettings, clock: ManualClock) -> None:
    """Neither renewed nor changed by another, nor by hand; anybody may end it."""
    app = create_app(settings, clock=clock)
    _order(app, percent=50.0)
    for other in ({"holder": "runner-b"}, {"holder": ""}, {"holder": "", "ttl_s": None}):
        assert _order(app, percent=100.0, **other).json()["code"] == "canary_held"
    assert _renew(app, "runner-b").json()["code"] == "lease_lost"
    assert _shown(app)["percent"] == 50.0
    assert _order(app, percent=100.0).status == 200
    assert _order(app, "off", 0).status == 200
    assert _renew(app).json()["code"] == "lease_lost"
    assert _order(app, holder="runner-b").status == 200


def test_a_lease_that_is_over_is_anybodys(settings: ServeSettings, clock: ManualClock) -> None:
    """The next runner need not wait for somebody to clear it away."""
    app = create_app(settings, clock=clock)
    _order(app)
    clock.advance(TTL_S)
    assert _order(app, holder="runner-b").json()["lease"]["holder"] == "runner-b"


@pytest.mark.parametrize("field", ["candidate_sha256", "policy_sha256"])
def test_it_is_renewed_for_the_lock_that_is_meant(
    settings: ServeSettings, clock: ManualClock, field: str
) -> None:
    """A runner that thinks of other versions or another policy neither opens nor renews."""
    app = create_app(settings, clock=clock)
    held = _order(app).json()["lock"]
    assert _shown(app)["policy_sha256"] == held["policy_sha256"]
    lock = {**held, field: "another"}
    assert _renew(app, **{field: "another"}).json()["code"] == "lease_lost"
    told = _order(app, percent=70.0, expect_lock=lock).json()
    assert (told["code"], told["detail"]) == ("stale_state", f"this server has another {field}")
    assert _shown(app)["percent"] == 100.0


def test_other_workers_know_of_a_renewal(settings: ServeSettings, clock: ManualClock) -> None:
    """Through the file, asked for when their own end has come; nobody renews: all return."""
    app, other = create_app(settings, clock=clock), create_app(settings, clock=clock)
    _order(app)
    other.state.refresh()
    for _ in range(4):
        clock.advance(TTL_S - 1.0)
        _renew(app)
        assert (_answers(app), _answers(other)) == ("v2.0.0", "v2.0.0")
    clock.advance(TTL_S)
    assert _answers(other) == "v1.0.0"
    assert _answers(app) == "v1.0.0"


@pytest.mark.parametrize("content", [b"", b"junk", b'{"holder":"runner-a","until_s":1e300}\n'])
def test_a_file_that_lies_extends_nothing_for_long(
    settings: ServeSettings, clock: ManualClock, content: bytes
) -> None:
    """Unreadable: over. Far ahead, as from before a restart of the machine: one lease at most."""
    app = create_app(settings, clock=clock)
    _order(app)
    assert settings.canary_file is not None
    settings.canary_file.with_suffix(".lease").write_bytes(content)
    clock.advance(TTL_S)
    assert _answers(app) == ("v2.0.0" if b"1e300" in content else "v1.0.0")
    settings.canary_file.with_suffix(".lease").unlink()
    clock.advance(TTL_S)
    assert _answers(app) == "v1.0.0"


def test_by_hand_it_lasts_as_long_as_said(settings: ServeSettings, clock: ManualClock) -> None:
    """With `ttl_s` so long, whoever it was; without until told, over restarts too."""
    app = create_app(settings, clock=clock)
    _order(app, holder="", ttl_s=60.0)
    clock.advance(59.0)
    assert _answers(app) == "v2.0.0"
    clock.advance(1.0)
    assert _answers(app) == "v1.0.0"
    assert _order(app, holder="", ttl_s=None).json()["lease"] is None
    clock.advance(1e7)
    assert _answers(app) == _answers(create_app(settings, clock=clock)) == "v2.0.0"
    assert [reason.split(":")[0] for outcome, reason in _said(app) if outcome == "done"] == [
        "live 100 % until told", "live 100 % for 60 s unless renewed",
    ]  # fmt: skip


@pytest.mark.parametrize("more", [{"ttl_s": None}, {"ttl_s": 0}, {"ttl_s": -1}, {"holder": "a b"}])
def test_a_lease_that_is_none(app_order: App, more: dict[str, Any]) -> None:
    """A holder without an end, no time at all, a name that is none: nothing is opened."""
    assert _order(app_order, **more).json()["code"] == "invalid_input"
    assert not app_order.state.canary.is_open


@pytest.fixture
def app_order(settings: ServeSettings, clock: ManualClock) -> App:
    """A server nobody ordered anything of."""
    return create_app(settings, clock=clock)


def test_renewals_are_one_line_of_the_audit_log(
    settings: ServeSettings, clock: ManualClock
) -> None:
    """Two a second would bury the acts of people; refused ones have a line each."""
    app = create_app(settings, clock=clock)
    _order(app)
    for _ in range(9):
        _renew(app)
    _renew(app, "runner-b")
    app.state.audit.start()
    app.state.audit.close()
    lines = [e for e in app.state.audit.recent() if e.get("route") == "POST /ml/canary/lease"]
    assert [(e["outcome"], e["reason"], e.get("n")) for e in lines] == [
        ("done", "", 9), ("refused", "lease_lost", None),
    ]  # fmt: skip
