"""The requests of a rollout by phase, as the logs and the counters of its server tell them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import replace
from datetime import datetime

from mlwb.core.clock import format_utc, parse_utc
from mlwb.params import CanaryRolloutParams
from mlwb.rollout._server import Counters
from mlwb.rollout._state import RolloutState
from mlwb.stages.canary_rollout import Answers, Exchange, Lock, failures, phase_names, unscored

__all__ = ["RolloutRequests"]


class RolloutRequests:
    """What was asked since the rollout began, less what was asked while nothing was split.

    Parameters
    ----------
    state : RolloutState
        When phases began, and when the server took no share; what counters said is kept there.
    params : CanaryRolloutParams
        Where the logs stand.
    lock : Lock
        The versions that may stand there.

    Attributes
    ----------
    foreign : str
        A version that has no part in this rollout; empty where there is none.
    """

    def __init__(self, state: RolloutState, params: CanaryRolloutParams, lock: Lock) -> None:
        self._state, self._names = state, phase_names(params)
        self._answers = Answers(params, lock, state.mode, since=parse_utc(state.started))
        self._items: list[tuple[datetime, Exchange]] = []
        self.foreign = ""

    def skip(self) -> None:
        """Pass over what stands in the logs before the first phase."""
        self._answers.skip()

    def restore(self, now: datetime) -> None:
        """Read everything again: lines from the logs, failures from the state."""
        self.take(now)
        for when, errors, fallbacks in self._state.counted:
            self._count(parse_utc(when), errors, fallbacks)
        self._state.unscored = unscored(item for _, item in self._items)

    def look(self, now: datetime, counters: Counters) -> list[list[Exchange]]:
        """Take what is new, by the phase it belongs to.

        Late lines of a phase before come after the next has begun: they count for their own.

        Parameters
        ----------
        now : datetime
            UTC.
        counters : Counters
            The server's, read just before.
        """
        n_before = len(self._items)
        errors, fallbacks = counters.since(Counters(*self._state.counters))
        self._state.counters = counters
        self.take(now)
        if errors or fallbacks:
            self._state.counted.append((format_utc(now), errors, fallbacks))
            self._count(now, errors, fallbacks, first=n_before)
        new = Counter(unscored(item for _, item in self._items[n_before:]))
        self._state.unscored = dict((new + Counter(self._state.unscored)).most_common())
        return self.by_phase(n_before)

    def take(self, now: datetime) -> None:
        """Lines that came to stand in the logs."""
        seen = self._answers.take(now)
        gaps = [(parse_utc(start), parse_utc(end)) for start, end in self._state.gaps]
        self._items += [
            (ts, item)
            for ts, item in seen.exchanges
            if item.shadowed or not any(start <= ts < end for start, end in gaps)
        ]
        self.foreign = self.foreign or seen.foreign

    def by_phase(self, first: int = 0) -> list[list[Exchange]]:
        """Requests of every phase that was begun, each by the time of its answer.

        The guide and the evidence both count by it: what one has seen enough of, the other has.

        Parameters
        ----------
        first : int, default=0
            Requests before this one are left out.
        """
        begun = [parse_utc(moment) for moment in self._state.begun]
        phases: list[list[Exchange]] = [[] for _ in begun]
        for ts, item in self._items[first:]:
            number = max(bisect_right(begun, ts) - 1, 0)
            phases[number].append(replace(item, test=self._names[number]))
        return phases

    def _count(self, when: datetime, errors: int, fallbacks: int, *, first: int = 0) -> None:
        """Work what the counters said into the requests from ``first`` on."""
        times = [ts for ts, _ in self._items[first:]]
        found = failures(errors, fallbacks, [item for _, item in self._items[first:]])
        times += [when] * (len(found) - len(times))
        self._items[first:] = list(zip(times, found, strict=True))
