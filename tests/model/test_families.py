"""Families: two are shipped, any other is a class somewhere and a name that points to it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DegenerateModelError, ExportError, ParamsError
from mlwb.inference import Predictor
from mlwb.model import (
    FAMILIES,
    Family,
    FittedModel,
    PurgedKFold,
    Trial,
    choose,
    export_onnx,
    family_digest,
    find_family,
    fit_model,
    make_graph,
    make_sidecar,
    make_trials,
    measure_parity,
    parity_rows,
    search,
)
from mlwb.model import _families as families
from tests.model import forest_kit
from tests.model.forest_kit import FOREST_NAME, forest
from tests.model.model_kit import TRIALS, dataset, facts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"


def served(model: FittedModel) -> Predictor:
    """The graph in the runtime that serves it."""
    return Predictor.from_bytes(export_onnx(model), make_sidecar(facts(), dataset(6_000).X))


def test_shipped_families_are_found_by_name() -> None:
    """Under the names that parameters use, in the order tables show."""
    assert list(FAMILIES) == ["logistic", "boosting"]
    assert all(find_family(name) is family for name, family in FAMILIES.items())
    assert [FAMILIES[name].dtype for name in FAMILIES] == [np.float64, np.float32]


def test_family_elsewhere_is_found_by_reference() -> None:
    """The object itself, without telling anybody about it before."""
    assert find_family(FOREST_NAME) is forest_kit.FOREST


def test_family_in_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    """As written on the page, in a file beside the project; an edited file is read again."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?class Forest.*?)```", text, flags=re.DOTALL)
    assert block is not None
    path = tmp_path / "my_trees.py"
    path.write_text(block[1], encoding="utf-8")
    name = f"{path}:FOREST"
    family = find_family(name)
    assert type(family).__name__ == "Forest"
    assert find_family(name) is family
    data = dataset(1_500)
    trial = make_trials([name], c=[1.0], seed=0)[1]
    assert trial.name == "FOREST depth=6"
    model = fit_model(trial, data.X, data.y)
    found = measure_parity(model, served(model), parity_rows(model, data.X, seed=0))
    assert (found.n_above, found.flips) == (0, 0)
    assert len(family.thresholds(model.classifier, 4)) > 20
    path.write_text(block[1].replace("(3.0, 6.0)", "(4.0,)"), encoding="utf-8")
    assert [t.name for t in make_trials([name], c=[1.0], seed=0)] == ["FOREST depth=4"]


def test_broken_file_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    """What its import raised is told, every time it is tried."""
    path = tmp_path / "broken.py"
    path.write_text("import no_such_library", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ParamsError, match="No module named 'no_such_library'"):
            find_family(f"{path}:FOREST")


@pytest.mark.parametrize(
    "name",
    [
        "forest",
        "",
        "tests.model.forest_kit",
        "tests.model.forest_kit:OAK",
        "tests.model.forest_kit:NOT_A_FAMILY",
        "tests.model.no_such_module:FOREST",
        ":FOREST",
        "no_such_file.py:FOREST",
    ],
)
def test_what_is_no_family_is_refused(name: str) -> None:
    """Unknown names, modules and attributes, and objects of another kind."""
    with pytest.raises(ParamsError, match="no such model family; expected logistic, boosting or"):
        find_family(name)


def test_trials_are_every_combination() -> None:
    """Strengths for the linear family, the grid for another, in the order given."""
    found = make_trials(["logistic", FOREST_NAME, "boosting"], c=[0.1, 1.0], seed=5)
    assert [trial.name for trial in found] == [
        "logistic C=0.1",
        "logistic C=1",
        "FOREST depth=3",
        "FOREST depth=6",
        "boosting",
    ]
    assert {trial.seed for trial in found} == {5}
    assert found[3].settings == (("depth", 6.0),)
    assert found[3].c == found[4].c == 1.0


def test_other_family_goes_through_the_whole_search() -> None:
    """Its trials are validated like the shipped ones, and it can be chosen."""
    data = dataset(2_000)
    trials = make_trials(["logistic", FOREST_NAME], c=[1.0], seed=0)
    results = search(data, trials, PurgedKFold(data.t0, data.t1, n_splits=3))
    assert [r.trial for r in results] == trials
    assert min(r.out_of_fold.mean_auc for r in results) > 0.65
    assert choose(results, margin=-1.0).out_of_fold.mean_auc == max(
        r.out_of_fold.mean_auc for r in results
    )


def test_other_family_keeps_parity() -> None:
    """On 100,000 rows, split thresholds and both their float32 neighbours among them."""
    model, X = forest()
    rows = parity_rows(model, X, seed=0)
    found = measure_parity(model, served(model), rows)
    assert found.n_rows >= 100_000
    assert found.max_abs_diff < 1e-6
    assert (found.n_above, found.flips) == (0, 0)
    seen = model.scaler.transform(rows).astype(np.float32)
    for column in range(1, X.shape[1]):
        at = forest_kit.FOREST.thresholds(model.classifier, column).astype(np.float32)
        for wanted in (at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(9))):
            assert np.isin(wanted, seen[:, column]).all()


def test_predictions_jump_at_the_thresholds_a_family_names() -> None:
    """Scanned on a fine grid, every jump of the forest lies at one of them."""
    model, X = forest()
    scaled = np.tile(np.median(model.scaler.transform(X), axis=0), (20_001, 1))
    scaled[:, 4] = np.linspace(-2.0, 2.0, 20_001)
    scaled = scaled.astype(np.float32)
    found = model.classifier.predict_proba(scaled)[:, 1]
    named = forest_kit.FOREST.thresholds(model.classifier, 4)
    jumps = [
        (low, high)
        for (low, before), (high, after) in pairwise(zip(scaled[:, 4].tolist(), found, strict=True))
        if before != after
    ]
    assert len(jumps) > 20
    assert all(((named >= low) & (named <= high)).any() for low, high in jumps)


class _Float64Forest(forest_kit.Forest):
    """The mistake the type rule is there to prevent."""

    dtype = np.float64  # type: ignore[assignment]


FLOAT64_FOREST = _Float64Forest()


def test_wrong_type_rule_cannot_be_exported() -> None:
    """A float32 graph behind float64 scaling is named; the ONNX checker alone lets it pass."""
    data = dataset(1_000)
    trial = Trial("tests.model.test_families:FLOAT64_FOREST", settings=(("depth", 3.0),))
    with pytest.raises(ExportError, match="input must be float64"):
        export_onnx(fit_model(trial, data.X, data.y))


class _Misnamed(Family):
    """A family whose graph gives its output a name of its own."""

    def build(self, trial: Trial) -> Any:
        """The logistic one."""
        return FAMILIES["logistic"].build(trial)

    def graph(self, classifier: Any, n_features: int) -> onnx.ModelProto:  # noqa: ARG002 - a family's signature
        """One node, misnamed."""
        graph = make_graph(
            [helper.make_node("ReduceMean", ["scaled"], ["probability"], keepdims=0)],
            [],
            n_features,
        )
        graph.graph.output[0].name = "score"
        return graph


MISNAMED = _Misnamed()


def test_graph_without_a_probability_is_refused() -> None:
    """The contract is said in the message."""
    data = dataset(500)
    model = fit_model(Trial("tests.model.test_families:MISNAMED"), data.X, data.y)
    with pytest.raises(ExportError, match="must be named probability"):
        export_onnx(model)


def test_family_without_thresholds_has_no_edges_of_its_own() -> None:
    """A linear model jumps nowhere."""
    model = fit_model(TRIALS["logistic"], dataset(500).X, dataset(500).y)
    assert model.family.thresholds(model.classifier, 1).tolist() == []


@pytest.mark.parametrize("family", ["logistic", "boosting", FOREST_NAME])
def test_equal_weights_change_nothing(family: str) -> None:
    """Whatever their size: labels that all overlap alike are labels that do not."""
    data = dataset(800)
    trial = make_trials([family], c=[1.0], seed=0)[0]
    plain = fit_model(trial, data.X, data.y).predict(data.X)
    same = fit_model(trial, data.X, data.y, np.full(800, 0.2)).predict(data.X)
    np.testing.assert_array_equal(plain, same)


def _repeated(data_weight: Float1D) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.repeat(np.arange(len(data_weight)), data_weight.astype(int))


def test_weight_is_how_often_a_row_counts() -> None:
    """A logistic fit on weights 1 and 3 is the fit on rows repeated once and three times.

    The penalty is scaled by the mean weight, so C is divided by it for the repeated rows.
    """
    data = dataset(2_000)
    weight = np.where(np.arange(2_000) % 3 == 0, 3.0, 1.0)
    rows = _repeated(weight)
    weighted = fit_model(Trial("logistic", 1e-3), data.X, data.y, weight)
    scaled = weighted.scaler.transform(data.X)
    alone = FAMILIES["logistic"].build(Trial("logistic", 1e-3 / weight.mean()))
    alone.fit(scaled[rows], data.y[rows])
    np.testing.assert_allclose(weighted.classifier.coef_, alone.coef_, atol=1e-7)
    plain = fit_model(Trial("logistic", 1e-3), data.X, data.y)
    assert np.abs(plain.classifier.coef_ - alone.coef_).max() > 1e-4


@pytest.mark.parametrize("family", ["logistic", "boosting", FOREST_NAME])
def test_rows_of_little_weight_teach_little(family: str) -> None:
    """Half the rows lie about their label: at a hundredth of the weight they hardly matter."""
    data = dataset(2_000, edge=3.0)
    liars = np.arange(2_000) % 2 == 0
    y = np.where(liars, 1.0 - data.y, data.y)
    trial = make_trials([family], c=[1.0], seed=0)[0]
    weighted = fit_model(trial, data.X, y, np.where(liars, 0.01, 1.0)).predict(data.X)
    fooled = fit_model(trial, data.X, y).predict(data.X)
    assert ((weighted > 0.5) == data.y).mean() > 0.8
    assert ((fooled > 0.5) == data.y).mean() < 0.7


class Broken(Family):
    """Fails, or says what no probability is."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def build(self, trial: Trial) -> Any:  # noqa: ARG002 - a family's signature
        """It answers itself."""
        return self

    def fit(self, classifier: Any, X: Any, y: Any, weight: Any) -> None:
        """Learn nothing."""

    def predict_proba(self, X: Any) -> Any:
        """Whatever it was told to."""
        return self.answer(len(X))

    def graph(self, classifier: Any, n_features: int) -> Any:  # noqa: ARG002 - a family's signature
        """Raise or none."""
        return self.answer(n_features)


@pytest.mark.parametrize(
    "answer",
    [
        lambda n: np.full((n, 2), np.nan),
        lambda n: np.full((n, 2), 2.0),
        lambda n: np.full((n - 1, 2), 0.5),
        lambda n: np.full(n, 0.5),
        lambda n: 1 // (n - n),
    ],
)
def test_a_family_that_predicts_no_probability_is_named(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN, beyond one, too few, one column, a fault: one sentence, before a score is made of it."""
    monkeypatch.setattr(families, "FAMILIES", {"broken": Broken(answer)})
    data = dataset(200)
    model = fit_model(Trial("broken"), data.X, data.y)
    with pytest.raises(DegenerateModelError, match=r"broken (predicts no prob|cannot predict)"):
        model.predict(data.X)
    with pytest.raises(ExportError, match="broken gives no graph"):
        export_onnx(model)


def test_an_edited_family_is_another_one(tmp_path: Path) -> None:
    """What a file says counts, not what it is called; a shipped family needs no digest."""
    path, code = tmp_path / "mine.py", "from tests.model.forest_kit import FOREST\n"
    path.write_text(code)
    first = family_digest(f"{path}:FOREST")
    path.write_text(code + "# deeper\n")
    assert len({first, family_digest(f"{path}:FOREST"), family_digest("logistic")}) == 3
