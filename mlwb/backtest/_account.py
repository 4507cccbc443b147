"""Positions to net returns: one accounting function, for one step or for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.errors import EmptyWindowError

__all__ = ["Ledger", "Trips", "account", "round_trips", "settle"]

Number = TypeVar("Number", float, Float1D)


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

    @property
    def traded(self) -> Float1D:
        """Change of the position at each step, one way, in units of equity."""
        return np.abs(np.diff(self.position, prepend=0.0))


@dataclass(frozen=True)
class Trips:
    """Round trips: from flat, or from the other side, to flat or to the other side.

    Parameters
    ----------
    net : ndarray of shape (n_trips,), float64
        What each earned after costs; the cost of a flip is shared between what it closes and
        what it opens.
    first, last : ndarray of shape (n_trips,), int64
        First and last step held.
    is_closed : ndarray of shape (n_trips,), bool
        False for a last trip that only the end of the book closed.
    """

    net: Float1D
    first: Int1D
    last: Int1D
    is_closed: Bool1D

    def __len__(self) -> int:
        return len(self.net)

    @property
    def wins(self) -> int:
        """Closed trips that earned more than they paid."""
        return int((self.net[self.is_closed] > 0.0).sum())

    @property
    def n_closed(self) -> int:
        """Closed trips."""
        return int(self.is_closed.sum())


def settle(
    position: Number, before: Number, step_return: Number, one_way_cost: Number
) -> tuple[Number, Number]:
    """Gross return and cost of holding a position over a step.

    ``position * r`` and ``cost * |position - before|``. The one definition of money here: the
    paper broker calls it with floats, step by step, the backtest with whole arrays; the same
    operations in the same order give the same bits.

    Parameters
    ----------
    position, before : float or ndarray of shape (n_steps,)
        Held over the step and held before it, in units of equity.
    step_return : float or ndarray
        Simple return of mid over the step.
    one_way_cost : float or ndarray
        Half spread, fee and slippage as a fraction of the traded amount, >= 0.

    Returns
    -------
    tuple
        Gross return and cost, both on equity.

    Examples
    --------
    >>> settle(-1.0, 1.0, 0.01, 0.001)
    (-0.01, 0.002)
    """
    return position * step_return, one_way_cost * abs(position - before)


def account(
    position: Float1D,
    step_return: Float1D,
    one_way_cost: Float1D,
    *,
    closing_cost: float | None = None,
) -> Ledger:
    """Charge and pay a sequence of positions; see :func:`settle`.

    The first entry and the final liquidation pay too.

    Parameters
    ----------
    position : ndarray of shape (n_steps,), float64
        Decided with what is known before step s.
    step_return : ndarray of shape (n_steps,), float64
        Simple return of mid over step s.
    one_way_cost : ndarray of shape (n_steps,), float64
        Half spread, fee and slippage as a fraction of the traded amount, >= 0.
    closing_cost : float, optional
        The same for the liquidation after the last step; that of the last step when not given.

    Returns
    -------
    Ledger

    Raises
    ------
    EmptyWindowError
        No steps, or values that are not finite.

    Notes
    -----
    Returns are on equity and positions in units of it, so a held position is brought back to
    its size after every step free of charge; over a minute the amount is of second order.

    Examples
    --------
    >>> ledger = account(np.array([1.0, 1.0]), np.array([0.01, 0.0]), np.array([0.001, 0.001]))
    >>> [round(float(x), 6) for x in ledger.net]
    [0.009, -0.001]
    """
    if len(position) == 0 or not np.isfinite(position * step_return * one_way_cost).all():
        raise EmptyWindowError("nothing to account for", got=f"{len(position)} steps")
    before = np.concatenate([[0.0], position[:-1]])
    gross, cost = settle(position, before, step_return, one_way_cost)
    last = float(one_way_cost[-1]) if closing_cost is None else closing_cost
    cost[-1] += settle(0.0, float(position[-1]), 0.0, last)[1]
    return Ledger(gross, cost, gross - cost, position)


def round_trips(ledger: Ledger) -> Trips:
    """Cut a book into round trips.

    A trip is a run of steps on one side of the market: adding to a position and taking some of
    it off stay inside the trip, a flip closes one and opens the next, in proportion to what it
    closes and opens.

    Parameters
    ----------
    ledger : Ledger
        Positions of any size.

    Returns
    -------
    Trips
        Their ``net`` adds up to that of the ledger.

    Examples
    --------
    >>> position = np.array([0.0, 1.0, 0.5, -1.0])
    >>> trips = round_trips(account(position, np.full(4, 0.01), np.zeros(4)))
    >>> [round(float(x), 6) for x in trips.net], trips.is_closed.tolist()
    ([0.015, -0.01], [True, False])
    """
    position = ledger.position
    side = np.sign(position)
    turn = np.flatnonzero(np.diff(side, prepend=0.0, append=0.0))
    first, stop = turn[:-1], turn[1:]
    held = side[first] != 0.0
    first, stop = first[held], stop[held]
    is_closed = stop < len(position)
    before = np.concatenate([[0.0], position])[first]
    opened = np.abs(position[first])
    inherited = ledger.cost[first] * np.abs(before) / (opened + np.abs(before))
    following = np.where(is_closed, stop, len(position) - 1)
    closed = np.abs(position[stop - 1])
    after = np.abs(position[following])
    owed = np.where(is_closed, ledger.cost[following] * closed / (closed + after), 0.0)
    return Trips(_sums(ledger.net, first, stop) + inherited - owed, first, stop - 1, is_closed)


def _sums(values: Float1D, first: Int1D, stop: Int1D) -> Float1D:
    """Sum of each stretch ``[first, stop)``; stretches follow each other."""
    if not len(first):
        return np.empty(0)
    edges = np.column_stack([first, stop]).ravel()
    return np.asarray(np.add.reduceat(np.append(values, 0.0), edges)[::2], dtype=np.float64)
