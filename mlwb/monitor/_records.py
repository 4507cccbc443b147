"""What evidence says of the version that answers: drift, day after day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlwb.core.clock import parse_utc
from mlwb.evidence import Record
from mlwb.gates import Outcome, evaluate_watch
from mlwb.monitor._triggers import Rules
from mlwb.params import Policy

__all__ = ["Suggestion", "suggest_retraining"]

_DRIFT = "drift_check"
_A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Suggestion:
    """Drift that does not go away.

    Parameters
    ----------
    version : str
        The version that is served.
    days : tuple of str
        UTC dates of the checks that failed, oldest first, the newest among them.
    about : tuple of str
        Features that failed on the newest day, or the names of other checks.
    """

    version: str
    days: tuple[str, ...]
    about: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.version} has drifted on {len(self.days)} days in a row, until "
            f"{self.days[-1]} ({', '.join(self.about)}): think about training anew, `mlwb run`"
        )


def suggest_retraining(
    records: Iterable[Record], version: str, policy: Policy, *, now: datetime
) -> Suggestion | None:
    """Whether the daily check has failed on so many days in a row that training anew is due.

    Parameters
    ----------
    records : iterable of Record
        Of kind ``drift_check``; the newest of a UTC day about the version counts.
    version : str
        The version that is served.
    policy : Policy
        Limits of the check, and the number of days.
    now : datetime
        UTC; checks that ended before yesterday say nothing of today.

    Returns
    -------
    Suggestion or None
        None while drift does not persist, or was not measured on each of the days.
    """
    wanted = Rules.of(policy).drift_days
    by_day = {
        item.timestamp[:10]: item
        for item in sorted(records, key=lambda item: item.timestamp)
        if item.model_version == version
    }
    if not by_day:
        return None
    newest = parse_utc(by_day[max(by_day)].timestamp)
    if now - newest > 2 * _A_DAY:
        return None
    days: list[str] = []
    about: tuple[str, ...] = ()
    day = newest
    while (record := by_day.get(f"{day:%Y-%m-%d}")) is not None:
        at = parse_utc(record.timestamp)
        verdict = evaluate_watch(_DRIFT, {record.kind: record}, policy, at)
        if verdict.outcome is not Outcome.FAIL:
            break
        if not days:
            failed = [check for check in verdict.checks if check.outcome is Outcome.FAIL]
            about = tuple(dict.fromkeys(check.segment or check.metric for check in failed))
        days.insert(0, f"{day:%Y-%m-%d}")
        day -= _A_DAY
    return Suggestion(version, tuple(days), about) if len(days) >= wanted else None
