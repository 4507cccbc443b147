"""The canary's side of the server: shares, stickiness, the lock, back to 0 within a request."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core import fsops
from mlwb.core.predictionlog import read_predictions
from mlwb.inference import Predictor
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._canary_plan import CanaryPlan
from mlwb.serve._split import Split
from tests.inference.version_kit import (
    WEIGHTS,
    logistic,
    logistic_onnx,
    point,
    sidecar_for,
    write_version,
)
from tests.serve.asgi_kit import JSON, Reply, call, request, running
from tests.serve.registry_kit import OTHER, begin, publish

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
PARAMS = Path(__file__).resolve().parents[2] / "params"
SCORES = {
    "v1.0.0": float(logistic(np.array(ROW), WEIGHTS)),
    "v2.0.0": float(logistic(np.array(ROW), OTHER)),
}


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@pytest.fixture
def settings(models: Path, tmp_path: Path) -> ServeSettings:
    """Champion `v1.0.0`, candidate `v2.0.0`, a policy of their own."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "candidate", "v2.0.0")
    policy = tmp_path / "policy.yml"
    shutil.copy(PARAMS / "policy.yml", policy)
    return ServeSettings.from_env({}, models_dir=models, policy=policy, prediction_log=None)


@pytest.fixture
def app(settings: ServeSettings) -> App:
    """A server over it."""
    return create_app(settings)


def _order(app: App, mode: str = "live", percent: float = 50.0, **more: Any) -> Reply:
    body = {"mode": mode, "percent": percent, "reason": "a test", **more}
    return call(app, "/ml/canary", json.dumps(body).encode())


def _shown(app: App) -> dict[str, Any]:
    found: dict[str, Any] = call(app, "/ml/canary").json()
    return found


def _ask(app: App, keys: Sequence[str], path: str = "/ml/predict") -> list[str]:
    """Which version answered each key; every score is the one of the version named."""

    async def ask() -> list[str]:
        versions = []
        for key in keys:
            reply = await request(app, path, BODY, headers=[JSON, (b"x-canary-key", key.encode())])
            assert reply.status == 200
            said = reply.json()
            assert said["score"] == pytest.approx(SCORES[said["model_version"]], abs=1e-12)
            versions.append(said["model_version"])
        await asyncio.sleep(0)
        app.state.settle()
        return versions

    return asyncio.run(ask())


def _said(app: App) -> list[tuple[str, str]]:
    app.state.audit.start()
    app.state.audit.close()
    lines: Sequence[Mapping[str, Any]] = app.state.audit.recent()
    return [(line["outcome"], line["reason"]) for line in lines if line["what"] == "canary"]


KEYS = [f"BTCUSDT-{number}" for number in range(600)]


@pytest.mark.parametrize("percent", [5.0, 50.0, 100.0])
def test_the_share_is_the_one_ordered(app: App, percent: float) -> None:
    """Of many keys; the answer names who gave it, and the counts are kept apart."""
    assert _order(app, percent=percent).status == 200
    found = Counter(_ask(app, KEYS))
    share = percent / 100
    spread = 4 * (share * (1 - share) / len(KEYS)) ** 0.5
    assert abs(found["v2.0.0"] / len(KEYS) - share) <= spread
    answers = _shown(app)["answers"]
    assert answers == {"candidate": found["v2.0.0"], "champion": found["v1.0.0"], "fallback": 0}
    assert sum(app.state.metrics.latency_ms.counts) == found["v1.0.0"]


def test_a_key_stays_where_it_is_and_a_larger_share_keeps_it(app: App) -> None:
    """Sticky by key, over requests, restarts of the split and growing percent."""
    before: set[str] = set()
    for percent in (5.0, 10.0, 25.0, 50.0, 100.0):
        _order(app, percent=percent)
        first, again = _ask(app, KEYS), _ask(app, KEYS)
        assert first == again
        taken = {key for key, version in zip(KEYS, first, strict=True) if version == "v2.0.0"}
        assert before <= taken
        before = taken
    assert before == set(KEYS)


def test_another_canary_draws_other_keys(app: App) -> None:
    """Not the same clients bear every experiment."""
    drawn = []
    for _ in range(2):
        _order(app)
        drawn.append(_ask(app, KEYS))
        _order(app, "off", 0)
    assert drawn[0] != drawn[1]


@given(key=st.binary(max_size=80), share=st.integers(0, 10_000), more=st.integers(0, 10_000))
def test_a_split_is_nested(key: bytes, share: int, more: int) -> None:
    """What a share takes, every larger one takes; 0 takes nothing and 10,000 everything."""
    small, large = sorted((share, more))
    live: Any = None
    takes = [Split(n, b"salt", is_live=True, candidate=live).takes(key) for n in (small, large)]
    assert takes[0] <= takes[1]
    assert not Split(0, b"salt", is_live=True, candidate=live).takes(key)
    assert Split(10_000, b"salt", is_live=True, candidate=live).takes(key)


def test_without_a_key_the_request_id_draws(app: App) -> None:
    """A retry under the same id goes the same way; most of the default is the champion's."""
    _order(app)
    seen: dict[str, set[str]] = {}
    for _ in range(2):
        for number in range(60):
            body = json.dumps({"features": ROW, "request_id": f"r-{number}"}).encode()
            said = call(app, "/ml/predict", body).json()
            seen.setdefault(said["request_id"], set()).add(said["model_version"])
    assert all(len(versions) == 1 for versions in seen.values())
    assert {next(iter(versions)) for versions in seen.values()} == {"v1.0.0", "v2.0.0"}


def test_observing_changes_no_answer(app: App) -> None:
    """The candidate scores its share after the champion's answer has left, and only that."""
    assert _order(app, "observe", 25.0).status == 200
    assert set(_ask(app, KEYS)) == {"v1.0.0"}
    assert abs(app.state.metrics.success / len(KEYS) - 0.25) < 0.08
    assert _shown(app)["answers"] == {}


@pytest.mark.parametrize("mode", ["observe", "live"])
def test_the_shadow_route_is_the_champions(app: App, mode: str) -> None:
    """A live split would compare the candidate with itself there."""
    _order(app, mode, 100.0)
    assert set(_ask(app, KEYS[:50], "/ml/predict-with-shadow")) == {"v1.0.0"}
    assert app.state.metrics.success == 50


def test_answers_of_the_candidate_are_logged_as_its_own(
    settings: ServeSettings, tmp_path: Path
) -> None:
    """Every line names the version whose score it holds."""
    log = tmp_path / "predictions.jsonl"
    app = create_app(replace(settings, prediction_log=log))

    async def ask() -> None:
        async with running(app):
            body = json.dumps({"mode": "live", "percent": 50, "reason": "r"}).encode()
            assert (await request(app, "/ml/canary", body)).status == 200
            for _ in range(40):
                await request(app, "/ml/predict", BODY)

    asyncio.run(ask())
    lines = list(read_predictions(log))
    assert {line.model_version for line in lines} == set(SCORES)
    assert all(line.score == pytest.approx(SCORES[line.model_version]) for line in lines)


@pytest.mark.parametrize("what", ["raises", "no probability"])
def test_a_candidate_that_fails_ends_it_within_the_request(
    app: App, settings: ServeSettings, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The champion answers this very request, and every one from then on; said and kept."""
    _order(app, percent=100.0)
    assert set(_ask(app, KEYS[:5])) == {"v2.0.0"}
    original = Predictor._row_score

    def broken(self: Predictor, values: Any) -> float:
        if self.version != "v2.0.0":
            return original(self, values)
        if what == "raises":
            raise MemoryError
        return float("nan")

    monkeypatch.setattr(Predictor, "_row_score", broken)
    assert set(_ask(app, KEYS[:5])) == {"v1.0.0"}
    found = _shown(app)
    assert (found["mode"], found["percent"], found["active"]) == ("off", 0.0, False)
    assert found["ended"] == "the candidate failed"
    assert found["answers"]["fallback"] == 1
    assert app.state.metrics.canary_ended == {"lease_expired": 0, "other": 1}
    assert _said(app)[0] == (
        "ended", "the candidate failed; was live 100 % of v2.0.0 over v1.0.0",
    )  # fmt: skip
    assert _shown(create_app(settings))["mode"] == "off"


def test_a_row_beyond_the_candidate_is_the_champions(models: Path) -> None:
    """The candidate would refuse it; nobody is refused because of a canary, and it goes on."""
    narrow = sidecar_for("v2.0.0")
    fields = (*narrow.features[:1], replace(narrow.features[1], high=0.0), *narrow.features[2:])
    sidecar = replace(narrow, features=fields)
    write_version(models, "v2.0.0", weights=OTHER, sidecar=sidecar)
    point(models, "candidate", "v2.0.0")
    app = create_app(ServeSettings(models))
    assert _order(app, percent=100.0).status == 200
    assert set(_ask(app, KEYS[:10])) == {"v1.0.0"}
    assert _shown(app)["answers"]["fallback"] == 10
    assert _shown(app)["mode"] == "live"


@pytest.mark.parametrize("what", ["champion", "candidate", "candidate gone", "policy"])
def test_the_lock_breaks(app: App, settings: ServeSettings, what: str) -> None:
    """Another of the three, and the share is 0 from the moment it is taken up."""
    assert _order(app, percent=100.0).status == 200
    models = settings.models_dir
    write_version(models, "v3.0.0", weights=OTHER)
    if what == "champion":
        point(models, "latest", "v3.0.0")
    elif what == "candidate":
        point(models, "candidate", "v3.0.0")
    elif what == "candidate gone":
        (models / "candidate").unlink()
    else:
        assert settings.policy is not None
        text = settings.policy.read_text(encoding="utf-8")
        changed = text.replace('value: "0.62", min_n', 'value: "0.61", min_n', 1)
        assert changed != text
        settings.policy.write_text(changed, encoding="utf-8")
    app.state.refresh()
    found = _shown(app)
    assert (found["mode"], found["active"]) == ("off", False)
    assert "another" in found["ended"]
    said = call(app, "/ml/predict", BODY).json()["model_version"]
    assert said == ("v3.0.0" if what == "champion" else "v1.0.0")
    assert _said(app)[0][0] == "ended"


def test_the_same_bytes_loaded_anew_break_nothing(app: App, settings: ServeSettings) -> None:
    """A touched file is read again; the digests are what the lock is about."""
    _order(app, percent=100.0)
    (settings.models_dir / "v2.0.0" / "manifest.json").touch()
    before = app.state.candidate.live
    app.state.refresh()
    assert app.state.candidate.live is not before
    assert set(_ask(app, KEYS[:5])) == {"v2.0.0"}


def test_a_restart_goes_on_with_exactly_this_canary(app: App, settings: ServeSettings) -> None:
    """The same keys, and a line that says so."""
    _order(app)
    again = create_app(settings)
    assert _ask(again, KEYS) == _ask(app, KEYS)
    assert _said(again)[0] == ("resumed", "live 50 % of v2.0.0 over v1.0.0")


@pytest.mark.parametrize("what", ["candidate", "file"])
def test_a_restart_with_anything_else_ends_it(app: App, settings: ServeSettings, what: str) -> None:
    """Another candidate, or a file nobody can read: never silently, never another canary."""
    _order(app, percent=100.0)
    file = settings.canary_file
    assert file is not None
    if what == "file":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        write_version(settings.models_dir, "v3.0.0", weights=OTHER)
        point(settings.models_dir, "candidate", "v3.0.0")
    again = create_app(settings)
    assert set(_ask(again, KEYS[:5])) == {"v1.0.0"}
    assert _said(again)[0][0] == "ended"
    assert json.loads(file.read_bytes())["mode"] == "off"


def test_other_workers_follow_the_file(app: App, settings: ServeSettings) -> None:
    """Opened, grown and ended by one, held by all after a look."""
    other = create_app(settings)
    for mode, percent in (("live", 50.0), ("live", 100.0), ("off", 0.0)):
        _order(app, mode, percent)
        other.state.refresh()
        assert _ask(other, KEYS[:200]) == _ask(app, KEYS[:200])


def test_a_worker_that_has_not_seen_the_candidate_yet_waits_one_look(
    app: App, settings: ServeSettings
) -> None:
    """It ends a canary for all only when its own look does not mend it."""
    other = create_app(settings)
    write_version(settings.models_dir, "v3.0.0", weights=OTHER)
    point(settings.models_dir, "candidate", "v3.0.0")
    app.state.refresh()
    assert _order(app, percent=100.0).json()["lock"]["candidate"] == "v3.0.0"
    canary = other.state.canary
    canary.take(canary.look())
    assert (canary.split, canary.plan.mode) == (None, "off")
    other.state.refresh()
    assert canary.split is not None
    assert json.loads((settings.canary_file or Path()).read_bytes())["mode"] == "live"


def test_of_two_orders_in_one_moment_one_holds_for_all(
    app: App, settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker writes just behind this one: both go on with what stands in the file."""
    other = create_app(settings)
    _order(app, percent=100.0)
    other.state.refresh()
    first, second = app.state.canary, other.state.canary
    first.obey(first.plan)
    second.obey(CanaryPlan(reason="off"))
    write = fsops.write_atomic

    def overtaken(*arguments: Any) -> None:
        write(*arguments)
        monkeypatch.setattr(fsops, "write_atomic", write)
        second.save()

    monkeypatch.setattr(fsops, "write_atomic", overtaken)
    first.save()
    for each in (app, other):
        each.state.refresh()
        assert (each.state.canary.plan.mode, each.state.canary.split) == ("off", None)


@pytest.mark.parametrize("saved", ["before the file is taken up", "after"])
def test_an_order_given_while_the_file_is_read_holds(
    app: App, settings: ServeSettings, saved: str
) -> None:
    """Another worker opened, this one was told to end: what was read before is no order."""
    other = create_app(settings)
    _order(other, percent=100.0)
    canary = app.state.canary
    found = canary.look()
    canary.obey(CanaryPlan(reason="off"))
    if saved != "after":
        canary.save()
    canary.take(found)
    canary.save()
    canary.take(canary.look())
    assert (canary.plan.mode, canary.split) == ("off", None)
    other.state.refresh()
    assert not other.state.canary.is_open


def test_an_order_on_its_way_to_the_file_holds(app: App, settings: ServeSettings) -> None:
    """What still stands in the file while it is written is nobody else's order."""
    other = create_app(settings)
    _order(other, percent=100.0)
    canary = app.state.canary
    canary.obey(CanaryPlan(reason="off"))
    found = canary.look()
    canary.save()
    canary.take(found)
    canary.take(canary.look())
    assert (canary.plan.reason, canary.split) == ("off", None)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"mode": "live", "percent": 0}, (422, "invalid_input")),
        ({"mode": "off", "percent": 5}, (422, "invalid_input")),
        ({"mode": "live", "percent": 101}, (422, "invalid_input")),
        ({"mode": "live", "percent": -1}, (422, "invalid_input")),
        ({"mode": "live", "percent": 5, "reason": " "}, (422, "invalid_input")),
        ({"mode": "alive", "percent": 5}, (422, "invalid_input")),
        ({"mode": "live", "percent": 5, "expect_candidate": "v9"}, (409, "stale_state")),
    ],
)
def test_an_order_that_is_none(app: App, body: dict[str, Any], outcome: tuple[int, str]) -> None:
    """Shares beyond 0 and 100, an empty reason, another candidate than the one meant."""
    reply = call(app, "/ml/canary", json.dumps({"reason": "r", **body}).encode())
    assert (reply.status, reply.json()["code"]) == outcome
    assert not app.state.canary.is_open


@pytest.mark.parametrize("what", ["no candidate", "same", "features", "killed", "slow", "policy"])
def test_what_no_canary_is_opened_on(
    app: App, settings: ServeSettings, models: Path, what: str
) -> None:
    """409 with the reason; nothing was opened, nothing is in the file."""
    if what == "no candidate":
        (models / "candidate").unlink()
    elif what == "same":
        point(models, "candidate", "v1.0.0")
    elif what == "features":
        onnx, sidecar = logistic_onnx((0.1, 0.2)), sidecar_for("v3.0.0", ("a", "b"))
        write_version(models, "v3.0.0", weights=(0.1, 0.2), onnx=onnx, sidecar=sidecar)
        point(models, "candidate", "v3.0.0")
    elif what == "killed":
        app.state.switches.kill(reason="r", by="b")
    elif what == "slow":
        live = app.state.candidate.live
        assert live is not None
        app.state.candidate.live = replace(live, cost_ms=1e6)
    elif settings.policy is not None:
        settings.policy.write_text("no: policy", encoding="utf-8")
    app.state.refresh()
    reply = _order(app)
    assert (reply.status, reply.json()["code"]) == (409, "canary_refused")
    assert not app.state.canary.is_open
    assert settings.canary_file is not None
    assert not settings.canary_file.exists()


def test_only_what_is_registered_becomes_a_canary(tmp_path: Path) -> None:
    """In a registry with a log the candidate is verified byte by byte before it answers."""
    registry = begin(tmp_path / "artifacts" / "models")
    publish(registry, "v2.0.0", OTHER)
    app = create_app(ServeSettings(registry.models_dir))
    assert _order(app, percent=1.0).status == 200
    _order(app, "off", 0)
    (registry.models_dir / "v2.0.0" / "CHANGES.md").chmod(0o644)
    (registry.models_dir / "v2.0.0" / "CHANGES.md").write_text("other")
    assert _order(app).json()["code"] == "canary_refused"


def test_a_promotion_waits_for_the_canary_to_end_and_a_rollback_does_not(tmp_path: Path) -> None:
    """Going back is never held up; it breaks the lock, and so ends the canary."""
    registry = begin(tmp_path / "artifacts" / "models")
    publish(registry, "v2.0.0", OTHER)
    app = create_app(ServeSettings(registry.models_dir))
    _order(app, percent=100.0)
    body = json.dumps({"reason": "r", "expect_current": "v1.0.0"}).encode()
    reply = call(app, "/ml/models/v2.0.0/promote", body)
    assert (reply.status, reply.json()["code"]) == (409, "canary_open")
    point(registry.models_dir, "latest", "v2.0.0")
    assert call(app, "/ml/rollback", b'{"reason":"r","target":"v1.0.0"}').status == 200
    assert call(app, "/ml/predict", BODY).status == 200


def _refusing(call: Any, *arguments: Any, **named: Any) -> Any:
    if call is Path.replace:
        raise OSError(errno.ENOSPC, "No space left on device")
    return call(*arguments, **named)


def test_an_order_the_disk_refuses(
    app: App, settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening: not opened. Ending: off here, and the file is taken away so that all see it."""
    monkeypatch.setattr(fsops, "_do", _refusing)
    assert _order(app).json()["code"] == "storage"
    assert not app.state.canary.is_open
    monkeypatch.undo()
    other = create_app(settings)
    _order(app, percent=100.0)
    other.state.refresh()
    assert other.state.canary.is_open
    monkeypatch.setattr(fsops, "_do", _refusing)
    assert _order(app, "off", 0).status == 503
    other.state.refresh()
    assert set(_ask(app, KEYS[:5]) + _ask(other, KEYS[:5])) == {"v1.0.0"}


def test_no_answer_is_wrong_while_a_canary_opens_grows_and_ends(app: App) -> None:
    """2,000 requests beside 60 orders: each answered, each score of the version it names."""
    done = asyncio.Event()

    async def ask(worker: int) -> None:
        number = 0
        while not done.is_set() or number < 250:
            key = f"{worker}-{number}".encode()
            reply = await request(app, "/ml/predict", BODY, headers=[JSON, (b"x-canary-key", key)])
            said = reply.json()
            assert reply.status == 200
            assert abs(said["score"] - SCORES[said["model_version"]]) < 1e-12
            number += 1
            await asyncio.sleep(0)

    async def orders() -> None:
        for turn in range(60):
            mode, percent = (("live", 30), ("observe", 50), ("live", 100), ("off", 0))[turn % 4]
            body = json.dumps({"mode": mode, "percent": percent, "reason": "r"}).encode()
            assert (await request(app, "/ml/canary", body)).status == 200
        done.set()

    async def storm() -> None:
        async with running(app), asyncio.TaskGroup() as group:
            group.create_task(orders())
            for worker in range(8):
                group.create_task(ask(worker))

    asyncio.run(storm())
    assert app.state.metrics.canary_answers["candidate"] > 0
