"""What traffic showed: counts, quantiles, agreement, and whether to go on.

Belongs here: the plan of phases, summaries of observed requests, the abort rule on given limits,
the judgement that may be made after any request.
Does not belong here: sending requests (``client``), limits (``params``), a promotion verdict
(``gates``).
"""

from mlwb.canary._comparisons import shadow_traffic
from mlwb.canary._guide import Dwell, RolloutGuide, Step, StepKind
from mlwb.canary._judge import (
    Finding,
    JudgeLimits,
    Judgement,
    Outcome,
    Question,
    judge,
    questions_of,
)
from mlwb.canary._plan import Phase, plan
from mlwb.canary._scores import SCORE_PSI, ScoreLimit, score_path, score_psi
from mlwb.canary._traffic import AbortLimits, Summary, Traffic, abort_reason, summarise
from mlwb.canary._watch import RolloutWatch

__all__ = [
    "SCORE_PSI",
    "AbortLimits",
    "Dwell",
    "Finding",
    "JudgeLimits",
    "Judgement",
    "Outcome",
    "Phase",
    "Question",
    "RolloutGuide",
    "RolloutWatch",
    "ScoreLimit",
    "Step",
    "StepKind",
    "Summary",
    "Traffic",
    "abort_reason",
    "judge",
    "plan",
    "questions_of",
    "score_path",
    "score_psi",
    "shadow_traffic",
    "summarise",
]
