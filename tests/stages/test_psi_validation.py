"""PSI validation judges held-out rows by the reference frozen in training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import DataSchemaError, DigestMismatchError, LeakageError
from mlwb.drift import psi_of_counts
from mlwb.params import load_policy
from mlwb.stages import psi_validation
from tests.stages.conftest import PARAMS, small


def test_the_snapshot_can_be_recomputed_from_the_file_alone(trained: Path) -> None:
    """Edges and counts in the record give the recorded index of every feature."""
    params = small("psi_validation", trained)
    result = psi_validation.measure(psi_validation.load(params))
    (record,) = psi_validation.record(result, params, ManualClock())
    for item in record.details["features"][:-1]:
        counts = [np.asarray(item[f"{side}_counts"]) for side in ("reference", "current")]
        again = psi_of_counts(item["name"], counts[0], counts[1]).value
        assert again == record.value("psi", item["name"])


def test_a_short_reference_leaves_the_gate_unproven(trained: Path) -> None:
    """Features without a null of their own cannot pass the PSI gate."""
    params = small("psi_validation", trained)
    result = psi_validation.measure(psi_validation.load(params))
    records = psi_validation.record(result, params, ManualClock())
    verdicts = psi_validation.judge(records, load_policy(PARAMS / "policy.yml"), ManualClock())
    assert verdicts[0].gate == "psi"
    assert not verdicts[0].is_pass


def test_a_window_the_version_was_trained_on_is_refused(trained: Path) -> None:
    """Moving the cut back would judge the model on its own training rows."""
    with pytest.raises(LeakageError, match="held-out window"):
        psi_validation.load(small("psi_validation", trained, **{"window.train_end": 0.62}))


def test_another_market_is_refused(trained: Path) -> None:
    """A version is judged on the market it was trained on."""
    with pytest.raises(DataSchemaError, match="another market"):
        psi_validation.load(small("psi_validation", trained, **{"data.symbol": "OTHER"}))


def test_a_reference_with_another_bit_is_refused(trained: Path, tmp_path: Path) -> None:
    """Whoever changes the reference of a version gets no measurement, not a wrong one."""
    shutil.copytree(trained / "artifacts", tmp_path / "artifacts", symlinks=True)
    path = tmp_path / "artifacts" / "models" / "v1.8.1" / "reference_distributions.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(DigestMismatchError, match="changed after it was published"):
        psi_validation.load(small("psi_validation", tmp_path))


def test_only_full_days_are_compared(trained: Path) -> None:
    """The hours at either end of the windows are another mixture: a clock would seem to drift."""
    inputs = psi_validation.load(small("psi_validation", trained))
    _, sizes = np.unique(inputs.ts // 86_400, return_counts=True)
    assert sizes.min() >= 0.75 * np.median(sizes)
    for frozen in inputs.reference.features.values():
        rows = frozen.blocks.daily.sum(axis=1)
        assert rows.min() >= 0.75 * np.median(rows)
    found = {item.name: item.psi.value for item in psi_validation.measure(inputs).features}
    assert max(found["minute_sin"], found["minute_cos"]) < 0.001
