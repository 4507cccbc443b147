"""`mlwb canary`: what is checked before, what is rehearsed, and who may begin a live one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.cli._canary_status import status_table
from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceMissingError, MlwbError, ParamsError, PromotionRefusedError
from mlwb.evidence import EvidenceStore
from mlwb.rollout import RolloutState, ServerCanary
from mlwb.rollout._server import ServerLease
from mlwb.stages.canary_preflight import Preflight
from tests.rollout.rollout_kit import QUICK, Place, place, serving

run = CliRunner().invoke
GIVEN = [part for name, value in QUICK.items() for part in ("-p", f"{name}={value}")]


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Champion and candidate are the same model."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    return place(tmp_path)


@pytest.mark.parametrize(
    "said", [[], ["--observe-only", "--live"], ["--resume", "--live"], ["--dry-run", "--resume"]]
)
def test_one_says_which(said: list[str]) -> None:
    """Neither nothing nor two things that contradict each other."""
    done = run(app, ["canary", "run", *said])
    assert isinstance(done.exception, ParamsError)


def test_status_without_a_rollout_or_a_server(at: Place) -> None:  # noqa: ARG001 - its home
    """Says so, and is no fault."""
    done = run(app, ["canary", "status", "--url", "http://127.0.0.1:1", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["rollout"] is None


def test_status_says_whose_lease_it_is_and_who_leads() -> None:
    """Server, lease, runner, counters and gaps on one screen; an ended one names its reason."""
    clock = ManualClock()
    state = RolloutState(
        base_url="",
        mode="live",
        lock={"candidate": "v2", "champion": "v1"},
        phases=[5.0, 10.0],
        started="2026-01-01T00:00:00Z",
        begun=["2026-01-01T00:00:00Z"],
        counted=[("2026-01-01T00:00:01Z", 2, 1)],
        holder="a",
        runner="pid 7 on box",
        renewed="2026-01-01T00:00:00Z",
        gaps=[("2026-01-01T00:00:01Z", "2026-01-01T00:00:08Z")],
        unscored={"model": 6, "budget": 1},
    )
    clock.advance(9.0)
    server = ServerCanary("live", 5.0, lease=ServerLease("a", 5.0, 4.5))
    shown = Console(width=100, file=io.StringIO(), color_system=None)
    shown.print(status_table(state, server, is_held=True, clock=clock))
    server = ServerCanary("off", 0.0, ended="lease_expired")
    shown.print(status_table(state, server, is_held=False, clock=clock))
    said = " ".join(shown.file.getvalue().split())  # type: ignore[attr-defined]  # of the StringIO
    for part in (
        "server live 5 %", "lease this rollout's, 4.5 of 5 s left",
        "runner pid 7 on box, renewed 9.0 s ago",
        "counted 2 requests without an answer, 1 fallbacks", "1 gap, 7.0 s in all",
        "not scored 6 by model, 1 by budget",
        "server off 0 %, ended: lease_expired", "state left by its runner",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize("said", [["preflight"], ["run", "--dry-run"]])
def test_without_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """There is nothing to record; it is said how to come by one."""
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    done = run(app, ["canary", *said, "--url", "http://127.0.0.1:1"])
    assert isinstance(done.exception, EvidenceMissingError)
    assert "no candidate to lead" in str(done.exception)


@pytest.mark.server
@pytest.mark.slow
def test_before_a_rollout(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preflight and rehearsal record and change nothing; a live one takes the phrase, typed."""
    store = EvidenceStore(at.home.evidence)
    with serving(at) as started:
        url = ["--url", started.url]
        done = run(app, ["canary", "preflight", *url, "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert found["phrase"].startswith("CONFIRM: promote v2.0.0")
        assert found["thresholds"]["canary_abort.p95_ms"] == "p95_ms <= 120"
        record = store.newest("canary_preflight")
        assert record.details["lock"] == found["lock"]
        assert (record.value("in_order", "bytes"), record.value("in_order", "psi")) == (1, 0)

        done = run(app, ["canary", "run", "--dry-run", *url, "--json", *GIVEN])
        assert done.exit_code == 0, done.output
        assert [item["name"] for item in json.loads(done.stdout)["phases"]] == ["50%", "100%"]
        assert store.newest("canary_dryrun").details["mode"] == "dry_run"

        live = ["canary", "run", "--live", "--by", "ada", *url, *GIVEN]
        assert "shadow: MISSING" in str(run(app, live).exception)
        monkeypatch.setattr(Preflight, "missing", lambda *_, **__: ())
        refused = run(app, live, input="yes\n").exception
        assert isinstance(refused, PromotionRefusedError)
        ended = run(
            app,
            [
                *live,
            ],
            input=found["phrase"] + "\n",
        )
        assert not isinstance(ended.exception, MlwbError), ended.exception
        rollout = store.newest("canary_run")
        assert rollout.details["mode"] == "live"
        assert rollout.details["confirmation"] == store.newest("confirmation").run_id
        assert store.newest("confirmation").details["by"] == "ada"
