"""Whether a number that must hold while a version serves has stopped holding.

A trigger fires when its number was bad on several looks in a row, and clears when it was better
than the limit by a margin on as many: a number that hovers at its limit does neither over and over.
What was not measured moves no trigger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from mlwb.core.clock import format_utc, parse_utc
from mlwb.core.errors import EvidenceSchemaError
from mlwb.gates import holds
from mlwb.params import Limit, Policy

__all__ = ["Measurement", "Row", "Rules", "Trigger", "judge_readings"]

GROUP = "rollback"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One number about the version that answers, or that there is none.

    Parameters
    ----------
    name : str
        Of the limit it is held against, without the group: ``"error_rate"``.
    value : float or None
        In the unit of the limit; None where nothing was measured. May be infinite.
    n : int
        Observations it rests on; 0 for numbers without a count.
    source : str
        Where it was read, or why it was not, for people.
    at : datetime
        When it was measured; a number that was judged already is not judged again.
    """

    name: str
    value: float | None
    n: int
    source: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a policy says about rolling back.

    Parameters
    ----------
    limits : mapping of str to Limit
        By name without the group, in the order of the policy.
    looks : int
        Looks in a row that fire or clear a trigger.
    at_once : frozenset of str
        Triggers that one look fires: their number is about more than one look already.
    clear_margin : float
        In [0, 1): how much better than its limit a number must be to clear.
    cooldown_h, never_back_h : float
        Hours between two rollbacks, and until a version that was rolled back from may return.
    crash_window_s : float
        Starts of the server are counted over so many seconds.
    trading_days, drift_days : int
        UTC days of trades that are judged together, and of drift that suggest training anew.
    sharpe_days : int
        UTC days that a Sharpe ratio is of.
    judged_labels : frozenset of str
        Kinds of label whose paper money may call for a rollback: those of a hard gate `pnl`.
    """

    limits: Mapping[str, Limit]
    looks: int
    at_once: frozenset[str]
    clear_margin: float
    cooldown_h: float
    never_back_h: float
    crash_window_s: float
    trading_days: int
    drift_days: int
    sharpe_days: int
    judged_labels: frozenset[str]

    @classmethod
    def of(cls, policy: Policy) -> Rules:
        """As a policy has them."""
        said = policy.watch_settings[GROUP]
        number = {key: float(value) for key, value in said.items() if isinstance(value, str)}
        return cls(
            limits={limit.id.partition(".")[2]: limit for limit in policy.watch[GROUP]},
            looks=max(1, int(number["looks"])),
            at_once=frozenset(said["at_once"]),
            clear_margin=number["clear_margin"],
            cooldown_h=number["cooldown_h"],
            never_back_h=number["never_back_h"],
            crash_window_s=number["crash_window_s"],
            trading_days=max(1, int(number["trading_days"])),
            drift_days=max(1, int(number["drift_days"])),
            sharpe_days=max(2, int(number["sharpe_days"])),
            judged_labels=frozenset(policy.gates["pnl"].settings.get("hard_for_labels", ())),
        )

    def needed(self, name: str) -> int:
        """Looks in a row that move a trigger."""
        return 1 if name in self.at_once else self.looks


@dataclass(frozen=True)
class Trigger:
    """Where one trigger stands.

    Parameters
    ----------
    is_fired : bool, default=False
        Until it clears.
    streak : int, default=0
        Looks in a row that speak for the other state.
    since : str, default=""
        When it fired, UTC with ``Z``; empty while it has not.
    judged_at : str, default=""
        Time of the newest reading that counted.
    """

    is_fired: bool = False
    streak: int = 0
    since: str = ""
    judged_at: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Trigger:
        """Inverse of ``vars``.

        Raises
        ------
        EvidenceSchemaError
            It is no trigger.
        """
        found = cls(**{name: value.get(name) for name in cls.__dataclass_fields__})  # type: ignore[arg-type]
        right = (
            isinstance(value.get("is_fired"), bool)
            and isinstance(value.get("streak"), int)
            and all(isinstance(text, str) for text in (value.get("since"), value.get("judged_at")))
        )
        if not right:
            raise EvidenceSchemaError("not the state of a trigger", got=repr(dict(value))[:80])
        for text in (found.since, found.judged_at):
            if text:
                parse_utc(text)
        return found


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a look made of one trigger.

    Parameters
    ----------
    reading : Measurement
        What was measured.
    limit : Limit
        What it is held against.
    trigger : Trigger
        After the look.
    state : str
        ``"ok"``, ``"rising"`` (bad, not often enough), ``"fired"``, ``"clearing"`` (fired, and
        better for some looks), or ``"not measured"``.
    event : str, default=""
        ``"fired"`` or ``"cleared"`` where this look made it so.
    """

    reading: Measurement
    limit: Limit
    trigger: Trigger
    state: str
    event: str = ""

    @property
    def name(self) -> str:
        """Of the trigger."""
        return self.reading.name

    @property
    def acts(self) -> bool:
        """Whether it calls for a rollback: fired, and of a hard limit."""
        return self.trigger.is_fired and self.limit.severity == "hard"

    def __str__(self) -> str:
        return f"{self.name} {said(self.reading.value)}, {self.rule} must hold"

    @property
    def rule(self) -> str:
        """Comparator and value of the limit."""
        return f"{self.limit.comparator} {self.limit.value}"


def said(value: float | None) -> str:
    """A measured number for people."""
    return "not measured" if value is None else f"{value:.4g}"


def judge_readings(
    triggers: Mapping[str, Trigger], readings: Iterable[Measurement], rules: Rules
) -> tuple[Row, ...]:
    """One look at every trigger of the policy.

    Parameters
    ----------
    triggers : mapping of str to Trigger
        As the look before left them; one that is missing is quiet.
    readings : iterable of Measurement
        At most one a trigger; a trigger without one was not measured.
    rules : Rules
        Limits and how often they must be broken.

    Returns
    -------
    tuple of Row
        One a limit, in the order of the policy.
    """
    found = {reading.name: reading for reading in readings}
    at = max((reading.at for reading in found.values()), default=None)
    rows = []
    for name, limit in rules.limits.items():
        reading = found.get(name)
        if reading is None:
            when = at if at is not None else parse_utc("1970-01-01T00:00:00Z")
            reading = Measurement(name=name, value=None, n=0, source="nothing measures it", at=when)
        rows.append(_row(triggers.get(name, Trigger()), reading, limit, rules))
    return tuple(rows)


def _row(before: Trigger, reading: Measurement, limit: Limit, rules: Rules) -> Row:
    value = math.nan if reading.value is None else reading.value
    if math.isnan(value) or reading.n < limit.min_n:
        state = "fired" if before.is_fired else "not measured"
        return Row(reading=reading, limit=limit, trigger=before, state=state)
    if format_utc(reading.at) == before.judged_at:  # not "earlier": a clock may step back
        return Row(reading=reading, limit=limit, trigger=before, state=_state(before))
    after = _step(
        before,
        (value, reading.at),
        limit,
        needed=rules.needed(reading.name),
        margin=rules.clear_margin,
    )
    event = "" if after.is_fired == before.is_fired else "fired" if after.is_fired else "cleared"
    return Row(reading=reading, limit=limit, trigger=after, state=_state(after), event=event)


def _state(trigger: Trigger) -> str:
    if trigger.is_fired:
        return "clearing" if trigger.streak else "fired"
    return "rising" if trigger.streak else "ok"


def _step(
    before: Trigger, found: tuple[float, datetime], limit: Limit, *, needed: int, margin: float
) -> Trigger:
    value, at = found
    if before.is_fired:
        speaks = _is_better(value, limit, margin)
    else:
        speaks = not holds(value, limit.comparator, limit.value)
    judged_at, streak = format_utc(at), before.streak + 1 if speaks else 0
    if streak < needed:
        return replace(before, streak=streak, judged_at=judged_at)
    if before.is_fired:
        return Trigger(judged_at=judged_at)
    return Trigger(is_fired=True, since=judged_at, judged_at=judged_at)


def _is_better(value: float, limit: Limit, margin: float) -> bool:
    """Whether a number is on the good side of its limit by a margin.

    A share of the limit; of a limit from below that is inside (0, 1), a share of what is left to 1,
    which is the most that a rate or a correlation can be.
    """
    at, share = Decimal(limit.value), Decimal(repr(margin))
    if limit.comparator in ("<", "<="):
        at -= share * abs(at)
    elif limit.comparator in (">", ">="):
        at += share * (1 - at if 0 < at < 1 else abs(at))
    return holds(value, limit.comparator, str(at))
