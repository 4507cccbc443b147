"""Lines as a server writes them, and the files they stand in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlwb.core.predictionlog import PredictionLine, ShadowOutcome, encode_line

__all__ = ["DAY", "answer", "comparison", "write"]

DAY = 20_454 * 86_400
"""2026-01-01, seconds since 1970."""


def answer(ts: float, **changes: Any) -> PredictionLine:
    """A row that v1.0.0 answered in 2 ms with 0.5."""
    values: dict[str, Any] = {
        "ts": datetime.fromtimestamp(ts, UTC),
        "request_id": f"r{ts}",
        "route": "/ml/predict",
        "model_version": "v1.0.0",
        "schema_crc32": "00000000",
        "score": 0.5,
        "latency_ms": 2.0,
        **changes,
    }
    return PredictionLine(**values)


def comparison(ts: float, *, other: float | None = 0.5, **changes: Any) -> PredictionLine:
    """The same row beside v2.0.0."""
    score = changes.get("score", 0.5)
    side = ShadowOutcome("v2.0.0", latency_ms=3.0, error="model")
    if other is not None:
        delta = other - score
        side = ShadowOutcome("v2.0.0", other, delta, abs(delta) <= 0.05, 3.0)
    return answer(ts, route="/ml/predict-with-shadow", shadow=side, **changes)


def write(path: Path, lines: Iterable[PredictionLine]) -> Path:
    """A log of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode_line, lines)))
    return path
