"""The sample schedules of the daily jobs run what there is, after midnight UTC."""

from __future__ import annotations

import configparser
import re

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from tests.ops.prometheus_kit import OPS

SYSTEMD, CRON = OPS / "systemd", OPS / "cron" / "mlwb-daily"
TARGETS = set(re.findall(r"^([a-z-]+):", (OPS.parent / "Makefile").read_text(), flags=re.MULTILINE))


def _commands() -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in SYSTEMD.glob("mlwb-*.service")]
    starts = re.findall(r"^ExecStart=-?(.+)$", "\n".join(texts), flags=re.MULTILINE)
    lines = [line for line in CRON.read_text().splitlines() if " mlwb cd " in line]
    return starts + [line.partition("&& ")[2] for line in lines]


def test_every_make_target_of_a_schedule_exists() -> None:
    """A target that was renamed would fail at night and not before."""
    called = {name for command in _commands() for name in re.findall(r"make ([a-z-]+)", command)}
    assert {"report", "archive", "drift-check"} <= called <= TARGETS


def test_every_mlwb_command_of_a_schedule_is_understood() -> None:
    """`--help` behind the very words: a command or an option that is gone is an error."""
    said = [re.search(r"-m mlwb (report [^>;]*)", command) for command in _commands()]
    words = [match[1].split() for match in said if match]
    assert len(words) == 3
    for command in words:
        assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", ["mlwb-daily", "mlwb-scrape"])
def test_a_timer_has_its_service_and_counts_in_utc(name: str) -> None:
    """The day is a UTC day wherever the machine stands; the report runs when it is over."""
    timer = configparser.ConfigParser()
    timer.read(SYSTEMD / f"{name}.timer")
    assert timer["Timer"]["OnCalendar"].endswith(" UTC")
    assert (SYSTEMD / f"{name}.service").is_file()
    if name == "mlwb-daily":
        assert timer["Timer"]["OnCalendar"].split()[1].startswith("00:")
        assert timer["Timer"]["Persistent"] == "true"


def test_cron_says_the_zone_before_the_first_line() -> None:
    """CRON_TZ holds for what follows it."""
    text = CRON.read_text()
    assert text.index("CRON_TZ=UTC") < text.index("mlwb cd")


def test_drift_does_not_keep_a_day_from_being_told() -> None:
    """The drift check exits 1 on drift: its failure is passed over, the report's is not."""
    text = (SYSTEMD / "mlwb-daily.service").read_text()
    starts = re.findall(r"^ExecStart=(.+)$", text, flags=re.MULTILINE)
    assert [start.startswith("-") for start in starts] == [True, True, False]
    assert starts[-1].endswith("make report")
