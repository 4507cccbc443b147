"""PSI validation judges held-out rows by the reference frozen in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import DataSchemaError, LeakageError
from mlwb.drift import bin_counts, fit_reference, psi_of_counts
from mlwb.drift.calibration import block_counts, block_null
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


def test_a_part_of_a_day_is_no_block() -> None:
    """The null rests on full days on both sides; all held-out rows still count in the index."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=20 * 1_440)
    reference = fit_reference("x", values, n_bins=10)
    training = np.asarray(block_counts(reference.edges, values, np.arange(len(values)) // 1_440))
    morning = bin_counts(reference.edges, np.full(200, 3.0))
    days = np.r_[np.repeat(np.arange(3), 1_440), np.full(200, 3)]
    held_out = np.r_[rng.normal(size=3 * 1_440), np.full(200, 3.0)]
    found = psi_validation._drift(reference, np.vstack([morning, training]), held_out, days)
    assert found.null is not None
    np.testing.assert_array_equal(
        found.null.scores, block_null("x", list(training), window_blocks=3).scores
    )
    assert found.psi.n_obs == len(held_out)
    (rolling,) = psi_validation._rolling([found])
    assert rolling < found.psi.value / 2.0
