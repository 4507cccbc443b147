"""Rates of what a server answered, from pages of its counters.

Differences of counters are judged in blocks that do not overlap: a block ends when it holds enough
requests, so that two bad looks in a row are about different requests. Counters that fell mean that
the server started anew; what came before is forgotten, never subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from mlwb.core.clock import format_utc, parse_utc
from mlwb.core.errors import EvidenceSchemaError
from mlwb.monitor._scrape import Scrape
from mlwb.monitor._triggers import Measurement, Rules
from mlwb.stats import RateAlarm, e_value

__all__ = ["Traffic"]

_SHARE = 0.95
_MOST_STARTS = 64


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What earlier pages leave for the next.

    Parameters
    ----------
    version : str
        The version that answered on the page before; empty before the first.
    is_fresh : bool
        The next page only begins: the one before was missing, or refused predictions.
    successes, errors, scored, loads : int
        Counters of the page before.
    answered_from : tuple of int
        Successes and errors where the block of the error rate began.
    timed_from : tuple of (float, int)
        Edges and counts where the block of the latency began.
    alarm : RateAlarm
        Errors of this version, look by look.
    starts : tuple of str
        When the server was seen to have started anew, UTC with ``Z``.
    away_since : str
        When it stopped answering its scrape; empty while it answers.
    was_seen : bool
        Whether it ever answered: being there for the first time is no restart.
    """

    alarm: RateAlarm
    version: str = ""
    is_fresh: bool = True
    successes: int = 0
    errors: int = 0
    scored: int = 0
    loads: int = 0
    answered_from: tuple[int, int] = (0, 0)
    timed_from: tuple[tuple[float, int], ...] = ()
    starts: tuple[str, ...] = ()
    away_since: str = ""
    was_seen: bool = False

    @classmethod
    def start(cls, rules: Rules) -> Traffic:
        """Before the first page."""
        return cls(alarm=RateAlarm.start(float(rules.limits["error_rate"].value)))

    def look(
        self, page: Scrape | None, rules: Rules, at: datetime, *, why: str = ""
    ) -> tuple[Traffic, tuple[Measurement, ...]]:
        """Take in one page.

        Parameters
        ----------
        page : Scrape or None
            None where the server did not answer, or not with metrics.
        rules : Rules
            How many requests a block needs.
        at : datetime
            UTC.
        why : str, default=""
            Why there is no page.

        Returns
        -------
        Traffic, tuple of Measurement
            What the next look needs, and ``error_rate``, ``p95_ms``, ``error_alarm``, ``restarts``
            and ``down_s``.
        """
        if page is None:
            return self._away(rules, at, why)
        after = self._there(page, at)
        if after.is_fresh or not page.is_answering:
            return _begin(after, page, rules, at)
        answered = (page.successes - self.successes) + (page.errors - self.errors)
        alarm = self.alarm.update_batch(page.errors - self.errors, answered)
        after = replace(after, alarm=alarm, successes=page.successes, errors=page.errors)
        after, rate = _error_rate(after, page, rules, at)
        after, p95 = _p95(after, page, rules, at)
        after = replace(after, scored=page.scored, loads=page.loads)
        return after, (rate, p95, _alarm(after, at), *_process(after, rules, at))

    def _away(
        self, rules: Rules, at: datetime, why: str
    ) -> tuple[Traffic, tuple[Measurement, ...]]:
        since = self.away_since or format_utc(at)
        after = replace(self, away_since=since, is_fresh=True)
        none = tuple(_none(name, why, at) for name in ("error_rate", "p95_ms", "error_alarm"))
        return after, (*none, *_process(after, rules, at))

    def _there(self, page: Scrape, at: datetime) -> Traffic:
        """Whether the server is the one of the page before."""
        is_same = page.version == self.version
        fell = page.loads < self.loads or (
            is_same and (page.successes < self.successes or page.errors < self.errors)
        )
        is_new = self.was_seen and (bool(self.away_since) or fell)
        starts = (*self.starts, format_utc(at))[-_MOST_STARTS:] if is_new else self.starts
        alarm = self.alarm if is_same else RateAlarm.start(self.alarm.limit)
        return replace(
            self,
            version=page.version,
            is_fresh=self.is_fresh or not is_same or fell,
            alarm=alarm,
            starts=starts,
            away_since="",
            was_seen=True,
        )

    def to_json(self) -> dict[str, Any]:
        """For a file; :meth:`from_json` goes on from it, to the bit."""
        log_r = [None if math.isinf(value) else value for value in self.alarm.log_r.tolist()]
        highest = self.alarm.highest
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "answered_from": list(self.answered_from),
            "timed_from": [[_text(edge), count] for edge, count in self.timed_from],
            "starts": list(self.starts),
            "alarm": {
                "limit": self.alarm.limit,
                "log_r": log_r,
                "highest": None if math.isinf(highest) else highest,
                "n_obs": self.alarm.n_obs,
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Traffic:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        EvidenceSchemaError
            It is no such state.
        """
        try:
            alarm, begun = value["alarm"], RateAlarm.start(float(value["alarm"]["limit"]))
            log_r = np.array([-np.inf if r is None else float(r) for r in alarm["log_r"]])
            np.broadcast_to(log_r, begun.log_r.shape)
            highest = -math.inf if alarm["highest"] is None else float(alarm["highest"])
            first, second = value["answered_from"]
            starts = tuple(str(text) for text in value["starts"])
            for text in (*starts, *filter(None, [value["away_since"]])):
                parse_utc(text)
            return cls(
                **{name: kind(value[name]) for name, kind in _PLAIN.items()},
                alarm=replace(begun, log_r=log_r, highest=highest, n_obs=int(alarm["n_obs"])),
                answered_from=(int(first), int(second)),
                timed_from=tuple((float(e), int(count)) for e, count in value["timed_from"]),
                starts=starts,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceSchemaError("not the state of a watch", got=str(error)) from error


def _begin(
    state: Traffic, page: Scrape, rules: Rules, at: datetime
) -> tuple[Traffic, tuple[Measurement, ...]]:
    """Blocks begin here; nothing can be said yet."""
    after = replace(
        state,
        is_fresh=not page.is_answering,
        successes=page.successes,
        errors=page.errors,
        scored=page.scored,
        loads=page.loads,
        answered_from=(page.successes, page.errors),
        timed_from=page.buckets,
    )
    why = "the first page" if page.is_answering else "the server refuses predictions"
    none = tuple(_none(name, why, at) for name in ("error_rate", "p95_ms", "error_alarm"))
    return after, (*none, *_process(after, rules, at))


def _error_rate(
    state: Traffic, page: Scrape, rules: Rules, at: datetime
) -> tuple[Traffic, Measurement]:
    errors = page.errors - state.answered_from[1]
    n = page.successes - state.answered_from[0] + errors
    needed = max(1, rules.limits["error_rate"].min_n)
    if n < needed:
        return state, _none("error_rate", f"{n} of {needed} requests", at, n=n)
    found = Measurement(
        name="error_rate", value=errors / n, n=n, source=f"{errors} of {n} requests", at=at
    )
    return replace(state, answered_from=(page.successes, page.errors)), found


def _p95(state: Traffic, page: Scrape, rules: Rules, at: datetime) -> tuple[Traffic, Measurement]:
    """The lowest edge that 95 % of the answers kept: exact at every edge, and at each limit."""
    before = dict(state.timed_from)
    counts = [(edge, count - before.get(edge, 0)) for edge, count in page.buckets]
    n = counts[-1][1] if counts else 0
    needed = max(1, rules.limits["p95_ms"].min_n)
    if n < needed:
        return state, _none("p95_ms", f"{n} of {needed} answers", at, n=n)
    value = next((edge for edge, count in counts if count >= _SHARE * n), math.inf)
    found = Measurement(
        name="p95_ms", value=value, n=n, source=f"edge that 95 % of {n} answers kept", at=at
    )
    return replace(state, timed_from=page.buckets), found


def _alarm(state: Traffic, at: datetime) -> Measurement:
    """Evidence now that the errors are beyond the limit: it falls again when they end."""
    if not state.alarm.n_obs:
        return _none("error_alarm", "no requests yet", at)
    log_r = state.alarm.log_r
    value = e_value(float(np.logaddexp.reduce(log_r)) - math.log(len(log_r)))
    source = f"{state.alarm.n_obs} requests since it is watched"
    return Measurement(name="error_alarm", value=value, n=state.alarm.n_obs, source=source, at=at)


def _process(state: Traffic, rules: Rules, at: datetime) -> tuple[Measurement, Measurement]:
    # Stamps of a clock that was ahead and was set back are of no window until it comes to them.
    window = timedelta(seconds=rules.crash_window_s)
    recent = [text for text in state.starts if abs(at - parse_utc(text)) < window]
    starts = Measurement(
        name="restarts",
        value=float(len(recent)),
        n=0,
        source=f"seen in {rules.crash_window_s:g} s",
        at=at,
    )
    since = min(at, parse_utc(state.away_since)) if state.away_since else at
    away = (at - since).total_seconds()
    source = "answers its scrape" if not state.away_since else f"away since {state.away_since}"
    return starts, Measurement(name="down_s", value=away, n=0, source=source, at=at)


_PLAIN: dict[str, Any] = {
    "version": str,
    "is_fresh": bool,
    "successes": int,
    "errors": int,
    "scored": int,
    "loads": int,
    "away_since": str,
    "was_seen": bool,
}


def _none(name: str, why: str, at: datetime, *, n: int = 0) -> Measurement:
    return Measurement(name=name, value=None, n=n, source=why, at=at)


def _text(edge: float) -> str:
    return "inf" if math.isinf(edge) else repr(edge)
