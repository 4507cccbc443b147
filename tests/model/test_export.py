"""The ONNX graph: the same numbers as the model, the same bytes in every process."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from mlwb.core.arrays import Float2D
from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import DegenerateModelError, ExportError, ModelError
from mlwb.inference import Predictor
from mlwb.model import FittedModel, export_onnx, make_sidecar
from tests.model.forest_kit import forest
from tests.model.model_kit import TRIALS, facts, fitted

FAMILIES = list(TRIALS)
CODE = """
from mlwb.core.canonical import digest_bytes
from mlwb.model import export_onnx
from tests.model.forest_kit import forest
from tests.model.model_kit import TRIALS, fitted
for model in (*(fitted(family)[0] for family in TRIALS), forest()[0]):
    print(digest_bytes(export_onnx(model)))
"""


def predictor(model: FittedModel, X: Float2D) -> Predictor:
    """The exported graph in the runtime that serves it."""
    return Predictor.from_bytes(export_onnx(model), make_sidecar(facts(), X))


@pytest.mark.parametrize(("family", "tolerance"), [("logistic", 1e-12), ("boosting", 1e-6)])
def test_graph_reproduces_the_model(family: str, tolerance: float) -> None:
    """6,000 training rows and 2,000 far outside: within 1e-12 (logistic) or 1e-6 (boosting)."""
    model, X = fitted(family)
    rows = np.vstack([X, X[:1_000] * 50.0, X[:1_000] - 20.0])
    found = predictor(model, X).predict(rows)
    assert np.abs(found - model.predict(rows)).max() < tolerance
    assert np.ptp(found) > 0.3


@pytest.mark.parametrize("family", [*FAMILIES, "forest"])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(family: str) -> None:
    """What is served and what is replayed are one number, however rows come together."""
    model, X = forest() if family == "forest" else fitted(family)
    rows, found = X[:600], predictor(model, X)
    alone = np.array([found.predict_row(row) for row in rows.tolist()])
    for n in (2, 3, 7, 8, 9, 31, 100, 600):
        assert np.array_equal(found.predict(rows[:n]), alone[:n])


@pytest.mark.parametrize("family", FAMILIES)
def test_graph_takes_raw_features(family: str) -> None:
    """One float64 input of raw features, one vector of probabilities, nothing else."""
    model, _ = fitted(family)
    graph = onnx.load_model_from_string(export_onnx(model))
    assert [i.name for i in graph.graph.input] == ["features"]
    assert graph.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    assert [o.name for o in graph.graph.output] == ["probability"]
    assert len(graph.graph.output[0].type.tensor_type.shape.dim) == 1
    assert {item.name for item in graph.graph.initializer} >= {"lower", "upper", "mean", "scale"}


@pytest.mark.parametrize("family", FAMILIES)
def test_graph_says_nothing_about_where_it_was_made(family: str) -> None:
    """Fixed names, no versions, no stamps: what would make equal models differ is not in it."""
    graph = onnx.load_model_from_string(export_onnx(fitted(family)[0]))
    assert (graph.producer_name, graph.producer_version, graph.doc_string) == ("mlwb", "", "")
    assert (graph.graph.name, graph.graph.doc_string) == ("mlwb", "")
    assert graph.ir_version == 10
    assert {item.domain: item.version for item in graph.opset_import} == {"": 21, "ai.onnx.ml": 3}


@pytest.mark.parametrize("family", FAMILIES)
def test_clipping_is_in_the_graph(family: str) -> None:
    """Values beyond the winsor bounds score as the bounds do."""
    model, X = fitted(family)
    row = np.median(X, axis=0)
    at, beyond = row.copy(), row.copy()
    at[4], beyond[4] = model.scaler.upper_[4], model.scaler.upper_[4] + 1e6
    found = predictor(model, X).predict(np.vstack([at, beyond, row]))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("family", FAMILIES)
def test_export_twice_gives_the_same_bytes(family: str) -> None:
    """Within one process."""
    model, _ = fitted(family)
    assert export_onnx(model) == export_onnx(model)


@pytest.mark.slow
def test_bytes_are_the_same_in_every_process() -> None:
    """Three more processes with other hash seeds fit and export: one digest a family.

    The shipped ones, and one that is not.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CODE],
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "12345", "random")
    ]
    found = {process.communicate(timeout=120)[0] for process in running}
    models = [*(fitted(family)[0] for family in TRIALS), forest()[0]]
    here = "\n".join(digest_bytes(export_onnx(model)) for model in models)
    assert found == {here + "\n"}


def test_graph_that_does_not_fit_its_scaler_is_refused() -> None:
    """One coefficient too many: the checker's complaint becomes an export error."""
    model, _ = fitted("logistic")
    wrong = SimpleNamespace(coef_=np.ones((1, 9)), intercept_=np.zeros(1))
    with pytest.raises(ExportError, match="does not check"):
        export_onnx(replace(model, classifier=wrong))


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_broken_bytes_are_not_loaded(cut: int) -> None:
    """A truncated graph is refused where it is read."""
    model, X = fitted("logistic")
    with pytest.raises(ModelError, match="no ONNX graph"):
        Predictor.from_bytes(export_onnx(model)[:cut], make_sidecar(facts(), X))


def test_graph_with_a_coefficient_that_is_no_number_is_not_loaded() -> None:
    """NaN in, no probability out: refused before it could serve."""
    model, X = fitted("logistic")
    coef = model.classifier.coef_.copy()
    coef[0, 4] = np.nan
    broken = SimpleNamespace(coef_=coef, intercept_=model.classifier.intercept_)
    with pytest.raises(DegenerateModelError):
        predictor(replace(model, classifier=broken), X)
