"""Verdicts: evidence and policy in, PASS or not out.

Belongs here: comparing a recorded number with a limit, counting records, combining verdicts into a
decision, replaying a decision.
Does not belong here: measuring anything, a limit (they live in ``params/policy*.yml``), moving
``latest`` (registry). Apart from :func:`read_view` and :func:`replay`, which read the evidence
store, everything is a pure function.
"""

from mlwb.gates._check import holds
from mlwb.gates._confirm import confirmation_record, phrase_of
from mlwb.gates._decision import Replay, decision_record, replay
from mlwb.gates._evaluate import GATES, decide, evaluate, evaluate_all, evaluate_watch
from mlwb.gates._policy_log import log_policy, logged_policy
from mlwb.gates._progress import Progress, is_green, progress_of
from mlwb.gates._verdict import Check, Cited, Decision, Outcome, Verdict
from mlwb.gates._view import EvidenceView, read_view
from mlwb.gates._waiver import UNWAIVABLE, Waivers, waiver_record, waivers_of

__all__ = [
    "GATES",
    "UNWAIVABLE",
    "Check",
    "Cited",
    "Decision",
    "EvidenceView",
    "Outcome",
    "Progress",
    "Replay",
    "Verdict",
    "Waivers",
    "confirmation_record",
    "decide",
    "decision_record",
    "evaluate",
    "evaluate_all",
    "evaluate_watch",
    "holds",
    "is_green",
    "log_policy",
    "logged_policy",
    "phrase_of",
    "progress_of",
    "read_view",
    "replay",
    "waiver_record",
    "waivers_of",
]
