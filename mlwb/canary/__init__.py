"""What traffic showed: counts, quantiles, agreement, and whether to go on.

Belongs here: the plan of phases, summaries of observed requests, the abort rule on given limits.
Does not belong here: sending requests (``client``), limits (``params``), a promotion verdict
(``gates``).
"""

from mlwb.canary._plan import Phase, plan
from mlwb.canary._traffic import AbortLimits, Summary, Traffic, abort_reason, summarise

__all__ = ["AbortLimits", "Phase", "Summary", "Traffic", "abort_reason", "plan", "summarise"]
