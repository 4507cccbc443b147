"""Rows with known scores: the proof that a loaded model is the one that was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.canonical import JsonValue, parse_json
from mlwb.core.errors import EvidenceSchemaError, ModelError

__all__ = ["GOLDEN_SCHEMA", "GOLDEN_TOLERANCE", "Golden", "parse_golden"]

GOLDEN_SCHEMA = "mlwb.golden/1"
GOLDEN_TOLERANCE = 1e-5
"""Largest difference of a score on any platform; the same bound the parity check uses."""


@dataclass(frozen=True)
class Golden:
    """The content of ``golden_predictions.json``.

    Parameters
    ----------
    rows : tuple of tuple of float
        Feature rows, (n, k), n >= 1.
    scores : tuple of float
        P(label = 1) of each row, as the training environment computed it.
    histogram : mapping, optional
        Distribution of the scores on the training window; opaque here.
    schema : str
        ``"mlwb.golden/1"``.

    Raises
    ------
    ModelError
        Empty, ragged, or as many scores as rows it is not.
    """

    rows: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...]
    histogram: JsonValue = None
    schema: Literal["mlwb.golden/1"] = "mlwb.golden/1"

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows}
        if len(widths) != 1 or len(self.rows) != len(self.scores):
            raise ModelError(
                "golden_predictions.json is not a table",
                expected="at least one row, rows of one length, one score a row",
                got=f"{len(self.rows)} rows, {len(self.scores)} scores",
            )

    def arrays(self) -> tuple[Float2D, Float1D]:
        """Rows (n, k) and scores (n,) as float64 arrays."""
        return np.array(self.rows, dtype=np.float64), np.array(self.scores, dtype=np.float64)


def parse_golden(data: bytes) -> Golden:
    """Read ``golden_predictions.json``.

    Raises
    ------
    ModelError
        Not strict JSON, or not a table of rows and scores.
    """
    try:
        return msgspec.convert(parse_json(data), type=Golden)
    except (EvidenceSchemaError, msgspec.ValidationError) as error:
        raise ModelError(
            f"golden_predictions.json cannot be used: {error}", todo="publish the version again"
        ) from error
