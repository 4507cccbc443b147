"""Positions to net returns: decide at a bar, fill at its close, pay for every change."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError

__all__ = ["Ledger", "account", "round_trips"]


@dataclass(frozen=True)
class Ledger:
    """What each step earned and paid.

    Parameters
    ----------
    gross, cost, net : ndarray of shape (n_steps,), float64
        Simple returns on equity; ``net = gross - cost``.
    position : ndarray of shape (n_steps,), float64
        Held over the step, in units of equity.
    """

    gross: Float1D
    cost: Float1D
    net: Float1D
    position: Float1D


def account(position: Float1D, step_return: Float1D, one_way_cost: Float1D) -> Ledger:
    """Charge and pay a sequence of positions.

    ``net_s = position_s * r_s - cost_s * |position_s - position_{s-1}|``; the first entry and
    the final liquidation pay too.

    Parameters
    ----------
    position : ndarray of shape (n_steps,), float64
        Decided with what is known before step s.
    step_return : ndarray of shape (n_steps,), float64
        Simple return of mid over step s.
    one_way_cost : ndarray of shape (n_steps,), float64
        Half spread, fee and slippage as a fraction of the traded amount, >= 0.

    Returns
    -------
    Ledger

    Raises
    ------
    EmptyWindowError
        No steps, or values that are not finite.

    Examples
    --------
    >>> ledger = account(np.array([1.0, 1.0]), np.array([0.01, 0.0]), np.array([0.001, 0.001]))
    >>> [round(float(x), 6) for x in ledger.net]
    [0.009, -0.001]
    """
    if len(position) == 0 or not np.isfinite(position * step_return * one_way_cost).all():
        raise EmptyWindowError("nothing to account for", got=f"{len(position)} steps")
    traded = np.abs(np.diff(position, prepend=0.0))
    cost = one_way_cost * traded
    cost[-1] += one_way_cost[-1] * abs(position[-1])
    gross = position * step_return
    return Ledger(gross, cost, gross - cost, position)


def round_trips(ledger: Ledger) -> Float1D:
    """Net return of every closed round trip; a flip closes one and opens the next.

    Parameters
    ----------
    ledger : Ledger
        Positions of -1, 0 or 1.

    Returns
    -------
    ndarray of shape (n_trips,), float64
        The cost of a change is shared between what it closes and what it opens.
    """
    position = ledger.position
    change = np.flatnonzero(np.diff(position, prepend=0.0, append=0.0))
    trips = []
    for start, stop in pairwise(change):
        if position[start] == 0.0:
            continue
        before = position[start - 1] if start else 0.0
        opened = abs(position[start]) / abs(position[start] - before)
        own = ledger.net[start:stop].sum() + ledger.cost[start] * (1.0 - opened)
        if stop < len(position):
            closed = abs(position[start]) / abs(position[stop] - position[start])
            own -= ledger.cost[stop] * closed
        trips.append(own)
    return np.asarray(trips, dtype=np.float64)
