"""What trading a score would have paid: one accounting function, costs, risk numbers.

Belongs here: positions to net returns, round trips, Sharpe and drawdown with their definitions.
Does not belong here: how a score is made (``model``), or whether the result is good enough
(``gates``).
"""

from mlwb.backtest._account import Ledger, Trips, account, round_trips, settle
from mlwb.backtest._backtest import Book, Tape, backtest
from mlwb.backtest._broker import PaperBroker, Step
from mlwb.backtest._caps import UNCAPPED, Caps, Clip
from mlwb.backtest._risk import Risk, risk

__all__ = [
    "UNCAPPED",
    "Book",
    "Caps",
    "Clip",
    "Ledger",
    "PaperBroker",
    "Risk",
    "Step",
    "Tape",
    "Trips",
    "account",
    "backtest",
    "risk",
    "round_trips",
    "settle",
]
