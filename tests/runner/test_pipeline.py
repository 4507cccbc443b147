"""The whole loop on a small market: what it leaves, and what it leaves alone when it stops."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from mlwb.core.canonical import digest_file, parse_json
from mlwb.core.clock import SystemClock
from mlwb.core.errors import (
    DataRejectedError,
    LockHeldError,
    NotebookFailedError,
    UnknownParameterError,
)
from mlwb.core.home import Home, find_project
from mlwb.evidence import EvidenceStore, metrics_digest
from mlwb.params import RunParams, load_params
from mlwb.registry import Registry
from mlwb.runner import STEPS, Event, Options, finish_run, past_runs, run_loop
from mlwb.runner._command import command_line

pytestmark = [pytest.mark.slow, pytest.mark.notebook, pytest.mark.server]
PROJECT = find_project()


def options(root: Path, **changes: object) -> Options:
    """The ci profile in a home of its own."""
    found = Options(home=Home(PROJECT, root), profile="ci", policy="policy.demo.yml")
    return replace(found, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """One whole run."""
    root = tmp_path_factory.mktemp("home with spaces é")
    events: list[Event] = []
    chosen = options(root)
    outcome = run_loop(chosen, SystemClock(), events.append)
    assert outcome.error is None, outcome.error
    finish_run(chosen, outcome)
    return root, events


def test_a_run_leaves_reports_evidence_and_a_version(finished: tuple[Path, list[Event]]) -> None:
    """Five notebooks and pages, a sound ledger, a candidate that verifies, one index."""
    root, events = finished
    latest = root / "outputs" / "latest"
    names = {path.name for path in latest.iterdir()}
    assert {"index.html", "run.json", "02_training.html", "05_release_review.ipynb"} <= names
    assert not EvidenceStore(root / "evidence" / "ml").verify()
    registry = Registry(root / "artifacts" / "models", clock=SystemClock())
    assert (registry.latest(), registry.candidate()) == ("v1.8.0", "v1.8.1")
    assert not registry.doctor()
    assert [event.step for event in events if event.kind == "done"] == list(STEPS)


def test_the_run_record_names_the_bytes_it_left(finished: tuple[Path, list[Event]]) -> None:
    """run.json holds the digest of every notebook and page of the run."""
    root, _ = finished
    latest = root / "outputs" / "latest"
    stored = parse_json((latest / "run.json").read_bytes())
    assert stored["files"]
    for name, digest in stored["files"].items():
        assert digest_file(latest / name) == digest
    assert past_runs(root / "outputs") == [stored]


def test_every_page_stands_alone(finished: tuple[Path, list[Event]]) -> None:
    """No page loads anything, and each says so in a content security policy."""
    root, _ = finished
    pages = [*(root / "outputs" / "latest").glob("*.html"), root / "outputs" / "index.html"]
    assert len(pages) == 7
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        loads = re.findall(r'(?:src|href)="(?!data:|#|[\w./-]+\.html)[^"]*"', text)
        assert not loads, (page.name, loads)
        assert str(PROJECT) not in text
        assert str(root) not in text


def test_no_evidence_holds_a_folder_of_this_machine(finished: tuple[Path, list[Event]]) -> None:
    """Records travel: they name files and models, never absolute paths."""
    root, _ = finished
    for path in (root / "evidence" / "ml").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert str(PROJECT) not in text
        assert str(root) not in text


def test_the_measured_gates_are_real(finished: tuple[Path, list[Event]]) -> None:
    """Signal, parity, perf and canary pass on what was measured; nothing is waived but dwell."""
    root, _ = finished
    decision = EvidenceStore(root / "evidence" / "ml").newest("decision")
    found = {verdict["gate"]: verdict for verdict in decision.details["verdicts"]}
    for gate in ("data", "signal", "wf", "parity", "schema", "canary", "evidence"):
        assert found[gate]["outcome"] == "PASS", found[gate]
    waived = {gate for gate, verdict in found.items() if verdict["waived"]}
    assert waived == {"nightly", "validation", "confirmation"}


def test_served_scores_are_the_offline_scores(finished: tuple[Path, list[Event]]) -> None:
    """Every smoke answer equals the champion's score of the same row computed in batch."""
    root, _ = finished
    smoke = EvidenceStore(root / "evidence" / "ml").newest("smoke")
    metric = smoke.metric("score_mismatches")
    assert (metric.k, metric.n) == (0, 200)


def test_served_features_are_the_offline_features(finished: tuple[Path, list[Event]]) -> None:
    """What the server made of held-out bars is what batch makes of them, to the last bit."""
    root, _ = finished
    served = EvidenceStore(root / "evidence" / "ml").newest("served_features")
    metric = served.metric("served_mismatches")
    assert metric.value == 0
    assert metric.n is not None
    assert metric.n >= 1_000


def test_a_notebook_that_raises_stops_the_run(
    finished: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    """The page says which step, the registry and latest stay as they were."""
    root = tmp_path / "home"
    shutil.copytree(finished[0], root, symlinks=True)
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "notebooks", project / "notebooks")
    shutil.copytree(PROJECT / "params", project / "params")
    path = project / "notebooks" / "01_feature_study.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][5]["source"] = ["raise ValueError('planted <b>fault</b>')"]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    before = sorted(p.name for p in (root / "artifacts" / "models").iterdir())
    chosen = options(root, home=Home(project, root))
    outcome = run_loop(chosen, SystemClock(), lambda _: None)
    assert isinstance(outcome.error, NotebookFailedError)
    assert "planted" in str(outcome.error)
    summary = finish_run(chosen, outcome)
    assert not summary["promote"]
    page = (root / "outputs" / "latest" / "index.html").read_text(encoding="utf-8")
    assert "planted &lt;b&gt;fault" in page
    assert sorted(p.name for p in (root / "artifacts" / "models").iterdir()) == before


def broken_market(path: Path) -> Path:
    """Sixteen days of bars with three frozen hours and a two-hour hole."""
    rng = np.random.default_rng(3)
    n = 16 * 1440
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 5e-4, n)))
    volume = rng.uniform(1, 9, n)
    close[5000:5180], volume[5000:5180] = close[5000], 0.0
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2026-01-05", periods=n, freq="min", tz="UTC").strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            ),
            **dict.fromkeys(("open", "high", "low", "close"), close),
            "volume": volume,
        }
    )
    frame.drop(index=range(9000, 9120)).to_csv(path, index=False)
    return path


def test_refused_data_never_becomes_a_model(tmp_path: Path) -> None:
    """The data gate names the defects; evidence and a page are left, no version."""
    market = broken_market(tmp_path / "bars.csv")
    chosen = options(tmp_path / "home", overrides={"data.source": [str(market)]})
    outcome = run_loop(chosen, SystemClock(), lambda _: None)
    assert isinstance(outcome.error, DataRejectedError)
    assert outcome.error.exit_code == 3
    finish_run(chosen, outcome)
    page = (tmp_path / "home" / "outputs" / "latest" / "index.html").read_text(encoding="utf-8")
    assert "179 bars in 1 runs are frozen" in page
    assert "misses 120 bars" in page
    assert not list((tmp_path / "home" / "artifacts").glob("models/v*"))


def test_a_second_run_in_the_same_home_is_refused(tmp_path: Path) -> None:
    """Two runs would take the same version; the second is told so at once."""
    (tmp_path / "artifacts").mkdir()
    with FileLock(tmp_path / "artifacts" / ".run.lock"), pytest.raises(LockHeldError):
        run_loop(options(tmp_path), SystemClock(), lambda _: None)


def test_a_page_names_the_command_that_was_typed() -> None:
    """The one that was run, with its options; folders are left out of pages."""
    given = {
        "data.source": [str(Path("folder").absolute() / "bars.csv")],
        "label.kind": "direction",
    }
    options = Options(home=Home(Path(), Path()), overrides=given, command="train")
    assert command_line(options) == "mlwb train --data bars.csv -p label.kind=direction"
    assert command_line(Options(options.home, cold=True)) == "mlwb run --cold"


def test_a_parameter_typo_starts_nothing(tmp_path: Path) -> None:
    """An override nobody knows is refused before a directory is made."""
    chosen = options(tmp_path / "home", overrides={"label.kin": "direction"})
    with pytest.raises(UnknownParameterError, match=r"label\.kind"):
        run_loop(chosen, SystemClock(), lambda _: None)
    assert not (tmp_path / "home" / "outputs").exists()


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("feature_study", "feature_study"),
        ("training", "offline_report"),
        ("psi_validation", "psi_snapshot"),
        ("canary_analysis", "canary_run"),
    ],
)
def test_a_notebook_and_its_stage_give_the_same_evidence(
    stage: str, kind: str, finished: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    """The digest of what was measured is equal, whether papermill or a plain call measured it."""
    root = tmp_path / "home"
    shutil.copytree(finished[0], root, symlinks=True)
    if stage == "training":
        shutil.rmtree(root / "artifacts")
    params = load_params(stage, PROJECT / "params", profile="ci")
    params = replace(params, run=RunParams(str(root), "v1.8.1", "policy.demo.yml", ""))
    module = importlib.import_module(f"mlwb.stages.{stage}")
    records = module.record(module.measure(module.load(params)), params, SystemClock())
    written = EvidenceStore(finished[0] / "evidence" / "ml").newest(kind)
    (again,) = (record for record in records if record.kind == kind)
    assert metrics_digest(again) == metrics_digest(written)
