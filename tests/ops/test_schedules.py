"""The sample schedules of the daily jobs run what there is, after midnight UTC."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ops.prometheus_kit import OPS

SYSTEMD, CRON = OPS / "systemd", OPS / "cron" / "mlwb-daily"
HARDENED = (
    "User=mlwb", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict",
    "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "RestrictNamespaces=yes",
    "SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM", "UMask=0027",
)  # fmt: skip
TARGETS = set(re.findall(r"^([a-z-]+):", (OPS.parent / "Makefile").read_text(), flags=re.MULTILINE))


def _commands() -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in SYSTEMD.glob("mlwb-*.service")]
    starts = re.findall(r"^ExecStart=-?(.+)$", "\n".join(texts), flags=re.MULTILINE)
    lines = [line for line in CRON.read_text().splitlines() if " mlwb cd " in line]
    return starts + [line.partition("&& ")[2] for line in lines]


def test_every_make_target_of_a_schedule_exists() -> None:
    """A target that was renamed would fail at night and not before."""
    called = {name for command in _commands() for name in re.findall(r"make ([a-z-]+)", command)}
    assert {"report", "archive", "drift-check", "pnl"} <= called <= TARGETS


@pytest.mark.parametrize("name", sorted(path.stem for path in SYSTEMD.glob("*.timer")))
def test_a_timer_has_its_service_and_counts_in_utc(name: str) -> None:
    """The day is a UTC day wherever the machine stands; the report runs when it is over."""
    timer = configparser.ConfigParser()
    timer.read(SYSTEMD / f"{name}.timer")
    assert timer["Timer"]["OnCalendar"].endswith(" UTC")
    assert (SYSTEMD / f"{name}.service").is_file()
    if name != "mlwb-scrape":
        assert timer["Timer"]["Persistent"] == "true"


def test_a_week_is_told_after_its_last_day() -> None:
    """The daily report may begin ten minutes late, the weekly one on Mondays begins behind it."""
    starts = {}
    for name in ("daily", "weekly"):
        timer = configparser.ConfigParser()
        timer.read(SYSTEMD / f"mlwb-{name}.timer")
        starts[name] = timer["Timer"]["OnCalendar"]
    assert starts == {"daily": "*-*-* 00:20:00 UTC", "weekly": "Mon *-*-* 00:50:00 UTC"}
    crons = {line.split(" mlwb ")[0] for line in CRON.read_text().splitlines() if " mlwb " in line}
    assert {"20 0 * * *", "50 0 * * 1"} <= crons


@pytest.mark.parametrize("path", sorted(SYSTEMD.glob("*.service")), ids=lambda path: path.stem)
def test_a_unit_can_do_no_more_than_it_must(path: Path) -> None:
    """A user of its own, one place to write to, and what a server or a job never needs is shut."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert set(HARDENED) <= set(lines)
    writes = [line for line in lines if line.startswith("ReadWritePaths=")]
    assert writes == ["ReadWritePaths=/var/lib/mlwb"]


@pytest.mark.slow
def test_systemd_takes_the_units(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """Every unit and timer as its own verifier reads it, and how exposed it finds a service."""
    program = tool("systemd-analyze")
    for path in SYSTEMD.iterdir():
        text = path.read_text(encoding="utf-8").replace("/srv/mlwb/.venv", sys.prefix)
        text = text.replace("/srv/mlwb", str(OPS.parent)).replace("User=mlwb", "User=root")
        (tmp_path / path.name).write_text(text)
    units = sorted(map(str, tmp_path.iterdir()))
    done = _analyze(program, "verify", "--man=no", *units)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for path in SYSTEMD.glob("*.service"):
        done = _analyze(program, "security", "--offline=true", "--threshold=20", str(path))
        assert done.returncode == 0, done.stdout


def test_systemd_finds_what_is_wrong(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """A setting that does not exist is one it tells."""
    unit = tmp_path / "mlwb-serve.service"
    text = (SYSTEMD / unit.name).read_text(encoding="utf-8")
    unit.write_text(text.replace("ProtectSystem=", "ProtectSystems="))
    assert "ProtectSystems" in _analyze(tool("systemd-analyze"), "verify", str(unit)).stderr


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_cron_says_the_zone_before_the_first_line() -> None:
    """CRON_TZ holds for what follows it."""
    text = CRON.read_text()
    assert text.index("CRON_TZ=UTC") < text.index("mlwb cd")


def test_drift_does_not_keep_a_day_from_being_told() -> None:
    """The drift check exits 1 on drift: its failure is passed over, the report's is not."""
    text = (SYSTEMD / "mlwb-daily.service").read_text()
    starts = re.findall(r"^ExecStart=(.+)$", text, flags=re.MULTILINE)
    assert [start.startswith("-") for start in starts] == [True, True, True, False]
    assert starts[-1].endswith("make report")
