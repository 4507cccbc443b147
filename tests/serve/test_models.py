"""Hot reload: a version is taken up without a dropped request, a bad one not at all."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core import fsops
from mlwb.core.signing import MANIFEST_TYPE, Signer, write_key_pair
from mlwb.inference import Predictor
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import (
    WEIGHTS,
    logistic,
    logistic_onnx,
    point,
    rewrite,
    sidecar_for,
    write_version,
)
from tests.serve.asgi_kit import call, request, running

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
OTHER = (0.9, -1.0, 0.2, 0.1)


def _served(app: App) -> str:
    version: str = call(app, "/ml/predict", BODY).json()["model_version"]
    return version


def _reasons(app: App) -> list[str]:
    reasons: list[str] = call(app, "/ml/health").json()["reasons"]
    return reasons


def test_a_flip_is_followed_and_so_is_the_way_back(app: App, models: Path) -> None:
    """Promote and rollback are the same to the server."""
    write_version(models, "v2.0.0", weights=OTHER)
    for version in ("v2.0.0", "v1.0.0"):
        point(models, "latest", version)
        app.state.refresh()
        assert _served(app) == version
    assert app.state.metrics.reloads["loaded"] == 3


def test_nothing_new_is_not_loaded_again(app: App) -> None:
    """A look without news costs no load."""
    before = app.state.champion.live
    for _ in range(3):
        app.state.refresh()
    assert app.state.champion.live is before
    assert app.state.metrics.reloads["loaded"] == 1


def test_the_way_back_loads_nothing(
    app: App, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answered before, and what was the candidate, are swapped in as they stand in memory."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "candidate", "v2.0.0")
    app.state.refresh()
    before, shadowed = app.state.champion.live, app.state.candidate.live
    monkeypatch.setattr(Predictor, "load", None)
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    assert app.state.champion.live is shadowed
    point(models, "latest", "v1.0.0")
    app.state.refresh()
    assert app.state.champion.live is before
    assert _reasons(app) == []


def test_the_previous_version_is_loaded_before_it_is_wanted(models: Path) -> None:
    """A server that starts after a promotion can go back without loading, too."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "latest", "v2.0.0")
    point(models, "previous", "v1.0.0")
    app = create_app(ServeSettings(models, reload_s=0.01))

    async def wait() -> None:
        async with running(app), asyncio.timeout(2):
            while "v1.0.0" not in app.state.versions.shelf.versions:
                await asyncio.sleep(0.001)

    asyncio.run(wait())
    assert _served(app) == "v2.0.0"


def test_a_kept_version_that_was_touched_is_read_again(app: App, models: Path) -> None:
    """What is kept counts only while its files are the ones that were verified."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    _flip_byte(models / "v1.0.0")
    point(models, "latest", "v1.0.0")
    app.state.refresh()
    assert (_served(app), _reasons(app)) == ("v2.0.0", ["latest:artifact.digest_mismatch"])


def test_only_so_many_versions_are_kept(models: Path) -> None:
    """The longest unused one goes first."""
    app = create_app(ServeSettings(models, kept_versions=2))
    for version in ("v2.0.0", "v3.0.0", "v1.0.0"):
        if version != "v1.0.0":
            write_version(models, version, weights=OTHER)
        point(models, "latest", version)
        app.state.refresh()
    assert app.state.versions.shelf.versions == ("v3.0.0", "v1.0.0")


def test_a_look_that_began_earlier_is_passed_over(app: App, models: Path) -> None:
    """Of two looks under way the later one counts, in whichever order they end."""
    write_version(models, "v2.0.0", weights=OTHER)
    channel = app.state.champion
    point(models, "latest", "v2.0.0")
    early = channel.look()
    point(models, "latest", "v1.0.0")
    (models / "v1.0.0" / "manifest.json").touch()
    late = channel.look()
    assert early is not None
    assert late is not None
    assert channel.take(late, keep=True) == "loaded"
    assert channel.take(early, keep=True) == ""
    assert _served(app) == "v1.0.0"


def _flip_byte(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[-20] ^= 1
    (folder / "model.onnx").write_bytes(bytes(data))


def _drop(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _other_scores(folder: Path) -> None:
    golden = json.loads((folder / "golden_predictions.json").read_bytes())
    golden["scores"][0] = 1 - golden["scores"][0]
    rewrite(folder, "golden_predictions.json", golden)


def _other_name(folder: Path) -> None:
    rewrite(folder, "sidecar.json", {"model_version": "v9"})


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_flip_byte, "artifact.digest_mismatch"),
        (_drop, "artifact.incomplete"),
        (_other_scores, "model.parity"),
        (_other_name, "artifact.digest_mismatch"),
    ],
)
def test_a_bad_version_keeps_the_last_good_one(
    app: App, models: Path, damage: Any, code: str
) -> None:
    """Still ready, degraded, the reason named, refused once and not again and again."""
    damage(write_version(models, "v2.0.0", weights=OTHER))
    point(models, "latest", "v2.0.0")
    for _ in range(3):
        app.state.refresh()
    assert _served(app) == "v1.0.0"
    health = call(app, "/ml/health")
    assert (health.status, health.json()["status"]) == (200, "degraded")
    assert health.json()["reasons"] == [f"latest:{code}"]
    assert app.state.metrics.reloads == {
        "loaded": 1,
        "rejected": 1,
        "candidate_loaded": 0,
        "candidate_rejected": 0,
    }


def test_a_repaired_version_is_taken_up(app: App, models: Path) -> None:
    """The next look after the repair loads it; nobody has to restart."""
    folder = write_version(models, "v2.0.0", weights=OTHER)
    good = (folder / "model.onnx").read_bytes()
    _flip_byte(folder)
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    (folder / "model.onnx").write_bytes(good)
    app.state.refresh()
    assert _served(app) == "v2.0.0"
    assert _reasons(app) == []


def test_a_version_the_disk_does_not_give_is_asked_for_again(
    app: App, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused once, and taken up as soon as it can be read: nobody has to touch a file."""
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "latest", "v2.0.0")
    with monkeypatch.context() as broken:
        broken.setattr(fsops, "read_bytes", _no_more_files)
        for _ in range(3):
            app.state.refresh()
    assert (_served(app), _reasons(app)) == ("v1.0.0", ["latest:artifact.incomplete"])
    assert app.state.metrics.reloads["rejected"] == 1
    app.state.refresh()
    assert (_served(app), _reasons(app)) == ("v2.0.0", [])


def _no_more_files(_path: Path) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files")


def test_what_one_look_meets_ends_no_other(
    models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server never stops looking: said once in the log, and in health until it is over."""
    app = create_app(ServeSettings(models, reload_s=0.01))
    write_version(models, "v2.0.0", weights=OTHER)

    async def play() -> None:
        async with running(app):
            with monkeypatch.context() as broken:
                broken.setattr(app.state.keys, "look", _fail)
                point(models, "latest", "v2.0.0")
                while _answers(app) != "v2.0.0" or not app.state.troubles:
                    await asyncio.sleep(0.001)
                assert app.state.troubles == ("watch:failed",)
            while app.state.troubles:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(play(), 10))
    assert [r.message for r in caplog.records].count(
        "a look at the files of the server failed"
    ) == 1


def _fail() -> None:
    raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")


def _answers(app: App) -> str:
    live = app.state.champion.live
    return "" if live is None else live.version


def test_the_served_version_tampered_with(app: App, models: Path) -> None:
    """A file changed under a running server is noticed; the model in memory goes on."""
    _flip_byte(models / "v1.0.0")
    app.state.refresh()
    assert _served(app) == "v1.0.0"
    assert _reasons(app) == ["latest:artifact.digest_mismatch"]


@pytest.mark.parametrize("target", ["../outside", "/etc", "v1.0.0/../v1.0.0", "nowhere", "latest"])
def test_a_link_out_of_the_registry_is_refused(app: App, models: Path, target: str) -> None:
    """`latest` may name a version beside it and nothing else."""
    write_version(models.parent, "outside")
    point(models, "latest", target)
    app.state.refresh()
    assert _served(app) == "v1.0.0"
    assert len(_reasons(app)) == 1


def test_a_renamed_version_is_refused(app: App, models: Path) -> None:
    """A directory cannot pass for another version, though its digests are right."""
    write_version(models, "v2.0.0", weights=OTHER).rename(models / "v3.0.0")
    point(models, "latest", "v3.0.0")
    app.state.refresh()
    assert _reasons(app) == ["latest:artifact.digest_mismatch"]


def test_a_directory_in_place_of_the_link(app: App, models: Path) -> None:
    """What cannot be read as a link is a reason, not a crash."""
    (models / "latest").unlink()
    (models / "latest").mkdir()
    app.state.refresh()
    app.state.refresh()
    assert _served(app) == "v1.0.0"
    assert _reasons(app) == ["latest:unreadable"]


def test_latest_removed(app: App, models: Path) -> None:
    """The last good version answers; health says what is missing."""
    (models / "latest").unlink()
    app.state.refresh()
    assert _served(app) == "v1.0.0"
    assert _reasons(app) == ["latest:artifact.not_found"]


def test_a_pointer_file_instead_of_a_link(models: Path) -> None:
    """Where symlinks are not available the name stands in a file."""
    (models / "latest").unlink()
    (models / "latest").write_text("v1.0.0\n", encoding="utf-8")
    assert _served(create_app(ServeSettings(models))) == "v1.0.0"


def test_the_candidate_follows_its_link(app: App, models: Path) -> None:
    """Appears, is refused when damaged, disappears; the champion is not concerned."""
    folder = write_version(models, "v2.0.0", weights=OTHER)
    point(models, "candidate", "v2.0.0")
    app.state.refresh()
    assert call(app, "/ml/health").json()["candidate_version"] == "v2.0.0"
    _flip_byte(folder)
    app.state.refresh()
    health = call(app, "/ml/health").json()
    assert health["candidate_version"] is None
    assert health["reasons"] == ["candidate:artifact.digest_mismatch"]
    (models / "candidate").unlink()
    app.state.refresh()
    assert call(app, "/ml/health").json()["status"] == "ok"


def test_a_candidate_by_name(models: Path) -> None:
    """CANARY_MODEL_VERSION wins over the link."""
    write_version(models, "v2.0.0", weights=OTHER)
    write_version(models, "v3.0.0", weights=OTHER)
    point(models, "candidate", "v3.0.0")
    app = create_app(ServeSettings(models, candidate="v2.0.0"))
    assert call(app, "/ml/health").json()["candidate_version"] == "v2.0.0"


def test_another_schema_is_taken_up_with_its_decoder(app: App, models: Path) -> None:
    """Model, checks and names change together."""
    names = ("a", "b")
    write_version(
        models,
        "v2.0.0",
        weights=(0.1, 0.2),
        onnx=logistic_onnx((0.1, 0.2)),
        sidecar=sidecar_for("v2.0.0", names),
    )
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    assert call(app, "/ml/predict", BODY).status == 422
    assert call(app, "/ml/predict", b'{"features":{"a":1,"b":0}}').status == 200


@pytest.mark.slow
def test_no_request_fails_while_versions_change(models: Path) -> None:
    """At least 2,000 requests over 50 flips: none fails, none mixes two versions."""
    write_version(models, "v2.0.0", weights=OTHER)
    app = create_app(ServeSettings(models, reload_s=0.01))
    scores = {
        "v1.0.0": float(logistic(np.array(ROW), WEIGHTS)),
        "v2.0.0": float(logistic(np.array(ROW), OTHER)),
    }
    seen: list[tuple[int, str, float]] = []

    async def ask(done: asyncio.Event) -> None:
        while not done.is_set() or len(seen) < 2_000:
            reply = await request(app, "/ml/predict", [BODY[:5], BODY[5:]])
            seen.append((reply.status, *list(reply.json().values())[1:]))
            await asyncio.sleep(0)

    async def flip(done: asyncio.Event) -> None:
        for turn in range(50):
            target = ("v2.0.0", "v1.0.0")[turn % 2]
            await asyncio.to_thread(point, models, "latest", target)
            async with asyncio.timeout(2):
                while app.state.metrics.version != target:
                    await asyncio.sleep(0.001)
        done.set()

    async def storm() -> None:
        done = asyncio.Event()
        async with running(app), asyncio.TaskGroup() as group:
            group.create_task(flip(done))
            for _ in range(8):
                group.create_task(ask(done))

    asyncio.run(storm())
    assert app.state.metrics.reloads["loaded"] == 51
    assert len(seen) >= 2_000
    assert {status for status, _, _ in seen} == {200}
    assert {version for _, version, _ in seen} == set(scores)
    assert all(abs(score - scores[version]) < 1e-12 for _, version, score in seen)


def test_under_a_pinned_key_an_unsigned_version_waits_for_its_signature(
    models: Path, tmp_path: Path
) -> None:
    """It is refused while it is unsigned and taken up when the signature comes."""
    signer = Signer(tmp_path / "key", write_key_pair(tmp_path / "key"))
    app = create_app(ServeSettings(models_dir=models, public_keys=signer.public_keys))
    app.state.refresh()
    assert app.state.champion.problem == "artifact.signature"
    manifest = (models / "v1.0.0" / "manifest.json").read_bytes()
    envelope = json.dumps(signer.sign(MANIFEST_TYPE, manifest))
    (models / "v1.0.0" / "manifest.sig").write_text(envelope)
    app.state.refresh()
    assert _served(app) == "v1.0.0"
