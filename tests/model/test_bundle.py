"""The files of a version are what their readers read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwb.core.canonical import parse_json
from mlwb.drift import parse_references
from mlwb.features import spec_digest, specs
from mlwb.inference import Predictor, parse_sidecar, schema_crc32
from mlwb.inference._golden import parse_golden
from mlwb.model import (
    SCORE,
    ModelFacts,
    export_onnx,
    golden_file,
    make_sidecar,
    reference_file,
    scaler_file,
)
from tests.model.model_kit import NAMES, TRIALS, facts, fitted


def served(family: str) -> Predictor:
    """The exported graph."""
    model, X = fitted(family)
    return Predictor.from_bytes(export_onnx(model), make_sidecar(facts(), X))


def test_sidecar_says_what_was_trained() -> None:
    """Names in order, units, label, the digest of the step code, the CRC32 of the schema."""
    sidecar = make_sidecar(facts(), fitted("logistic")[1])
    assert tuple(field.name for field in sidecar.features) == NAMES
    assert sidecar.features[2].unit == "bp"
    assert sidecar.feature_spec_digest == spec_digest(specs(NAMES))
    assert sidecar.schema_crc32 == schema_crc32(sidecar.features)
    assert (sidecar.model_version, sidecar.interval_s) == ("v1.0.0", 60)
    assert (sidecar.label.kind, sidecar.label.horizon_s) == ("volatility", 60)


def test_accepted_range_is_the_training_range_widened() -> None:
    """Ten spans on either side; a constant stays the constant; every training row is inside."""
    rows = np.array([[1.0, 0.25], [1.0, -0.5]])
    described = ModelFacts("v1", specs(["bias", "mid_logret_1m"]), "direction", 300, quoted=True)
    bias, returns = make_sidecar(described, rows).features
    assert (bias.low, bias.high) == (1.0, 1.0)
    assert (returns.low, returns.high) == (-8.0, 7.75)


def test_accepted_range_ends_where_the_feature_does() -> None:
    """A sine beyond 1 and a negative volume are junk; a half-open bound leaves the other end."""
    rows = np.array([[-0.9, 2.0], [1.0, 1.0]])
    described = ModelFacts("v1", specs(["minute_sin", "vol1m_log"]), "direction", 300, quoted=True)
    sine, volume = make_sidecar(described, rows).features
    assert (sine.low, sine.high) == (-1.0, 1.0)
    assert (volume.low, volume.high) == (0.0, 12.0)


def test_no_training_row_is_outside_the_accepted_range() -> None:
    """Not even one that the definition does not know: then the training row counts."""
    rows = np.array([[-3.0], [1.0]])
    described = ModelFacts("v1", specs(["minute_sin"]), "direction", 300, quoted=True)
    (sine,) = make_sidecar(described, rows).features
    assert (sine.low, sine.high) == (-3.0, 1.0)


@pytest.mark.parametrize(
    ("names", "quoted", "spread"),
    [(NAMES, True, "quoted"), (NAMES, False, "estimated"), (("bias", "rsi14_z"), True, "none")],
)
def test_sidecar_names_the_kind_of_spread(
    names: tuple[str, ...], spread: str, *, quoted: bool
) -> None:
    """A model trained on an estimated spread says so, one without a spread too."""
    described = ModelFacts("v1", specs(names, quoted=quoted), "direction", 300, quoted)
    rows = np.random.default_rng(0).normal(size=(9, len(names)))
    assert make_sidecar(described, rows).spread == spread


def test_sidecar_survives_its_file() -> None:
    """Written as canonical JSON and read by the server's parser it is the same."""
    sidecar = make_sidecar(facts(), fitted("logistic")[1])
    assert parse_sidecar(sidecar.to_json()) == sidecar


def test_scaler_file_holds_the_numbers_of_the_graph() -> None:
    """Bounds, mean and scale by name, bit for bit those of the fitted scaler."""
    model, _ = fitted("logistic")
    stored = parse_json(scaler_file(model, NAMES))
    assert stored["schema"] == "mlwb.scaler/1"
    for column, row in enumerate(stored["features"]):
        assert row == {
            "name": NAMES[column],
            "lower": model.scaler.lower_[column],
            "upper": model.scaler.upper_[column],
            "mean": model.scaler.mean_[column],
            "scale": model.scaler.scale_[column],
        }


@pytest.mark.parametrize("family", TRIALS)
def test_golden_rows_are_training_rows_and_reproduce(family: str) -> None:
    """64 rows of the training set with the graph's own scores, bit for bit after the file."""
    X = fitted(family)[1]
    predictor = served(family)
    rows, scores = parse_golden(golden_file(predictor, X, seed=5)).arrays()
    assert rows.shape == (64, X.shape[1])
    np.testing.assert_array_equal(predictor.predict(rows), scores)
    assert all((row == X).all(axis=1).any() for row in rows)
    assert len(np.unique(scores)) > 30


def test_golden_rows_follow_the_seed() -> None:
    """Same seed, same file; fewer training rows than 64 are all taken."""
    X, predictor = fitted("logistic")[1], served("logistic")
    assert golden_file(predictor, X, seed=1) == golden_file(predictor, X, seed=1)
    assert golden_file(predictor, X, seed=1) != golden_file(predictor, X, seed=2)
    assert len(parse_golden(golden_file(predictor, X[:10], seed=1)).arrays()[0]) == 10


def test_reference_file_adds_up() -> None:
    """Each feature's bins and blocks parse; missing values are counted; part days are left out."""
    rng = np.random.default_rng(0)
    ts = 20_000 * 86_400 + 864 * np.arange(1_050)
    values = rng.normal(size=1_050)
    values[7] = math.nan
    columns = {"rsi14_z": (values, ts), SCORE: (rng.random(300), ts[500:800])}
    found = parse_references(parse_json(reference_file(columns, n_bins=10)))
    assert list(found) == ["rsi14_z", SCORE]
    assert [item.bins.n_obs for item in found.values()] == [1_000, 300]
    assert found["rsi14_z"].blocks.days.tolist() == list(range(20_000, 20_010))
    assert found["rsi14_z"].bins.counts[-3:].tolist() == [1, 0, 0]
