"""A night is recorded as what it was: green, red, or broken."""

from __future__ import annotations

import configparser
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from mlwb.cli._nightly import night_record
from mlwb.core.clock import ManualClock
from mlwb.core.errors import NotebookFailedError
from mlwb.core.home import find_project
from mlwb.evidence import Context, check_record, new_record
from mlwb.gates import EvidenceView, Outcome, evaluate, evaluate_all
from mlwb.params import Policy, load_policy
from mlwb.runner import Outcome as RunOutcome
from tests.gates.conftest import VERSION, green_view

OPS = find_project() / "ops"
RUN_ID = f"mlwb_{VERSION}_run_20260101T000000Z_a1b2c3d4"


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The default policy."""
    return load_policy(find_project() / "params" / "policy.yml")


@pytest.fixture
def green(policy: Policy, clock: ManualClock) -> EvidenceView:
    """Evidence that passes every gate."""
    return green_view(policy, clock)


def outcome(view: EvidenceView, policy: Policy, now: datetime) -> RunOutcome:
    """A run that ended with the verdicts on a view."""
    return RunOutcome(
        run_id=RUN_ID,
        folder=Path("outputs"),
        version=VERSION,
        champion="v1.8.0",
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:10:00Z",
        steps=(),
        verdicts=evaluate_all(view, policy, now),
        error=None,
    )


def test_a_green_night_counts(green: EvidenceView, policy: Policy, clock: ManualClock) -> None:
    """The record is lawful, judged under the policy, and the nightly gate counts it."""
    clock.advance(86_400)
    night = night_record(outcome(green, policy, clock.now()), green.records, policy, clock)
    check_record(night.to_json())
    assert (night.value("green"), night.is_pass) == (1, True)
    assert (night.origin, night.model_version) == ("replay", VERSION)
    assert night.details["date"] == "2026-01-02"
    verdict = evaluate(
        "nightly", replace(green, records=(*green.records, night)), policy, clock.now()
    )
    assert verdict.checks[0].observed == 8


def test_a_red_night_names_its_gates(
    green: EvidenceView, policy: Policy, clock: ManualClock
) -> None:
    """A judged gate that does not pass makes the night red and is named; the count starts anew."""
    ended = outcome(green, policy, clock.now())
    verdicts = tuple(
        replace(verdict, outcome=Outcome.FAIL) if verdict.gate == "perf" else verdict
        for verdict in ended.verdicts
    )
    night = night_record(replace(ended, verdicts=verdicts), (), policy, clock)
    assert (night.value("green"), night.is_pass) == (0, False)
    assert night.details["blocking"] == ["perf"]
    view = replace(green, records=(*green.records, night))
    assert evaluate("nightly", view, policy, clock.now()).checks[0].observed == 0


def test_a_night_that_broke_is_red(green: EvidenceView, policy: Policy, clock: ManualClock) -> None:
    """A run that stopped is a red night, whatever its verdicts said before."""
    ended = outcome(green, policy, clock.now())
    night = night_record(
        replace(ended, error=NotebookFailedError("a cell raised")), (), policy, clock
    )
    assert night.is_pass is False
    assert night.details["error"] == "run.notebook_failed"
    nothing = night_record(replace(ended, verdicts=()), (), policy, clock)
    assert nothing.is_pass is False


def test_a_simulated_night_says_so(green: EvidenceView, policy: Policy, clock: ManualClock) -> None:
    """A night on the synthetic market is simulated, which the nightly gate does not take."""
    clock.advance(86_400)
    made = new_record("bench", [], Context(clock=clock, origin="simulated"))
    night = night_record(outcome(green, policy, clock.now()), [made], policy, clock)
    assert night.origin == "simulated"
    view = replace(green, records=(*green.records, night))
    assert evaluate("nightly", view, policy, clock.now()).outcome is Outcome.INVALID


def test_the_sample_schedule_runs_what_there_is() -> None:
    """Timer and cron line call a make target that exists, at night, by UTC."""
    makefile = (find_project() / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)
    service = configparser.ConfigParser(strict=False)
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read(OPS / "systemd" / "mlwb-nightly.service")
    assert service["Service"]["ExecStart"].split()[1] in targets
    timer = configparser.ConfigParser()
    timer.read(OPS / "systemd" / "mlwb-nightly.timer")
    assert timer["Timer"]["OnCalendar"].endswith("02:00:00 UTC")
    cron = (OPS / "cron" / "mlwb-nightly").read_text().splitlines()
    assert "CRON_TZ=UTC" in cron
    assert re.match(r"0 2 \* \* \* mlwb .*make nightly ", cron[-1])
