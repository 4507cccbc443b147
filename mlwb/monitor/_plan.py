"""Where a rollback would go, and whether it may go there now.

Rolling back too often is its own outage. So there is one rollback a cooldown at most, and none to a
version that was itself rolled back from not long ago. Both are read off the registry's log, not off
a memory of the monitor's: a person's rollbacks count, and a lost state file forgets none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlwb.core.clock import format_utc, parse_utc
from mlwb.monitor._triggers import Row, Rules
from mlwb.registry import State

__all__ = ["Plan", "plan_rollback"]

_PUT_RIGHT = "unaudited"
_BY_HAND = "manual"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the triggers call for.

    Parameters
    ----------
    triggers : tuple of str
        Those that call for a rollback; empty where none does.
    target : str, default=""
        Version to go back to; empty where there is none to go to now.
    reason : str, default=""
        For the registry's log.
    held_by : str, default=""
        Why nothing is done although a trigger calls for it.
    """

    triggers: tuple[str, ...] = ()
    target: str = ""
    reason: str = ""
    held_by: str = ""


def plan_rollback(
    rows: Sequence[Row], state: State, rules: Rules, *, now: datetime, by: str = ""
) -> Plan:
    """What to do about the triggers that have fired.

    Parameters
    ----------
    rows : sequence of Row
        Of the look.
    state : State
        Of the registry.
    rules : Rules
        Cooldown, and how long a version that was rolled back from stays away.
    now : datetime
        UTC.
    by : str, default=""
        What a person who calls for it gave as the reason.

    Returns
    -------
    Plan
        ``latest`` moved past the registry is put back where the log has it; any other trigger goes
        to the newest version before this one that may return.
    """
    acting = {row.name: row for row in rows if row.acts}
    if not acting:
        return Plan()
    names, reason = tuple(acting), "monitor: " + "; ".join(str(row) for row in acting.values())
    if by:
        reason += f" ({by})"
    if _PUT_RIGHT in acting:
        if state.latest is None:
            return Plan(triggers=names, reason=reason, held_by="the log names no latest")
        return Plan(triggers=names, target=state.latest, reason=reason)
    until = _cool_at(state, now, timedelta(hours=rules.cooldown_h))
    if until is not None and _BY_HAND not in acting:
        why = f"cooldown until {format_utc(until)}"
        return Plan(triggers=names, reason=reason, held_by=why)
    target = _way_back(state, now - timedelta(hours=rules.never_back_h))
    if not target:
        why = "no earlier version that was not rolled back from itself"
        return Plan(triggers=names, reason=reason, held_by=why)
    return Plan(triggers=names, target=target, reason=reason)


def _cool_at(state: State, now: datetime, cooldown: timedelta) -> datetime | None:
    """When the cooldown ends; None where there is none.

    A rollback stamped further ahead than a cooldown is of a clock that was wrong: it would hold
    the next one for as long as the clock was ahead.
    """
    stamps = map(parse_utc, filter(None, state.rolled_back_at.values()))
    ends = [stamp + cooldown for stamp in stamps if now - cooldown < stamp <= now + cooldown]
    return max(ends, default=None)


def _way_back(state: State, since: datetime) -> str:
    """The newest version before `latest` that nobody rolled back from since."""
    for version in reversed(state.history[:-1]):
        left = state.rolled_back_at.get(version, "")
        if version != state.latest and (not left or parse_utc(left) <= since):
            return version
    return ""
