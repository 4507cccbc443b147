"""Evidence as a number, from its logarithm."""

from __future__ import annotations

import math

__all__ = ["LOG_MAX", "e_value"]

LOG_MAX = 700.0
"""The exponential of a little more is no finite double, and nobody doubts evidence of 1e304."""


def e_value(log_evidence: float) -> float:
    """Evidence from its natural logarithm; finite, however sure one may be.

    Parameters
    ----------
    log_evidence : float
        Below 0 for none.

    Returns
    -------
    float
        >= 0.

    Examples
    --------
    >>> e_value(0.0), e_value(10_000.0) < float("inf")
    (1.0, True)
    """
    return math.exp(min(log_evidence, LOG_MAX))
