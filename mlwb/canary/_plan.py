"""How many requests each phase needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlwb.core.errors import ParamsError

__all__ = ["Phase", "plan"]


@dataclass(frozen=True)
class Phase:
    """One step of the rollout.

    Parameters
    ----------
    name : str
        ``"5%"``.
    share : float
        Share of requests that are shadowed, in (0, 1].
    n_requests : int
        Requests to send.
    """

    name: str
    share: float
    n_requests: int

    def shadows(self, index: int) -> bool:
        """True for the requests of this phase that are shadowed: an even, fixed pattern."""
        return _whole((index + 1) * self.share) > _whole(index * self.share)


def _whole(x: float) -> int:
    """Floor that forgives rounding: 100 times a share of 0.29 is 28.999999999999996."""
    return math.floor(x + 1e-9)


def plan(percents: Sequence[float], *, observed: int) -> tuple[Phase, ...]:
    """Phases that each shadow the same number of requests.

    Parameters
    ----------
    percents : sequence of float
        Increasing, in (0, 100].
    observed : int
        Shadowed requests a phase.

    Returns
    -------
    tuple of Phase

    Raises
    ------
    ParamsError
        The percents do not increase within (0, 100].

    Examples
    --------
    >>> [(p.name, p.n_requests) for p in plan([5.0, 100.0], observed=50)]
    [('5%', 1000), ('100%', 50)]
    """
    rising = all(a < b for a, b in zip([0.0, *percents], percents, strict=False))
    if not percents or not rising or percents[-1] > 100.0:
        raise ParamsError("phases must rise within (0, 100] percent", got=str(list(percents)))
    return tuple(
        Phase(f"{percent:g}%", percent / 100.0, math.ceil(observed * 100.0 / percent))
        for percent in percents
    )
