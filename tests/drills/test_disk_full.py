"""Drill: the disk below `artifacts/` is full, to its last byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.drills.alert_kit import fires_between
from tests.drills.drill_kit import (
    Bot,
    Drill,
    Served,
    add_version,
    audit_problems,
    command,
    logged,
    served_home,
    unlogged,
    wait_until,
    wrong_lines,
)
from tests.drills.small_disk import small_disk
from tests.serve.key_kit import write_keys

pytestmark = [pytest.mark.slow, pytest.mark.server]

WHY = {"reason": "a drill"}


def _starts_nothing_unaudited(served: Served, admin: str) -> None:
    """What stops answers is done all the same; what starts them wants its line first."""
    status, killed = served.ask("/ml/kill", {"on": True, **WHY}, key=admin)
    assert (status, killed["killed"]) == (200, True)
    for path, body in (
        ("/ml/kill", {"on": False, **WHY}),
        ("/ml/mode/inference", WHY),
        ("/ml/canary", {"mode": "live", "percent": 5, **WHY}),
    ):
        status, refused = served.ask(path, body, key=admin)
        assert (status, refused["code"]) == (503, "storage"), path

    def is_audit_refused() -> bool:
        served.ask("/ml/kill", key=admin)  # a line each; the first still find room
        return "audit:unwritable" in served.health()["reasons"]

    wait_until(is_audit_refused)


def test_not_a_byte_left(tmp_path: Path, drill: Drill, tool: Callable[[str], str]) -> None:
    """Answers go on, losses are counted, nothing begins unaudited; freed, all goes on whole."""
    drill.incident("the disk is full")
    with small_disk(tmp_path, "8m") as disk:
        home = disk.outside / "home"
        registry = served_home(home)
        add_version(registry, "v3.0.0")
        keys = write_keys(home / "artifacts" / "keys.json")
        admin = keys["admin"]
        served = Served(disk.inside / "home", enter=disk.enter, beside=tmp_path)
        with served, Bot(served, keys["predict"]) as bot:
            bot.next_good("v2.0.0", 20)
            assert served.ask("/ml/kill", {"on": True, **WHY}, key=admin)[0] == 200
            assert served.ask("/ml/kill", {"on": False, **WHY}, key=admin)[0] == 200
            bot.next_good("v2.0.0", 20)
            quiet = served.page()

            disk.fill()
            wait_until(lambda: "log:unwritable" in served.health()["reasons"])
            bot.next_good("v2.0.0", 20)
            wait_until(lambda: served.metric("ml_log_dropped_total") > 0)
            _starts_nothing_unaudited(served, admin)
            drill.sees(
                "answers go on",
                "health degraded log:unwritable, audit:unwritable",
                "503 storage for what starts answers",
            )
            # The way back needs room, and has it.
            assert command(
                served.home, "registry", "rollback", "--reason", "a drill", enter=disk.enter
            ).returncode == 0  # fmt: skip
            assert registry.latest() == "v1.0.0"
            wait_until(lambda: served.health()["model_version"] == "v1.0.0")
            fires_between(tool, tmp_path, (quiet, served.page()), "MLRecordsLost")

            drill.begin()
            disk.free()
            wait_until(lambda: served.health()["reasons"] == ["killed"])
            assert served.ask("/ml/kill", {"on": False, **WHY}, key=admin)[0] == 200
            bot.next_good("v1.0.0", 20)
            wait_until(lambda: served.health()["status"] == "ok")
            drill.recovered("free space")
            dropped = served.metric("ml_log_dropped_total")
            lines_lost = served.metric("ml_audit_lost_total")
            bot.next_good("v1.0.0", 20)
            answer = served.ask("/ml/audit?verify=1&limit=100", key=admin)[1]
            assert served.stop() == 0
        assert bot.wrong == []
        lines = logged(home)
        assert wrong_lines(bot, lines) == []
        assert sum(unlogged(bot, lines)) == dropped
        drill.lost(int(dropped), "prediction lines, each counted")
        assert (answer["status"], answer["problems"], answer["lost"]) == ("intact", [], lines_lost)
        gaps = [line["n"] for line in answer["lines"] if line["what"] == "lost"]
        assert sum(gaps) == lines_lost
        assert audit_problems(home) == ()
        assert registry.doctor() == ()
