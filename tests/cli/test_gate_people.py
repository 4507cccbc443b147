"""What people do at the gates: waive, confirm, decide; and what is said of the way there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlwb.cli._app import app
from mlwb.core.clock import SystemClock
from mlwb.core.errors import PolicyError, PromotionRefusedError
from mlwb.core.home import find_home, find_project
from mlwb.evidence import EvidenceStore
from mlwb.params import load_policy
from mlwb.registry import REQUIRED_FILES, Registry
from tests.gates.conftest import VERSION, green_view

POLICY = load_policy(find_project() / "params" / "policy.yml")


def gate(*arguments: str, typed: str = "") -> Result:
    """What a gate command did."""
    return CliRunner().invoke(app, ["gate", *arguments], input=typed)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose candidate passes every gate but the confirmation."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    found = find_home({"MLWB_HOME": str(tmp_path)})
    models = Registry(found.models, clock=SystemClock())
    staging = models.stage(VERSION)
    for name in REQUIRED_FILES:
        (staging / name).write_text(f"{name}\n")
    models.register(VERSION, staging)
    store = EvidenceStore(found.evidence)
    for record in green_view(POLICY, SystemClock()).records:
        if record.kind != "confirmation":
            store.write(record)
    return tmp_path


def _store(root: Path) -> EvidenceStore:
    return EvidenceStore(root / "evidence" / "ml")


def _phrase(shown: str) -> str:
    return next(line for line in shown.splitlines() if line.startswith("CONFIRM: "))


def test_status_says_how_far_the_candidate_is(root: Path) -> None:
    """What serves, what waits, and the same lines as `mlwb gate progress`."""
    run = CliRunner(env={"MLWB_HOME": str(root)}).invoke
    said = run(app, ["registry", "status"]).stdout
    assert f"candidate  {VERSION}" in said
    assert "progress   canary: 5 of 5 phases, done" in said
    assert "confirmation: 0 of 1 confirmation, waiting" in said
    status = json.loads(run(app, ["registry", "status", "--json"]).stdout)
    assert status["progress"] == json.loads(gate("progress", "--json").stdout)


@pytest.mark.slow
def test_a_person_confirms_and_the_decision_follows(root: Path) -> None:
    """The phrase is shown with its numbers, typed back, recorded, judged, written, replayed."""
    refused = gate("confirm", "--by", "ada", typed="yes\n")
    assert isinstance(refused.exception, PromotionRefusedError)
    phrase = _phrase(refused.stdout)
    assert "abort above 120 ms p95" in phrase
    assert [entry.kind for entry in _store(root).index()].count("confirmation") == 0
    done = gate("confirm", "--by", "ada", "--json", typed=f"{phrase}\n")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["promote"] is True
    assert _phrase(done.stderr) == phrase
    decision = _store(root).newest("decision")
    assert decision.details["promote"] is True
    assert decision.details["ledger_head"]["seq"] > 1
    assert "bit for bit" in gate("replay").stdout
    assert _store(root).newest("policy").details["digest"] == POLICY.digest
    assert _store(root).verify() == ()


def test_nothing_blocked_is_confirmed(root: Path) -> None:
    """While another gate blocks there is nothing to type."""
    store = _store(root)
    smoke = store.newest("smoke")
    slow = tuple(
        replace(metric, value=500.0) if metric.name == "p95_ms" else metric
        for metric in smoke.metrics
    )
    run_id = smoke.run_id[:-8] + "00000000"
    store.write(replace(smoke, run_id=run_id, metrics=slow))
    refused = gate("confirm", "--by", "ada")
    assert isinstance(refused.exception, PromotionRefusedError)
    assert "perf FAIL" in str(refused.exception)
    assert "CONFIRM" not in refused.stdout


def test_a_waiver_is_written_and_shown(root: Path) -> None:
    """The matrix shows what is waived, the verdict says by whom; some gates refuse."""
    store = _store(root)
    shadow = store.newest("shadow")
    short = tuple(
        replace(metric, value=1.0) if metric.name == "covered_h" else metric
        for metric in shadow.metrics
    )
    store.write(replace(shadow, run_id=shadow.run_id[:-8] + "00000000", metrics=short))
    assert gate("shadow").exit_code == 1
    why = ["--reason", "one hour will do", "--by", "ada"]
    done = gate("waive", "shadow", *why, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["run_id"] == _store(root).newest("waiver").run_id
    assert gate("shadow").exit_code == 0
    assert "WAIVED (FAIL)" in gate("all").stdout
    said = json.loads(gate("shadow", "--json").stdout)
    assert said["outcome"] == "FAIL"
    assert said["waived"].startswith("ada until ")
    assert isinstance(gate("waive", "parity", *why).exception, PolicyError)
    assert isinstance(gate("waive", "shadow", *why, "--days", "8").exception, PolicyError)


def test_progress_counts_what_is_waited_for(root: Path) -> None:
    """Hours, nights, phases and the confirmation, for people and machines."""
    shown = gate("progress")
    assert shown.exit_code == 0
    assert "7 nights" in shown.stdout
    steps = {step["gate"]: step for step in json.loads(gate("progress", "--json").stdout)}
    assert steps["nightly"]["reached"] == 7
    assert steps["confirmation"]["done"] is False
    assert "there is no confirmation evidence" in " ".join(shown.stdout.split())
    assert steps["nightly"]["reason"] == ""
    assert root.exists()


@pytest.mark.slow
def test_a_policy_that_is_not_in_force_says_what_it_takes(root: Path) -> None:
    """What another policy would say is marked as that; deciding by it names the way on."""
    assert gate("decide").exit_code == 1  # puts the default in force; a person is waited for
    assert "not in force" not in gate("promote").output
    asked = gate("promote", "--policy", "policy.demo.yml")
    assert "demo is not in force" in asked.output
    assert "mlwb run --policy policy.demo.yml" in asked.output
    assert len(_store(root).records("policy")) == 1
    decided = gate("decide", "--policy", "policy.demo.yml")
    assert decided.exit_code == 1
    assert "measure again under this policy: mlwb run --policy policy.demo.yml" in decided.output


@pytest.mark.slow
def test_nobody_confirms_what_the_policy_makes_stale(root: Path) -> None:
    """Asked to confirm under another policy, a person sees what the decision would see."""
    assert gate("decide").exit_code == 1
    done = gate("confirm", "--by", "ada", "--policy", "policy.strict.yml", typed="yes\n")
    assert isinstance(done.exception, PromotionRefusedError)
    assert "before the policy changed" in str(done.exception)
    assert "Type this" not in done.output
    assert root.exists()
