"""What trading a score would have paid: one accounting function, costs, risk numbers.

Belongs here: positions to net returns, round trips, Sharpe and drawdown with their definitions.
Does not belong here: how a score is made (``model``), or whether the result is good enough
(``gates``).
"""

from mlwb.backtest._account import Ledger, account, round_trips
from mlwb.backtest._risk import Risk, risk

__all__ = ["Ledger", "Risk", "account", "risk", "round_trips"]
