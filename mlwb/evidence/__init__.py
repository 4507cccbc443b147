"""Records of what was measured, kept so that nobody can quietly change them.

Belongs here: the record and its schema, the store with its ledger, the ledger of trials,
the check for impossible numbers, what code and environment measured.
Does not belong here: verdicts on the numbers (gates), figures and reports (report), anything
that measures.
"""

from mlwb.evidence._build import Context, metrics_digest, new_record, with_verdict
from mlwb.evidence._kinds import KNOWN_NAMES, known_name
from mlwb.evidence._lint import lint
from mlwb.evidence._provenance import code_state, environment_state
from mlwb.evidence._record import (
    SCHEMA,
    Code,
    Environment,
    Input,
    Interval,
    Metric,
    Params,
    Record,
    Upstream,
    rate,
)
from mlwb.evidence._retire import Retirement, plan_retirement, retire
from mlwb.evidence._schema import check_record
from mlwb.evidence._store import Entry, EvidenceStore
from mlwb.evidence._trials import Kinship, LoggedTrial, TrialLedger, Tried

__all__ = [
    "KNOWN_NAMES",
    "SCHEMA",
    "Code",
    "Context",
    "Entry",
    "Environment",
    "EvidenceStore",
    "Input",
    "Interval",
    "Kinship",
    "LoggedTrial",
    "Metric",
    "Params",
    "Record",
    "Retirement",
    "TrialLedger",
    "Tried",
    "Upstream",
    "check_record",
    "code_state",
    "environment_state",
    "known_name",
    "lint",
    "metrics_digest",
    "new_record",
    "plan_retirement",
    "rate",
    "retire",
    "with_verdict",
]
