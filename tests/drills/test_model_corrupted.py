"""Drill: the files of a model are damaged on disk while it serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlwb.core.errors import ArtifactError
from mlwb.registry import Registry
from tests.drills.alert_kit import fires_between
from tests.drills.drill_kit import (
    AWAY,
    Bot,
    Drill,
    Served,
    add_version,
    audit_problems,
    command,
    flip_bytes,
    logged,
    served_home,
    unlogged,
    wait_until,
    wrong_lines,
)
from tests.serve.registry_kit import promote

pytestmark = [pytest.mark.slow, pytest.mark.server]


def _is_whole(home: Path, registry: Registry, bot: Bot) -> None:
    """Nothing was lost: every answer is in the log, both chains hold, the registry is in order."""
    lines = logged(home)
    assert not any(unlogged(bot, lines))
    assert (bot.wrong, wrong_lines(bot, lines)) == ([], [])
    assert audit_problems(home) == ()
    assert registry.doctor() == ()


def test_damaged_while_it_serves(tmp_path: Path, drill: Drill, tool: Callable[[str], str]) -> None:
    """Answers go on from memory, everybody is told; a restart refuses; restoring brings it back."""
    drill.incident("a model file is damaged, and the server stops")
    home = tmp_path / "home"
    registry, served = served_home(home), Served(home)
    with served, Bot(served) as bot:
        bot.next_good("v2.0.0", 20)
        quiet = served.page()
        flip_bytes(registry.models_dir / "v2.0.0" / "model.onnx")
        wait_until(lambda: served.health()["status"] == "degraded")
        reason = served.health()["reasons"]
        assert reason == ["latest:artifact.digest_mismatch"]
        bot.next_good("v2.0.0", 20)
        assert served.metric('ml_model_reload_total{result="rejected"}') == 1
        fires_between(tool, tmp_path, (quiet, served.page()), "MLModelRejected")
        doctor = command(home, "registry", "doctor")
        assert doctor.returncode == 5
        assert "v2.0.0/model.onnx" in doctor.stdout
        assert "mlwb registry restore v2.0.0" in doctor.stdout

        assert served.stop() == 0
        assert served.launch().wait(30) == 5
        assert "model.onnx" in served.said
        drill.sees("served from memory", f"health degraded {reason[0]}", "a restart exits with 5")

        drill.begin()
        assert command(home, "registry", "restore", "v2.0.0").returncode == 0
        served.start()
        bot.next_good("v2.0.0")
        drill.recovered("mlwb registry restore, then start")
        assert served.health()["status"] == "ok"
        bot.next_good("v2.0.0", 20)
        assert bot.reasons <= AWAY
        assert served.stop() == 0
    assert registry.latest() == "v2.0.0"
    drill.lost(0)
    _is_whole(home, registry, bot)


def test_left_for_the_version_before(tmp_path: Path, drill: Drill) -> None:
    """A sidecar cut short: rolling back changes over at once, under traffic, without a refusal."""
    drill.incident("a model file is damaged")
    home = tmp_path / "home"
    registry = served_home(home)
    sidecar = registry.models_dir / "v2.0.0" / "sidecar.json"
    with Served(home) as served, Bot(served) as bot:
        bot.next_good("v2.0.0", 20)
        sidecar.chmod(0o644)
        sidecar.write_bytes(sidecar.read_bytes()[:100])
        wait_until(lambda: served.health()["status"] == "degraded")
        (reason,) = served.health()["reasons"]
        assert reason.startswith("latest:artifact.")
        bot.next_good("v2.0.0", 20)
        drill.sees("served from memory", f"health degraded {reason}")

        drill.begin()
        done = command(home, "registry", "rollback", "--reason", "v2.0.0 refused")
        assert done.returncode == 0, done.stderr
        bot.next_good("v1.0.0")
        drill.recovered("mlwb registry rollback")
        assert served.health()["status"] == "ok"
        assert registry.verify("v2.0.0")
        assert command(home, "registry", "restore", "v2.0.0").returncode == 0
        assert bot.reasons == set()
        assert served.stop() == 0
    assert registry.latest() == "v1.0.0"
    assert {item.model_version for item in bot.scored} == {"v1.0.0", "v2.0.0"}
    drill.lost(0)
    _is_whole(home, registry, bot)


def test_a_candidate_is_damaged(tmp_path: Path, drill: Drill) -> None:
    """The champion answers as if there were none; promoting it is refused; restored it is taken."""
    drill.incident("the candidate is damaged")
    home = tmp_path / "home"
    registry = served_home(home)
    add_version(registry, "v3.0.0")
    with Served(home) as served, Bot(served) as bot:
        bot.next_good("v2.0.0")
        assert served.health()["candidate_version"] == "v3.0.0"
        flip_bytes(registry.models_dir / "v3.0.0" / "model.onnx")
        wait_until(lambda: served.health()["status"] == "degraded")
        assert served.health()["reasons"] == ["candidate:artifact.digest_mismatch"]
        with pytest.raises(ArtifactError, match=r"v3\.0\.0"):
            promote(registry, "v3.0.0")
        bot.next_good("v2.0.0", 20)
        drill.sees("champion answers", "health degraded candidate:artifact.digest_mismatch")

        drill.begin()
        assert command(home, "registry", "restore", "v3.0.0").returncode == 0
        wait_until(lambda: served.health()["candidate_version"] == "v3.0.0")
        drill.recovered("mlwb registry restore")
        assert served.health()["status"] == "ok"
        assert bot.reasons == set()
        assert served.stop() == 0
    assert registry.latest() == "v2.0.0"
    drill.lost(0)
    _is_whole(home, registry, bot)
