"""PSI validation judges held-out rows by the reference frozen in training."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss  # type: ignore[import-untyped]

from mlwb.core.clock import ManualClock
from mlwb.core.errors import DataSchemaError, DigestMismatchError, LeakageError
from mlwb.drift import SCORE, STATISTICS, LossDays, psi_of_counts
from mlwb.drift.calibration import block_null
from mlwb.gates import Outcome
from mlwb.params import load_policy
from mlwb.report._drift_rows import DriftRow, drift_rows, overall_row
from mlwb.stages import psi_validation
from mlwb.stages._psi_validation_losses import loss_metrics, realised
from mlwb.stages.common import store_of
from mlwb.stages.psi_validation import Result
from tests.stages.conftest import PARAMS, small


@pytest.fixture(scope="module")
def snapshot(trained: Path) -> tuple[Result, dict[str, Any]]:
    """What was measured, and the evidence as a stranger reads it: JSON from a file."""
    params = small("psi_validation", trained)
    result = psi_validation.measure(psi_validation.load(params))
    psi_validation.record(result, params, ManualClock())
    stored = (trained / "evidence" / "ml" / "psi_snapshot.json").read_text(encoding="utf-8")
    return result, json.loads(stored)


def plain_psi(before: list[int], now: list[int], smoothing: float) -> float:
    """The index in plain Python, from the words of the spec alone."""
    used = [(a + smoothing, b + smoothing) for a, b in zip(before, now, strict=True) if a + b]
    n, m = (sum(side) for side in zip(*used, strict=True))
    return math.fsum((b / m - a / n) * math.log((b / m) / (a / n)) for a, b in used)


def added(rows: list[list[int]]) -> list[int]:
    """Counts together."""
    return [sum(column) for column in zip(*rows, strict=True)]


def values(stored: dict[str, Any], name: str) -> dict[str, Any]:
    """A metric by segment."""
    return {m.get("segment", ""): m["value"] for m in stored["metrics"] if m["name"] == name}


def test_every_index_can_be_recomputed_from_the_file_alone(snapshot: Any) -> None:
    """Plain Python, the JSON file and its spec give the index, its null, its recent past."""
    _, stored = snapshot
    details, recorded = stored["details"], values(stored, "psi")
    assert details["spec"]["log"] == "natural"
    smoothing = details["spec"]["smoothing"]
    for item in details["features"]:
        before, now = item["reference_counts"], item["current_counts"]
        found = plain_psi(before, now, smoothing)
        name = item["name"]
        expected = recorded.get(name, values(stored, "prediction_psi").get(""))
        assert found == pytest.approx(expected, abs=1e-12)
        assert sum(item["per_bin"]) == pytest.approx(expected, abs=1e-12)
        by_day, width = item["reference_by_day"], details["full_days"]
        recent = values(stored, "psi_recent").get(name)
        if recent is not None:
            again = plain_psi(added(by_day[-width:]), now, smoothing)
            assert again == pytest.approx(recent, abs=1e-12)


def test_what_chance_gives_can_be_recomputed_from_the_file_alone(snapshot: Any) -> None:
    """Counts by day give the law, and scipy's F gives the p value and the 95 % quantile."""
    _, stored = snapshot
    p_values, ends = values(stored, "p_block"), values(stored, "psi_null95")
    for item in stored["details"]["features"][:-1]:
        law, name = item["null"], item["name"]
        days = np.asarray(item["reference_by_day"], dtype=np.int64)
        again = block_null(name, days, window_blocks=stored["details"]["full_days"])
        assert (again.mean, again.degrees, again.memory) == pytest.approx(
            (law["mean"], law["degrees"], law["memory"])
        )
        if law["mean"] > 0.0:
            chance = stats.f(law["degrees"], law["degrees"] * (law["n_blocks"] - 1))
            value = values(stored, "psi")[name]
            assert p_values[name] == pytest.approx(chance.sf(value / law["mean"]))
            assert ends[name] == pytest.approx(law["mean"] * chance.ppf(0.95))


def test_counts_by_day_block_and_hour_are_the_same_rows(snapshot: Any) -> None:
    """However the rows are counted, they are the rows."""
    _, stored = snapshot
    for item in stored["details"]["features"]:
        assert added(item["reference_by_day"]) == item["reference_counts"]
        assert added(item["reference_by_hour"]) == item["reference_counts"]
        assert added(item["current_by_block"]) == item["current_counts"]
        assert added(item["current_by_hour"]) == item["current_counts"]


def test_what_is_missing_is_told_apart_exactly(snapshot: Any) -> None:
    """The part of missing bars and the part of finite values add up to the index of all bars."""
    result, stored = snapshot
    parts = values(stored, "psi_missing"), values(stored, "psi_finite")
    for item in result.features:
        whole = psi_of_counts(item.name, item.missing.reference, item.missing.current).value
        assert sum(part[item.name] for part in parts) == pytest.approx(whole, abs=1e-12)
        k = int(item.missing.current[-3:].sum())
        share = values(stored, "missing_share_heldout")[item.name]
        assert share == pytest.approx(k / item.missing.current.sum())


def test_p_values_are_adjusted_over_what_is_judged(snapshot: Any) -> None:
    """Holm counts the features that can be judged, Benjamini-Hochberg every one with a null."""
    result, _ = snapshot
    judged = [item for item in result.features if item.is_gateable]
    raw = {item.name: item.calibrated.p_value for item in result.features}
    assert 0 < len(judged) < len(result.features)
    for item in result.features:
        assert (item.p_holm is None) == (not item.is_gateable)
    smallest = min(judged, key=lambda item: raw[item.name])
    assert smallest.p_holm == pytest.approx(min(1.0, len(judged) * raw[smallest.name]))
    largest = max(result.features, key=lambda item: raw[item.name])
    assert largest.q_bh == pytest.approx(raw[largest.name])


def test_other_statistics_meet_the_same_windows(snapshot: Any) -> None:
    """A distance is compared with itself on the windows that the index was compared with."""
    result, _ = snapshot
    for item in (*result.features, result.prediction):
        for other in item.others:
            again = STATISTICS[other.name](item.reference.counts, item.current)
            assert other.value == pytest.approx(again)
            assert len(other.scores) == len(item.null.scores)
            assert 0.0 < other.p_value <= 1.0


def test_a_short_reference_leaves_the_gates_unproven(snapshot: Any, trained: Path) -> None:
    """Days that chance alone carries over a limit are no pass and no failure."""
    result, stored = snapshot
    policy = load_policy(PARAMS / "policy.yml")
    store = store_of(small("psi_validation", trained).run)
    record = store.read(stored["run_id"])
    for verdict in psi_validation.judge([record], policy, ManualClock()):
        assert verdict.outcome is Outcome.UNPROVEN
    blind = [item.name for item in result.features if not item.is_gateable]
    (named,) = [
        check.reason
        for check in psi_validation.judge([record], policy, ManualClock())[0].checks
        if check.id == "psi.not_gateable"
    ]
    assert all(name in named for name in blind)


def test_the_terminal_reads_from_evidence_what_was_measured(snapshot: Any, trained: Path) -> None:
    """Rows made of the record say what the rows of the result say."""
    result, stored = snapshot
    record = store_of(small("psi_validation", trained).run).read(stored["run_id"])
    fields = [field.name for field in dataclasses.fields(DriftRow)]
    pairs = [*zip(result.features, drift_rows(record), strict=True)]
    for measured, read in [*pairs, (result.overall, overall_row(record))]:
        for field in set(fields) - {"n_eff"}:
            assert getattr(read, field) == pytest.approx(getattr(measured, field)), field


def test_a_window_the_version_was_trained_on_is_refused(trained: Path) -> None:
    """Moving the cut back would judge the model on its own training rows."""
    with pytest.raises(LeakageError, match="held-out window"):
        psi_validation.load(small("psi_validation", trained, **{"window.train_end": 0.62}))


def test_another_market_is_refused(trained: Path) -> None:
    """A version is judged on the market it was trained on."""
    with pytest.raises(DataSchemaError, match="another market"):
        psi_validation.load(small("psi_validation", trained, **{"data.symbol": "OTHER"}))


@pytest.mark.slow
def test_another_market_under_the_same_name_is_refused(trained: Path) -> None:
    """The days of training must hold the rows that training counted, whatever the symbol says."""
    with pytest.raises(DataSchemaError, match=r"another market.* 0 of \d+ of those days"):
        psi_validation.load(small("psi_validation", trained, **{"data.seed": 99}))


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


def test_losses_are_those_of_matured_labels(snapshot: Any) -> None:
    """scikit-learn's Brier loss on the same held-out rows, and training's kept by the version."""
    result, stored = snapshot
    inputs, prepared = result.inputs, result.inputs.prepared
    labels = prepared.labels(inputs.label)
    rows = np.isin(prepared.ts, inputs.ts) & labels.valid
    probability = inputs.current[SCORE][np.isin(inputs.ts, prepared.ts[rows])]
    (heldout,) = values(stored, "brier_heldout").values()
    assert heldout == pytest.approx(brier_score_loss(labels.y[rows], probability), abs=1e-12)
    (expected,) = values(stored, "brier_expected").values()
    assert expected == pytest.approx(float(np.mean(probability * (1.0 - probability))))
    kept = LossDays.from_json(stored["details"]["losses"]["before"])
    assert kept.days.tolist() == inputs.reference.losses.days.tolist()
    (before,) = values(stored, "brier_reference").values()
    assert before == pytest.approx(kept.brier.sum() / kept.rows.sum())


def test_predictions_that_became_worse_are_noticed(snapshot: Any) -> None:
    """Scores turned around cost more, earn evidence of harm and lose their calibration."""
    inputs = snapshot[0].inputs
    turned = {**inputs.current, SCORE: 1.0 - inputs.current[SCORE]}
    good, bad = realised(inputs), realised(dataclasses.replace(inputs, current=turned))
    assert good is not None
    assert bad is not None
    assert bad.brier[1] > good.brier[1] + 0.02
    assert bad.e_value is not None
    assert good.e_value is not None
    assert bad.e_value > max(2.0, good.e_value)
    assert bad.calibration.slope < 0.0 < good.calibration.slope


def test_a_version_without_losses_measures_none(snapshot: Any) -> None:
    """No reference for losses: no number, and a reason."""
    inputs = snapshot[0].inputs
    bare = dataclasses.replace(inputs.reference, losses=None)
    assert realised(dataclasses.replace(inputs, reference=bare)) is None
    assert {metric.value for metric in loss_metrics(None)} == {None}
    assert all(metric.null_reason for metric in loss_metrics(None))
