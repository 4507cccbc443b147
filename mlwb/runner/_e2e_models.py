"""Versions that are bad on purpose, published as any other is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlwb.core.arrays import Float2D
from mlwb.core.canonical import canonical_bytes, digest_bytes, parse_json
from mlwb.core.errors import ArtifactError, EvidenceSchemaError, ModelError
from mlwb.inference import GOLDEN_SCHEMA, Predictor, Sidecar, parse_sidecar
from mlwb.model import with_defect
from mlwb.registry import REQUIRED_FILES, Registry

__all__ = ["Injected", "publish_injected", "traffic_rows"]

_GOLDEN_ROWS = 16
"""Golden rows of a bad version: enough to know it by, few enough for one that takes long."""
_STRAY = 1e-3
"""Part of the way from a row that the champion knows to any other: no two requests are equal."""


@dataclass(frozen=True)
class Injected:
    """What is made wrong with a version.

    Parameters
    ----------
    kind : str
        One of ``mlwb.model.DEFECTS``.
    size : float
        How bad, as :func:`mlwb.model.with_defect` takes it.
    is_honest : bool, default=True
        Its golden rows are what it really answers; otherwise they are those of the sound version,
        and it is a version that its own proof gives away.
    """

    kind: str
    size: float
    is_honest: bool = True


def publish_injected(registry: Registry, source: str, version: str, injected: Injected) -> None:
    """Publish a copy of a version with a defect; it becomes the candidate.

    Sidecar, golden rows, digests and manifest are those of the bad model: whoever loads it is told
    the truth about what it answers. Only what was measured in training is the sound version's.

    Parameters
    ----------
    registry : Registry
        Where.
    source : str
        A sound version.
    version : str
        Name of the bad one.
    injected : Injected
        What is wrong.

    Raises
    ------
    ArtifactError
        The source is not there or the name is taken; or the defect leaves no row that scores.
    ModelError
        The source cannot be made bad in this way.
    """
    folder = registry.resolve(source)
    files = {name: (folder / name).read_bytes() for name in REQUIRED_FILES}
    sidecar = replace(parse_sidecar(files["sidecar.json"]), model_version=version)
    onnx = with_defect(files["model.onnx"], sidecar, injected.kind, injected.size)
    files |= {"model.onnx": onnx, "sidecar.json": sidecar.to_json()}
    if injected.is_honest:
        rows = parse_json(files["golden_predictions.json"])["rows"][:_GOLDEN_ROWS]
        files["golden_predictions.json"] = _golden(onnx, sidecar, rows)
    files["training_manifest.json"] = _training(files, version)
    said = f"# {version}\n\n- injected: {injected.kind} {injected.size:g}, made of {source}\n"
    files["CHANGES.md"] = said.encode()
    staging = registry.stage(version)
    for name, data in files.items():
        (staging / name).write_bytes(data)
    registry.register(version, staging)


def _golden(onnx: bytes, sidecar: Sidecar, rows: Sequence[Sequence[float]]) -> bytes:
    """Rows that the bad model scores, and what it says of them."""
    predictor, kept, scores = Predictor.from_bytes(onnx, sidecar), [], []
    for row in rows:
        try:
            scores.append(predictor.predict_row(row))
        except ModelError:
            continue
        kept.append(row)
    if not kept:
        raise ArtifactError("the defect leaves no row that scores", todo="make it smaller")
    return canonical_bytes({"schema": GOLDEN_SCHEMA, "rows": kept, "scores": scores})


def _training(files: dict[str, bytes], version: str) -> bytes:
    """The manifest of the training, about these bytes; as it is where it is none."""
    data = files["training_manifest.json"]
    try:
        stored: Any = parse_json(data)
    except EvidenceSchemaError:
        return data
    named = {name: digest_bytes(files[name]) for name in stored.get("artifacts", {})}
    changes = {"model_version": version, "artifacts": named}
    return canonical_bytes({**stored, **changes, "checksum": digest_bytes(files["model.onnx"])})


def traffic_rows(folder: Path, n_rows: int, *, seed: int = 7) -> Float2D:
    """Rows like those a version was proven on, no two of them equal.

    Parameters
    ----------
    folder : Path
        Of the version.
    n_rows : int
        How many.
    seed : int, default=7
        Draws them.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float64
        Within the ranges of the version.
    """
    sidecar = parse_sidecar((folder / "sidecar.json").read_bytes())
    known = np.array(parse_json((folder / "golden_predictions.json").read_bytes())["rows"])
    rng = np.random.default_rng(seed)
    drawn = known[rng.integers(0, len(known), n_rows)]
    low = np.array([field.low for field in sidecar.features])
    high = np.array([field.high for field in sidecar.features])
    anywhere = rng.uniform(low, high, drawn.shape)
    return np.asarray(drawn + _STRAY * (anywhere - drawn), dtype=np.float64)
