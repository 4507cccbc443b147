"""A home with a served version, its reference, and rows a server counted day by day."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlwb.core.arrays import Float2D
from mlwb.drift import LiveCounts, encode_hour
from mlwb.inference import load_reference
from tests.inference.version_kit import (
    NAMES,
    WEIGHTS,
    add_reference,
    logistic,
    point,
    sidecar_for,
    write_version,
)

__all__ = ["FIRST_DAY", "home_with_version", "serve_days"]

FIRST_DAY = 20_454
"""2026-01-01."""


def home_with_version(
    home: Path, *, days: int = 30, seed: int = 1, names: Sequence[str] = NAMES
) -> Path:
    """`v1.0.0` behind `latest`, with a reference of some days of minutes."""
    models = home / "artifacts" / "models"
    folder = write_version(models, "v1.0.0", sidecar=sidecar_for("v1.0.0", names))
    add_reference(folder, days=days, seed=seed)
    point(models, "latest", "v1.0.0")
    return home


def _rows(n: int, seed: int, shift: float) -> Float2D:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [
            np.ones(n),
            rng.uniform(-0.5, 0.5, n),
            rng.uniform(0, 50, n),
            np.clip(rng.uniform(-2, 2, n) + shift, -2, 2),
        ]
    )


def serve_days(
    home: Path,
    days: range,
    *,
    shift: float = 0.0,
    hours: int = 24,
    worker: int = 0,
    version: str = "v1.0.0",
    weights: Sequence[float] = WEIGHTS,
) -> dict[int, Float2D]:
    """Write what a server would have counted: a row a minute; returns the rows and scores."""
    folder = home / "artifacts"
    frozen = load_reference(folder / "models" / version)
    edges = [item.bins.edges.tolist() for item in frozen.features.values()]
    counts = LiveCounts(edges, kept_hours=10_000)
    found = {}
    for day in days:
        rows = _rows(60 * hours, seed=1_000 * worker + day, shift=shift)
        found[day] = np.column_stack([rows, logistic(rows, weights)])
        for hour in range(hours):
            ts = 86_400 * day + 3_600 * hour
            counts.add_rows(found[day][60 * hour : 60 * hour + 60], ts)
    path = folder / "drift" / version / f"{worker}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        for hour, table in counts.hours.items():
            handle.write(encode_hour(version, frozen.digest, hour, table) + b"\n")
    return found
