"""Tables for notebooks: numbers on the right, units in sight, nothing said by colour alone."""

from __future__ import annotations

from mlwb.report._rollout import rollout_table as rollout
from mlwb.report._table import Column, Table
from mlwb.report._tables_data import findings, quality
from mlwb.report._tables_drift import distances, psi
from mlwb.report._tables_model import parity, scores, windows
from mlwb.report._tables_paper import money
from mlwb.report._tables_proof import proof
from mlwb.report._tables_study import (
    costs,
    distributions,
    eligibility,
    information,
    regimes,
    stationarity,
    steadiness,
)
from mlwb.report._tables_verdict import checks, phases, records, verdicts

__all__ = [
    "Column",
    "Table",
    "checks",
    "costs",
    "distances",
    "distributions",
    "eligibility",
    "findings",
    "information",
    "money",
    "parity",
    "phases",
    "proof",
    "psi",
    "quality",
    "records",
    "regimes",
    "rollout",
    "scores",
    "stationarity",
    "steadiness",
    "verdicts",
    "windows",
]
