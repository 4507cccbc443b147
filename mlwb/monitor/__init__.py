"""What happened while a version served: hours covered, numbers of a day, critical alerts.

Belongs here: folding the server's logs, one line at a time and in flat memory, into the numbers
of a day or of a window; reading counters that start anew; asking the policy's rollback limits.
Does not belong here: reading files or asking servers (``stages``), writing evidence, drawing,
deciding on a promotion (``gates``), rolling back (``registry``).
"""

from mlwb.monitor._alerts import (
    Alert,
    Alerts,
    Reading,
    record_alerts,
    rollback_alerts,
)
from mlwb.monitor._binned import LATENCY_EDGES_MS, Binned
from mlwb.monitor._coverage import Beats, Coverage, Gap, coverage
from mlwb.monitor._fold import Answers, Comparisons, Fold
from mlwb.monitor._pairs import PairSample

__all__ = [
    "LATENCY_EDGES_MS",
    "Alert",
    "Alerts",
    "Answers",
    "Beats",
    "Binned",
    "Comparisons",
    "Coverage",
    "Fold",
    "Gap",
    "PairSample",
    "Reading",
    "coverage",
    "record_alerts",
    "rollback_alerts",
]
