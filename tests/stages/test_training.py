"""Training publishes what it measured, and measures the same twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlwb.core.canonical import parse_json
from mlwb.core.clock import ManualClock
from mlwb.evidence import EvidenceStore, metrics_digest
from mlwb.inference import Predictor
from mlwb.params import load_policy
from mlwb.registry import Registry
from mlwb.stages import training
from tests.stages.conftest import PARAMS, small

KINDS = ("offline_report", "significance", "ablation", "walk_forward", "pnl", "parity")


def test_an_empty_registry_gets_a_champion_and_a_candidate(trained: Path) -> None:
    """The first training leaves v1.8.0 as latest, v1.8.1 as candidate, both verified."""
    registry = Registry(trained / "artifacts" / "models", clock=ManualClock())
    assert (registry.latest(), registry.candidate()) == ("v1.8.0", "v1.8.1")
    assert not registry.doctor()
    manifest = parse_json((registry.resolve("v1.8.0") / "training_manifest.json").read_bytes())
    assert manifest["role"] == "bootstrap"


@pytest.mark.slow
def test_the_same_training_measures_the_same(trained: Path, tmp_path: Path) -> None:
    """A second training elsewhere gives the same metrics and the same ONNX bytes."""
    params = small("training", tmp_path)
    again = training.record(training.measure(training.load(params)), params, ManualClock())
    store = EvidenceStore(trained / "evidence" / "ml")
    for record in again:
        if record.kind in KINDS:
            assert metrics_digest(record) == metrics_digest(store.newest(record.kind)), record.kind
    first, second = (
        (home / "artifacts" / "models" / "v1.8.1" / "model.onnx").read_bytes()
        for home in (trained, tmp_path)
    )
    assert first == second


def test_a_feature_of_ones_own_is_shuffled_and_dropped_like_any(tmp_path: Path) -> None:
    """What the model leans on, and what does harm, count a feature from a file by its name."""
    module = tmp_path / "mine.py"
    module.write_text(
        "from mlwb.core.bars import HIGH, LOW\n"
        "from mlwb.features import FeatureSpec\n"
        "def bar_range(state, bar):\n"
        "    return bar[HIGH] / bar[LOW] - 1.0\n"
        "FEATURES = (FeatureSpec('bar_range', '1', bar_range, (0.0,), 0, ('high', 'low'), 'x'),)\n"
    )
    overrides = {
        "features.modules": [str(module)],
        "features.names": ["bias", "vol1m_log", "bar_range"],
        "search.families": ["logistic"],
        "search.c": [0.1],
    }
    found = training.measure(training.load(small("training", tmp_path / "home", **overrides)))
    assert set(found.proof.importance.names) == {"book", "bar_range"}
    assert {effect.group for effect in found.effects} == {"book", "bar_range"}


def test_the_published_graph_scores_what_training_scored(trained: Path) -> None:
    """The version on disk reproduces its golden rows and its sidecar order."""
    predictor = Predictor.load(trained / "artifacts" / "models" / "v1.8.1")
    assert predictor.golden is not None
    rows, scores = predictor.golden.arrays()
    np.testing.assert_allclose(predictor.predict(rows), scores, atol=1e-12)
    assert predictor.sidecar.names[0] == "bias"


def test_changes_say_what_differs_from_the_version_before(trained: Path) -> None:
    """CHANGES.md sets windows and AUC side by side; the first version follows nothing."""
    models = trained / "artifacts" / "models"
    first, second = ((models / v / "CHANGES.md").read_text() for v in ("v1.8.0", "v1.8.1"))
    assert first.endswith("- follows nothing\n")
    assert "| | v1.8.0 | v1.8.1 |" in second
    rows = {line.split("`")[1] for line in second.splitlines() if line.startswith("| `")}
    assert {"data_window", "n_rows", "offline_metrics.auc"} <= rows
    assert not [name for name in rows if name.startswith("artifacts.")]


def test_a_second_training_is_held_against_the_champion(trained: Path, tmp_path: Path) -> None:
    """With a comparable champion in latest no bootstrap is trained, and it is named."""
    import shutil

    shutil.copytree(trained, tmp_path / "home", symlinks=True)
    inputs = training.load(small("training", tmp_path / "home"))
    assert (inputs.champion, inputs.version) == ("v1.8.0", "v1.8.2")


def test_another_label_gets_a_champion_of_its_own(trained: Path) -> None:
    """A direction model is never compared with a volatility model."""
    inputs = training.load(small("training", trained, **{"label.kind": "direction"}))
    assert inputs.champion == ""
    assert training.bootstrap_version("v1.8.2", inputs.taken) == "v1.8.2-bootstrap"


@pytest.mark.slow
def test_a_direction_label_is_refused_on_a_market_without_direction(tmp_path: Path) -> None:
    """The synthetic market has no direction edge, and the signal gate says so."""
    params = small("training", tmp_path, **{"label.kind": "direction"})
    records = training.record(training.measure(training.load(params)), params, ManualClock())
    policy = load_policy(PARAMS / "policy.yml")
    verdicts = {v.gate: v for v in training.judge(records, policy, ManualClock())}
    assert verdicts["signal"].outcome == "FAIL"
    assert verdicts["pnl"].severity == "hard"


def test_no_label_crosses_the_cut_to_the_heldout_window(tmp_path: Path) -> None:
    """Every training label resolves before the cut, every held-out one is decided after it."""
    inputs = training.load(small("training", tmp_path, **{"label.horizon_s": 3600}))
    cut = inputs.prepared.windows.train_end
    assert inputs.train.t1.max() <= cut <= inputs.holdout.t0.min()
