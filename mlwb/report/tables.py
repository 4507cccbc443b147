"""Tables for notebooks: numbers on the right, units in sight, nothing said by colour alone."""

from __future__ import annotations

from mlwb.report._table import Column, Table
from mlwb.report._tables_data import distributions, findings, quality, stationarity
from mlwb.report._tables_model import ablation, parity, psi, scores, trials, windows
from mlwb.report._tables_verdict import checks, phases, records, verdicts

__all__ = [
    "Column",
    "Table",
    "ablation",
    "checks",
    "distributions",
    "findings",
    "parity",
    "phases",
    "psi",
    "quality",
    "records",
    "scores",
    "stationarity",
    "trials",
    "verdicts",
    "windows",
]
