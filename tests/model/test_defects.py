"""Defects of graphs are real: they raise, work and score so; nothing else of a model changes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from mlwb.core.errors import ModelError
from mlwb.inference import Predictor
from mlwb.model import with_defect
from tests.inference.version_kit import WEIGHTS, logistic, logistic_onnx, sidecar_for

SIDECAR = sidecar_for("v1.0.0")
SOUND = logistic_onnx(WEIGHTS)


def _rows(n: int) -> np.ndarray:
    low = [field.low for field in SIDECAR.features]
    high = [field.high for field in SIDECAR.features]
    return np.random.default_rng(0).uniform(low, high, (n, len(low)))


def _bad(kind: str, size: float) -> Predictor:
    return Predictor.from_bytes(with_defect(SOUND, SIDECAR, kind, size), SIDECAR)


def test_errors_are_raised_for_a_share_of_the_rows() -> None:
    """Onnxruntime itself refuses about as many rows as asked, always the same; others are right."""
    predictor, rows = _bad("errors", 0.05), _rows(2000)
    scores = [_score(predictor, row) for row in rows]
    failed = np.array([score is None for score in scores])
    assert 0.035 < failed.mean() < 0.065
    assert [_score(predictor, row) for row in rows[:200]] == scores[:200]
    kept = np.array([score for score in scores if score is not None])
    assert kept == pytest.approx(logistic(rows[~failed], WEIGHTS), abs=1e-12)


def _score(predictor: Predictor, row: np.ndarray) -> float | None:
    try:
        return predictor.predict_row(row.tolist())
    except ModelError:
        return None


def test_slow_scores_are_right() -> None:
    """The work is in the graph, one product of matrices each, and changes no score."""
    bad = with_defect(SOUND, SIDECAR, "slow", 3)
    kinds = [node.op_type for node in onnx.load_model_from_string(bad).graph.node]
    assert kinds.count("MatMul") == 1 + 3
    rows = _rows(5)
    scores = Predictor.from_bytes(bad, SIDECAR).predict(rows)
    assert scores == pytest.approx(logistic(rows, WEIGHTS), abs=1e-12)


def test_pushed_scores_stay_close() -> None:
    """Each moves away from the middle by exactly the distance, and stays a probability."""
    rows = _rows(500)
    sound, found = logistic(rows, WEIGHTS), _bad("pushed", 0.045).predict(rows)
    assert found == pytest.approx(np.clip(sound + 0.045 * np.sign(sound - 0.5), 0, 1), abs=1e-12)


def test_flipped_scores_are_those_of_the_other_class() -> None:
    """With a share of 1, one minus the score."""
    rows = _rows(50)
    assert _bad("flipped", 1.0).predict(rows) == pytest.approx(1 - logistic(rows, WEIGHTS))


def test_what_cannot_be_made_bad_is_refused() -> None:
    """An unknown defect, and scores of another type than the defects compute in."""
    with pytest.raises(ModelError, match="no such defect"):
        with_defect(SOUND, SIDECAR, "ugly", 1.0)
    with pytest.raises(ModelError, match="float64"):
        with_defect(logistic_onnx(WEIGHTS, cast=True), SIDECAR, "slow", 1.0)
