"""A score traded on paper, where the label has a rule to trade by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.backtest import Ledger, Risk, account, risk, round_trips
from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.features.labels import forward_return
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
    """Hold the sign of the out-of-fold score for one bar, pay for every change.

    A direction score is traded long above one half and short below; a bar without a score is flat.
    A volatility score says nothing about the sign, so it has no rule here and the result is None.

    Parameters
    ----------
    prepared : Prepared
        Bars and features.
    data : Dataset
        Training rows.
    oof : OutOfFold
        Their out-of-fold scores.
    params : TrainingParams
        Label kind and costs.

    Returns
    -------
    Paper or None
    """
    if params.label.kind != "direction":
        return None
    opened = data.t0[oof.index] - INTERVAL_S
    rows = np.searchsorted(prepared.ts, opened)
    position = np.zeros(len(prepared.bars))
    position[rows] = np.sign(oof.probability - 0.5) * POSITION_CAP
    used = slice(int(rows.min()), int(rows.max()) + 1)
    step = np.expm1(np.nan_to_num(forward_return(prepared.bars, INTERVAL_S)))[used]
    extra = params.costs.fee_bp + params.costs.slippage_bp
    half_spread = np.zeros(len(prepared.bars))
    if "spread_bp" in prepared.names:
        half_spread = np.nan_to_num(prepared.column("spread_bp")) / 2.0
    cost = ((half_spread + extra) / 1e4)[used]
    ledger = account(position[used], step, cost)
    ts = prepared.ts[used]
    days = max((int(ts[-1]) - int(ts[0])) / 86_400, 1.0)
    turnover = float(np.abs(np.diff(ledger.position, prepend=0.0)).sum() / days)
    return Paper(ts, ledger, risk(ledger.net, ts), round_trips(ledger), turnover)
