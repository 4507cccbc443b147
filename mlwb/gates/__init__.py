"""Verdicts: evidence and policy in, PASS or not out.

Belongs here: comparing a recorded number with a limit, counting records, combining verdicts into a
decision, replaying a decision.
Does not belong here: measuring anything, a limit (they live in ``params/policy*.yml``), moving
``latest`` (registry). Apart from :func:`read_view` and :func:`replay`, which read the evidence
store, everything is a pure function.
"""

from mlwb.gates._check import holds
from mlwb.gates._decision import Replay, decision_record, replay
from mlwb.gates._evaluate import GATES, decide, evaluate, evaluate_all, evaluate_watch
from mlwb.gates._verdict import Check, Cited, Decision, Outcome, Verdict
from mlwb.gates._view import EvidenceView, read_view

__all__ = [
    "GATES",
    "Check",
    "Cited",
    "Decision",
    "EvidenceView",
    "Outcome",
    "Replay",
    "Verdict",
    "decide",
    "decision_record",
    "evaluate",
    "evaluate_all",
    "evaluate_watch",
    "holds",
    "read_view",
    "replay",
]
