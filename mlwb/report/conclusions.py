"""Conclusions for notebooks: what a measurement means, in a sentence made from its values.

Every function returns markup that also reads in a terminal. A sentence says what was found, how
sure it is, and what follows; it never says more than its numbers.
"""

from __future__ import annotations

from mlwb.report._conclusions_drift import drift, plain_rule, planned, realised, recent, together
from mlwb.report._conclusions_study import (
    costs,
    features,
    information,
    memory,
    redundancy,
    regimes,
    stationarity,
    steadiness,
    study,
)
from mlwb.report._rollout import rollout_conclusion as rollout

__all__ = [
    "costs",
    "drift",
    "features",
    "information",
    "memory",
    "plain_rule",
    "planned",
    "realised",
    "recent",
    "redundancy",
    "regimes",
    "rollout",
    "stationarity",
    "steadiness",
    "study",
    "together",
]
