"""What evidence says of the version that answers: its trades, and drift day after day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlwb.core.clock import parse_utc
from mlwb.evidence import Record
from mlwb.gates import Outcome, evaluate_watch
from mlwb.monitor._triggers import Measurement, Rules
from mlwb.params import Limit, Policy

__all__ = ["Suggestion", "suggest_retraining", "trading_readings"]

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


def trading_readings(
    records: Iterable[Record], version: str, rules: Rules, *, now: datetime
) -> tuple[Measurement, ...]:
    """Win rate and Sharpe ratio of live trades of a version.

    Parameters
    ----------
    records : iterable of Record
        Of kind ``pnl``; those of another origin than live, or version, are passed over.
    version : str
        The version that answers.
    rules : Rules
        How many UTC days are judged together, and how many trades make a day.
    now : datetime
        UTC.

    Returns
    -------
    tuple of Measurement
        ``win_rate``: the best of the newest days with enough trades, so that it is below the limit
        when each of them is; ``n`` is the least number of trades. ``sharpe``: of the newest record.
    """
    live = sorted(
        (item for item in records if item.model_version == version and item.origin == "live"),
        key=lambda item: item.timestamp,
    )
    return (
        _win_rate(live, rules, now),
        _sharpe(live, rules.limits["sharpe"], now),
    )


def _win_rate(live: list[Record], rules: Rules, now: datetime) -> Measurement:
    limit, days = rules.limits["win_rate"], {}
    for record in live:
        for metric in record.metrics:
            is_it = metric.name == limit.metric and not metric.segment
            if is_it and metric.value is not None and (metric.n or 0) >= limit.min_n:
                days[record.timestamp[:10]] = (metric, parse_utc(record.timestamp))
    newest = [days[day] for day in sorted(days)[-rules.trading_days :]]
    if len(newest) < rules.trading_days or _is_old(newest[-1][1], limit, now):
        why = f"{len(days)} of {rules.trading_days} UTC days with {limit.min_n} live trades"
        return Measurement(name="win_rate", value=None, n=0, source=why, at=now)
    return Measurement(
        name="win_rate",
        value=max(float(metric.value or 0.0) for metric, _ in newest),
        n=min(metric.n or 0 for metric, _ in newest),
        source=f"best of {rules.trading_days} UTC days, live trades",
        at=newest[-1][1],
    )


def _sharpe(live: list[Record], limit: Limit, now: datetime) -> Measurement:
    for record in reversed(live):
        at = parse_utc(record.timestamp)
        for metric in record.metrics:
            if metric.name == limit.metric and not metric.segment and metric.value is not None:
                if _is_old(at, limit, now):
                    break
                return Measurement(
                    name="sharpe",
                    value=float(metric.value),
                    n=metric.n or 0,
                    source=record.run_id,
                    at=at,
                )
    return Measurement(name="sharpe", value=None, n=0, source="no live trades in evidence", at=now)


def _is_old(at: datetime, limit: Limit, now: datetime) -> bool:
    return now - at > timedelta(hours=limit.max_age_h)


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
