"""The server's shadow log as traffic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlwb.canary._traffic import Traffic
from mlwb.core.arrays import Float1D
from mlwb.core.predictionlog import PredictionLine

__all__ = ["shadow_traffic"]


def shadow_traffic(lines: Sequence[PredictionLine]) -> Traffic:
    """Rows of a shadow log as traffic that was answered and shadowed.

    Parameters
    ----------
    lines : sequence of PredictionLine
        In the order written; those without a candidate's side are left out.

    Returns
    -------
    Traffic
        One request a row. ``latency_ms`` is the champion's time inside the server, not a
        client's; a row the candidate did not score, for whatever reason, has NaN for its score.
    """
    shadowed = [(line, line.shadow) for line in lines if line.shadow is not None]
    n = len(shadowed)
    return Traffic(
        status=np.full(n, 200, dtype=np.int64),
        latency_ms=_numbers([line.latency_ms for line, _ in shadowed]),
        score=_numbers([line.score for line, _ in shadowed]),
        shadowed=np.ones(n, dtype=np.bool_),
        shadow_score=_numbers([outcome.score for _, outcome in shadowed]),
        shadow_ms=_numbers([outcome.latency_ms for _, outcome in shadowed]),
    )


def _numbers(values: Sequence[float | None]) -> Float1D:
    return np.asarray([np.nan if v is None else v for v in values], dtype=np.float64)
