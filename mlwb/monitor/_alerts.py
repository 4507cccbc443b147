"""Whether anything critical happened: the rollback limits of the policy, asked of live numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mlwb.core.clock import parse_utc
from mlwb.evidence import Record
from mlwb.gates import Check, Outcome, evaluate_watch, holds
from mlwb.params import Policy

__all__ = ["Alert", "Alerts", "Reading", "gate_warnings", "record_alerts", "rollback_alerts"]

_WATCHES = ("rollback", "drift_check")
_OVER_DAYS = frozenset({"live_pnl"})
"""Kinds of which one record is one day, and a limit is about several."""


@dataclass(frozen=True)
class Reading:
    """A number of a window, or why there is none.

    Parameters
    ----------
    value : float
        NaN where it was not measured.
    n : int
        Observations behind it.
    why : str, default=""
        Why it was not measured.
    """

    value: float
    n: int
    why: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a number."""
        return not self.why and math.isfinite(self.value)


@dataclass(frozen=True)
class Alert:
    """One question, and what became of it.

    Parameters
    ----------
    id : str
        Of the limit in the policy, ``rollback.rank_corr``.
    state : {"raised", "warned", "quiet", "not measured"}
        What live numbers say; ``warned`` is beyond what a gate asks for, not beyond a trigger.
    reason : str
        Value and limit, or why there is no value.
    is_needed : bool
        Whether silence is proven only when this was measured.
    """

    id: str
    state: str
    reason: str
    is_needed: bool = True


@dataclass(frozen=True)
class Alerts:
    """All questions about a window."""

    questions: tuple[Alert, ...]

    @property
    def raised(self) -> tuple[Alert, ...]:
        """Limits that live numbers broke."""
        return tuple(item for item in self.questions if item.state == "raised")

    @property
    def open(self) -> tuple[Alert, ...]:
        """What had to be measured, and was not."""
        lacking = [item for item in self.questions if item.state == "not measured"]
        return tuple(item for item in lacking if item.is_needed)

    @property
    def count(self) -> int | None:
        """Limits broken; None where none was, but not all were measured that had to be."""
        if self.raised:
            return len(self.raised)
        return None if self.open else 0

    @property
    def why(self) -> str:
        """Why there is no count; empty where there is one."""
        lacking = ", ".join(item.id for item in self.open)
        return f"not measured: {lacking}" if self.count is None else ""

    @property
    def risk(self) -> str:
        """In a word: CRITICAL, WARN beyond a gate or where something was not measured, OK."""
        if self.raised:
            return "CRITICAL"
        is_warned = any(item.state == "warned" for item in self.questions)
        return "WARN" if self.open or is_warned else "OK"


def rollback_alerts(
    readings: Mapping[str, Reading], policy: Policy, *, money: Mapping[str, Reading] | None = None
) -> tuple[Alert, ...]:
    """Hold numbers of a window against every limit of the group ``rollback``.

    Parameters
    ----------
    readings : mapping of str to Reading
        By name of the metric. Every one given is needed; a limit without one (restarts: what the
        logs do not hold) is named as not measured and proves nothing either way.
    policy : Policy
        The limits.
    money : mapping of str to Reading, optional
        The same of trades, where there are any: held against their limits, and not needed.

    Returns
    -------
    tuple of Alert
        One a limit, in the order of the policy.
    """
    found = []
    beside = money or {}
    for limit in policy.watch["rollback"]:
        is_needed = limit.metric in readings
        reading = readings.get(limit.metric) or beside.get(limit.metric)
        if reading is None:
            why = "a server's logs do not hold it; mlwb monitor asks"
            found.append(Alert(limit.id, "not measured", why, is_needed=False))
        elif not reading.is_known or reading.n < limit.min_n:
            why = reading.why or f"{reading.n} observations"
            found.append(Alert(limit.id, "not measured", why, is_needed=is_needed))
        else:
            is_quiet = holds(reading.value, limit.comparator, limit.value)
            said = f"{limit.metric} = {reading.value:.6g}, must be {limit.comparator} {limit.value}"
            found.append(Alert(limit.id, "quiet" if is_quiet else "raised", said))
    return tuple(found)


def gate_warnings(readings: Mapping[str, Reading], policy: Policy) -> tuple[Alert, ...]:
    """Hold numbers against what gates ask of a candidate, before a trigger fires.

    Parameters
    ----------
    readings : mapping of str to Reading
        By id of the limit, ``shadow.match_rate``; what is not known is not named.
    policy : Policy
        The limits.

    Returns
    -------
    tuple of Alert
        Those that warn only.
    """
    found = []
    for name, reading in readings.items():
        limit = policy.limit(name)
        if reading.is_known and not holds(reading.value, limit.comparator, limit.value):
            said = f"{limit.metric} = {reading.value:.6g}, must be {limit.comparator} {limit.value}"
            found.append(Alert(limit.id, "warned", said))
    return tuple(found)


def record_alerts(records: Iterable[Record], policy: Policy) -> tuple[Alert, ...]:
    """Hard limits of the watches that live records of a window break, each named once.

    Parameters
    ----------
    records : iterable of Record
        Of any kind and origin, about the version; what is not live is passed over.
    policy : Policy
        The limits.

    Returns
    -------
    tuple of Alert
        Raised ones only, each with the record that says it.
    """
    found: dict[str, Alert] = {}
    for record in records:
        if record.origin != "live" or record.kind in _OVER_DAYS:
            continue
        for check in _checks(record, policy):
            if check.outcome is Outcome.FAIL and check.severity == "hard":
                name = f"{check.id}[{check.segment}]" if check.segment else check.id
                found[name] = Alert(name, "raised", f"{check.reason} ({record.run_id})")
    return tuple(found.values())


def _checks(record: Record, policy: Policy) -> Iterator[Check]:
    """Checks of the limits that this kind of record answers, at the time it was written."""
    for watch in _WATCHES:
        if any(limit.kind == record.kind for limit in policy.watch.get(watch, ())):
            view = {record.kind: record}
            verdict = evaluate_watch(watch, view, policy, parse_utc(record.timestamp))
            yield from (check for check in verdict.checks if check.outcome is not Outcome.MISSING)
