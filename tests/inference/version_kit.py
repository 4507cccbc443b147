"""Complete model versions for tests: a logistic graph built by hand, scores by numpy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from mlwb.core import fsops
from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.canonical import canonical_bytes, digest_bytes
from mlwb.drift import SCORE, FeatureReference, fit_feature_reference, references_json
from mlwb.inference import FeatureField, LabelField, Sidecar, schema_crc32

__all__ = [
    "NAMES",
    "WEIGHTS",
    "add_reference",
    "logistic",
    "logistic_onnx",
    "point",
    "rewrite",
    "sidecar_for",
    "write_version",
]

NAMES = ("bias", "mid_logret_1m", "spread_bp", "rsi14_z")
WEIGHTS = (0.1, 1.5, -0.4, 0.8)
_RANGES = ((1.0, 1.0), (-0.5, 0.5), (0.0, 50.0), (-2.0, 2.0))


def logistic(rows: Float2D, weights: Sequence[float]) -> Float1D:
    """What the graph should say, by numpy alone."""
    logits = rows @ np.asarray(weights, dtype=np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def logistic_onnx(
    weights: Sequence[float],
    *,
    scale: float = 1.0,
    cast: bool = False,
    column: bool = False,
    leak: float = 0.0,
) -> bytes:
    """``scale * sigmoid(x @ w)`` on float64; optionally float32 out, or a column out.

    With ``leak`` each score takes up that much of the sum of all rows of its batch.
    """
    width = len(weights)
    w = helper.make_tensor("w", TensorProto.DOUBLE, [width, 1], list(weights))
    s = helper.make_tensor("s", TensorProto.DOUBLE, [1], [scale])
    shape = helper.make_tensor(
        "shape", TensorProto.INT64, [2 if column else 1], [-1, 1][: 1 + column]
    )
    kind = TensorProto.FLOAT if cast else TensorProto.DOUBLE
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Mul", ["p", "s"], ["q"]),
        helper.make_node("Reshape", ["mixed" if leak else "q", "shape"], ["r"]),
        helper.make_node("Cast", ["r"], ["probability"], to=kind),
    ]
    constants = [w, s, shape]
    if leak:
        nodes[3:3] = [
            helper.make_node("ReduceSum", ["q", "batch"], ["all"], keepdims=1),
            helper.make_node("Mul", ["all", "leak"], ["others"]),
            helper.make_node("Add", ["q", "others"], ["mixed"]),
        ]
        constants.append(helper.make_tensor("batch", TensorProto.INT64, [1], [0]))
        constants.append(helper.make_tensor("leak", TensorProto.DOUBLE, [1], [leak]))
    graph = helper.make_graph(
        nodes,
        "logistic",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, [None, width])],
        [helper.make_tensor_value_info("probability", kind, [None, 1] if column else [None])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))


def sidecar_for(version: str, names: Sequence[str] = NAMES) -> Sidecar:
    """A sidecar whose features lie in ranges a test can step over."""
    fields = tuple(
        FeatureField(name, "1", "float64", *_RANGES[index % len(_RANGES)])
        for index, name in enumerate(names)
    )
    return Sidecar(
        model_version=version,
        input_name="features",
        output_name="probability",
        features=fields,
        schema_crc32=schema_crc32(fields),
        feature_spec_digest="sha256:" + "0" * 64,
        label=LabelField("volatility", 900),
        interval_s=60,
        spread="quoted",
    )


def write_version(
    models: Path,
    version: str = "v1.0.0",
    *,
    weights: Sequence[float] = WEIGHTS,
    onnx: bytes = b"",
    sidecar: Sidecar | None = None,
) -> Path:
    """Publish a version directory the way the registry does: manifest last."""
    sidecar = sidecar or sidecar_for(version)
    low = [field.low for field in sidecar.features]
    high = [field.high for field in sidecar.features]
    rows = np.linspace(low, high, 9)
    golden = {
        "schema": "mlwb.golden/1",
        "rows": rows,
        "scores": logistic(rows, weights),
        "histogram": {"edges": [0.5], "counts": [4, 5]},
    }
    folder = models / version
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(onnx or logistic_onnx(weights))
    (folder / "sidecar.json").write_bytes(sidecar.to_json())
    (folder / "golden_predictions.json").write_bytes(canonical_bytes(golden))
    _write_manifest(folder, version)
    return folder


def rewrite(folder: Path, name: str, changes: Mapping[str, object]) -> None:
    """Change keys of a JSON file of a version and sign for it: a wrong file, rightly published."""
    path = folder / name
    path.write_bytes(canonical_bytes({**json.loads(path.read_bytes()), **changes}))
    _write_manifest(folder, folder.name)


def add_reference(
    folder: Path,
    weights: Sequence[float] = WEIGHTS,
    *,
    days: int = 8,
    seed: int = 1,
    first_day: int = 0,
    level: float = 0.0,
) -> dict[str, FeatureReference]:
    """Freeze a reference of minutes with the version and sign for it: its features, its scores.

    ``level`` squeezes every other fortnight by that share: days that remember each other.
    """
    sidecar = json.loads((folder / "sidecar.json").read_bytes())["features"]
    rng, ts = np.random.default_rng(seed), 86_400 * first_day + 60 * np.arange(days * 1440)
    squeezed = 1.0 - level * ((ts // 86_400 - first_day) // 14 % 2)
    rows = np.column_stack([rng.uniform(field["low"], field["high"], len(ts)) for field in sidecar])
    rows *= squeezed[:, None]
    columns = {field["name"]: rows[:, place] for place, field in enumerate(sidecar)}
    columns[SCORE] = logistic(rows, weights)
    references = [fit_feature_reference(name, values, ts) for name, values in columns.items()]
    stored = canonical_bytes(references_json(references))
    (folder / "reference_distributions.json").write_bytes(stored)
    training = {
        "artifacts": {"reference_distributions.json": digest_bytes(stored)},
        "data_window": [int(ts[0]), int(ts[-1]) + 60],
    }
    (folder / "training_manifest.json").write_bytes(canonical_bytes(training))
    _write_manifest(folder, folder.name)
    return {item.name: item for item in references}


def point(models: Path, channel: str, version: str) -> None:
    """Flip a channel link, the way the registry does."""
    fsops.replace_link(models / channel, version)


def _write_manifest(folder: Path, version: str) -> None:
    files = {
        path.name: {"sha256": digest_bytes(path.read_bytes()), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    manifest = {"schema": "mlwb.manifest/1", "version": version, "files": files}
    (folder / "manifest.json").write_bytes(canonical_bytes(manifest))
