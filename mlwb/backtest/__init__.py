"""What trading a score would have paid: one accounting function, costs, risk numbers.

Belongs here: rules from scores to positions, caps, the paper broker, positions to net returns,
round trips, regimes, and risk numbers with one definition each (``DEFINITIONS``).
Does not belong here: how a score is made (``model``), or whether the result is good enough
(``gates``).
"""

from mlwb.backtest._account import Ledger, Trips, account, round_trips, settle
from mlwb.backtest._backtest import Book, Tape, backtest
from mlwb.backtest._broker import PaperBroker, Step
from mlwb.backtest._caps import UNCAPPED, Caps, Clip, cap_breaches
from mlwb.backtest._costs import CostCell, break_even_bp, cost_curve, half_spread_cost, paid_bp
from mlwb.backtest._definitions import DEFINITIONS, Definition
from mlwb.backtest._identities import Identity, check_book
from mlwb.backtest._regimes import RegimeMoney, by_regime, hourly, resample_hours
from mlwb.backtest._risk import (
    MINUTES_A_YEAR,
    Activity,
    DailyTrips,
    Risk,
    activity,
    daily_returns,
    daily_trips,
    losing_streak,
    risk,
)
from mlwb.backtest._rules import (
    ExposureTimer,
    VolatilityTiming,
    barrier_targets,
    sign_targets,
    timed_exposure,
)
from mlwb.backtest._timing import TimingEffect, Versus, against_constant, timing_effect

__all__ = [
    "DEFINITIONS",
    "MINUTES_A_YEAR",
    "UNCAPPED",
    "Activity",
    "Book",
    "Caps",
    "Clip",
    "CostCell",
    "DailyTrips",
    "Definition",
    "ExposureTimer",
    "Identity",
    "Ledger",
    "PaperBroker",
    "RegimeMoney",
    "Risk",
    "Step",
    "Tape",
    "TimingEffect",
    "Trips",
    "Versus",
    "VolatilityTiming",
    "account",
    "activity",
    "against_constant",
    "backtest",
    "barrier_targets",
    "break_even_bp",
    "by_regime",
    "cap_breaches",
    "check_book",
    "cost_curve",
    "daily_returns",
    "daily_trips",
    "half_spread_cost",
    "hourly",
    "losing_streak",
    "paid_bp",
    "resample_hours",
    "risk",
    "round_trips",
    "settle",
    "sign_targets",
    "timed_exposure",
    "timing_effect",
]
