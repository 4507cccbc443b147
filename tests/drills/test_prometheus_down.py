"""Drill: nobody watches: Prometheus is down, then back without its target, then right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.clock import ManualClock, SystemClock
from mlwb.core.errors import ServeError
from mlwb.core.home import find_project
from mlwb.evidence import Record
from mlwb.params import DailyReportParams, load_params
from mlwb.stages import daily_report
from tests.drills.drill_kit import (
    Bot,
    Drill,
    Served,
    logged,
    served_home,
    unlogged,
    wait_until,
    wrong_lines,
)
from tests.ops.prometheus_kit import OPS, prometheus, quick_rules

pytestmark = [pytest.mark.slow, pytest.mark.server]


def _scrape(home: Path, url: str) -> object:
    """One ``mlwb report scrape``: what it raised, or None."""
    done = CliRunner().invoke(app, ["report", "scrape", "--url", url], env={"MLWB_HOME": str(home)})
    return None if done.exit_code == 0 else done.exception


def _told(home: Path, day: date) -> Record:
    """The daily report of a day, as of the day after the next."""
    clock = ManualClock(SystemClock().now() + timedelta(days=2))
    params = load_params("daily_report", find_project() / "params")
    assert isinstance(params, DailyReportParams)
    params = replace(params, run=replace(params.run, home=str(home)))
    inputs = daily_report.load(params, clock, day)
    (record,) = daily_report.record(inputs, daily_report.measure(inputs), params, clock)
    return record


def test_nobody_looks(tmp_path: Path, drill: Drill, tool: Callable[[str], str]) -> None:
    """Bots notice nothing; a lost target is an alert; reports say what was not looked at."""
    drill.incident("Prometheus is down")
    program, home = tool("prometheus"), tmp_path / "home"
    served_home(home, promoted=("v1.0.0",), reference_days=3)
    rules = quick_rules((OPS / "prometheus" / "ml.yml").read_text(encoding="utf-8"))
    with Served(home) as served, Bot(served) as bot:
        bot.next_good("v1.0.0", 20)
        assert _scrape(home, served.url) is None
        with prometheus(program, tmp_path, "", rules=rules) as found:
            wait_until(lambda: "MLMetricsAbsent" in found.firing())
            assert found.values("up") == []
        bot.next_good("v1.0.0", 20)
        drill.sees("bots: nothing", "MLMetricsAbsent", "reports name the time without a look")

        drill.begin()
        with prometheus(program, tmp_path, served.url, rules=rules) as found:
            wait_until(lambda: found.values("up") == [1.0] and not found.firing())
            drill.recovered("mend its configuration, start it")
            (counted,) = found.values('sum(ml_predict_requests_total{status="success"})')
            assert 20 < counted <= len(bot.scored)
        assert (served.health()["status"], bot.reasons) == ("ok", set())
        assert _scrape(home, served.url) is None
        assert served.stop() == 0
        assert isinstance(_scrape(home, served.url), ServeError)

    lines = logged(home)
    assert (bot.wrong, wrong_lines(bot, lines)) == ([], [])
    assert not any(unlogged(bot, lines))
    drill.lost(0)
    day = lines[0].ts.date()
    told, before = _told(home, day), _told(home, day - timedelta(days=1))
    assert told.value("rows") == sum(line.ts.date() == day for line in lines)
    between = told.segments("requests")["success"].value
    assert between is not None
    assert 0 < between <= len(bot.scored)
    # Nobody looked is not nothing happened.
    nothing = next(item for item in before.metrics if item.name == "error_rate")
    assert (nothing.value, before.value("longest_unwatched_s")) == (None, 86_400)
    assert "mlwb report scrape" in nothing.null_reason
