"""A score traded on paper, where the label has a rule to trade by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlwb.backtest import Ledger, Risk, account, risk, round_trips
from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import INTERVAL_S, MID
from mlwb.features import specs
from mlwb.features.batch import compute
from mlwb.model import Dataset, OutOfFold
from mlwb.params import TrainingParams
from mlwb.stages.common import Prepared

__all__ = ["Paper", "paper_trade"]

POSITION_CAP = 1.0
"""Largest absolute position, in units of equity."""


@dataclass(frozen=True)
class Paper:
    """What the rule earned out of sample.

    Parameters
    ----------
    ts : ndarray of shape (n_steps,), int64
        Bars, seconds since 1970.
    ledger : Ledger
        Step by step.
    risk : Risk
        In one look.
    trips : ndarray of shape (n_trips,), float64
        Net return of every round trip.
    turnover : float
        One-way, times equity a day.
    """

    ts: Int1D
    ledger: Ledger
    risk: Risk
    trips: Float1D
    turnover: float


def paper_trade(
    prepared: Prepared, data: Dataset, oof: OutOfFold, params: TrainingParams
) -> Paper | None:
    """Hold the sign of the walk-forward score until the next bar, pay for every change.

    A direction score is traded long above one half and short below; a bar without a score is flat.
    Across a gap the position is held and earns what the next bar shows. A volatility score says
    nothing about the sign, so it has no rule here and the result is None.

    Parameters
    ----------
    prepared : Prepared
        Bars and features.
    data : Dataset
        Training rows.
    oof : OutOfFold
        Scores of models that saw only what came before.
    params : TrainingParams
        Label kind and costs.

    Returns
    -------
    Paper or None
    """
    if params.label.kind != "direction":
        return None
    rows = np.searchsorted(prepared.ts, data.t0[oof.index] - INTERVAL_S)
    position = np.zeros(len(prepared.bars))
    position[rows] = np.sign(oof.probability - 0.5) * POSITION_CAP
    used = slice(int(rows.min()), min(int(rows.max()) + 1, len(prepared.bars) - 1))
    mid = _last_known(prepared.bars[:, MID])
    step = (mid[1:] / mid[:-1] - 1.0)[used]
    ledger = account(position[used], step, _one_way_cost(prepared, params)[used])
    ts = prepared.ts[used]
    days = max((int(ts[-1]) - int(ts[0])) / 86_400, 1.0)
    turnover = float(np.abs(np.diff(ledger.position, prepend=0.0)).sum() / days)
    return Paper(ts, ledger, risk(ledger.net, ts), round_trips(ledger).net, turnover)


def _one_way_cost(prepared: Prepared, params: TrainingParams) -> Float1D:
    """Half the last known spread, fee and slippage, as a fraction of the amount."""
    spread = compute(specs(["spread_bp"], quoted=prepared.market.has_quotes), prepared.bars)[:, 0]
    extra = params.costs.fee_bp + params.costs.slippage_bp
    return np.asarray((_last_known(spread) / 2.0 + extra) / 1e4, dtype=np.float64)


def _last_known(values: Float1D) -> Float1D:
    """Forward filled; before the first known value, that value."""
    return np.asarray(pd.Series(values).ffill().bfill(), dtype=np.float64)
