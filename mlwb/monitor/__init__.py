"""What happened while a version served, and whether it may go on: days, alerts, rollback triggers.

Belongs here: folding the server's logs, one line at a time and in flat memory, into the numbers
of a day or of a window; reading counters that start anew, and which panels show them; what days
of trades come to; asking the policy's rollback limits, look after look, and having the registry
roll back; how messages about it leave.
Does not belong here: reading logs (``stages``), writing evidence, drawing, deciding on a promotion
(``gates``), how a rollback is done (``registry``).
"""

from mlwb.monitor._alerts import (
    Alert,
    Alerts,
    Reading,
    gate_warnings,
    record_alerts,
    rollback_alerts,
)
from mlwb.monitor._binned import LATENCY_EDGES_MS, Binned
from mlwb.monitor._counters import (
    Snapshot,
    increases,
    parse_counters,
    parse_gauges,
    parse_snapshot,
)
from mlwb.monitor._coverage import Beats, Coverage, Gap, coverage
from mlwb.monitor._delivery import command_hook, sign_notice, webhook
from mlwb.monitor._exposition import read_series
from mlwb.monitor._fold import Answers, Comparisons, Fold
from mlwb.monitor._history import (
    HISTORY_COLUMNS,
    Week,
    history_csv,
    history_row,
    parse_history,
    week_of,
)
from mlwb.monitor._look import Look, Page, Watcher
from mlwb.monitor._memory import Memory, alone
from mlwb.monitor._money import (
    LIVE_PNL,
    TradingDay,
    money_alerts,
    trading_days,
    trading_readings,
)
from mlwb.monitor._notices import Notice, Outbox
from mlwb.monitor._pairs import PairSample
from mlwb.monitor._panels import PANELS, DayPanels, Panel, day_panels
from mlwb.monitor._plan import Plan, plan_rollback
from mlwb.monitor._records import Suggestion, suggest_retraining
from mlwb.monitor._scrape import Scrape, parse_scrape
from mlwb.monitor._traffic import Traffic
from mlwb.monitor._triggers import Measurement, Row, Rules, Trigger, judge_readings

__all__ = [
    "HISTORY_COLUMNS",
    "LATENCY_EDGES_MS",
    "LIVE_PNL",
    "PANELS",
    "Alert",
    "Alerts",
    "Answers",
    "Beats",
    "Binned",
    "Comparisons",
    "Coverage",
    "DayPanels",
    "Fold",
    "Gap",
    "Look",
    "Measurement",
    "Memory",
    "Notice",
    "Outbox",
    "Page",
    "PairSample",
    "Panel",
    "Plan",
    "Reading",
    "Row",
    "Rules",
    "Scrape",
    "Snapshot",
    "Suggestion",
    "TradingDay",
    "Traffic",
    "Trigger",
    "Watcher",
    "Week",
    "alone",
    "command_hook",
    "coverage",
    "day_panels",
    "gate_warnings",
    "history_csv",
    "history_row",
    "increases",
    "judge_readings",
    "money_alerts",
    "parse_counters",
    "parse_gauges",
    "parse_history",
    "parse_scrape",
    "parse_snapshot",
    "plan_rollback",
    "read_series",
    "record_alerts",
    "rollback_alerts",
    "sign_notice",
    "suggest_retraining",
    "trading_days",
    "trading_readings",
    "webhook",
    "week_of",
]
