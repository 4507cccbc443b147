"""How long a model takes, without HTTP around it."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.clock import Clock
from mlwb.inference._predictor import Predictor

__all__ = ["latency"]


def latency(predictor: Predictor, batch: int, repeats: int, clock: Clock) -> Float1D:
    """Time of each of many calls of a loaded model.

    Parameters
    ----------
    predictor : Predictor
        Measured on rows spread evenly over its feature ranges; the time does not depend on them.
    batch : int
        Rows a call, >= 1. One row takes the path the server takes.
    repeats : int
        Calls measured, >= 1, after one that is not.
    clock : Clock
        Its monotonic time is read before and after each call.

    Returns
    -------
    ndarray of shape (repeats,), float64
        Milliseconds, in the order of the calls.
    """
    low = [field.low for field in predictor.sidecar.features]
    high = [field.high for field in predictor.sidecar.features]
    rows = np.linspace(low, high, batch)
    values = rows[0].tolist()
    predictor.predict(rows)
    taken = np.empty(repeats)
    for index in range(repeats):
        start = clock.monotonic_s()
        if batch == 1:
            predictor.predict_row(values)
        else:
            predictor.predict(rows)
        taken[index] = clock.monotonic_s() - start
    return taken * 1e3
