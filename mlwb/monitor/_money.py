"""What the trades of a version came to: days of evidence, as the triggers ask for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist

import numpy as np

from mlwb.core.clock import parse_utc
from mlwb.core.errors import EmptyWindowError
from mlwb.evidence import Record
from mlwb.gates import holds
from mlwb.monitor._alerts import Reading
from mlwb.monitor._triggers import Measurement, Rules
from mlwb.params import Limit, Policy
from mlwb.stats import DAYS_A_YEAR, sharpe_ratio

__all__ = ["LIVE_PNL", "TradingDay", "money_alerts", "trading_days", "trading_readings"]

LIVE_PNL = "live_pnl"
_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class TradingDay:
    """What a version earned on one UTC day.

    Parameters
    ----------
    day : date
        UTC.
    source : {"broker", "paper"}
        Fills of a desk, or the served scores traded on paper.
    is_judged : bool
        Whether its money may call for a rollback: fills, and bets of a label whose gate is hard.
    wins, trades : int
        Closed trades that earned more than they paid, of how many.
    net : float
        Net return on equity.
    cost : float
        What it paid, as a share of equity.
    is_bet : bool
        Whether a win rate exists: timing exposure makes no bets.
    at : datetime
        When it was recorded.
    """

    day: date
    source: str
    is_judged: bool
    wins: int
    trades: int
    net: float
    cost: float
    is_bet: bool
    at: datetime

    @property
    def win_rate(self) -> float:
        """Share of closed trades that won; NaN without one."""
        return self.wins / self.trades if self.trades else math.nan

    @property
    def ends(self) -> datetime:
        """When the day was over."""
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC) + timedelta(days=1)


def trading_days(
    records: Iterable[Record], version: str, judged: Iterable[str]
) -> tuple[TradingDay, ...]:
    """Days of a version, oldest first, each once.

    Parameters
    ----------
    records : iterable of Record
        In the order written. Those of another kind, version or origin than live are passed over.
    version : str
        The version.
    judged : iterable of str
        Kinds of label whose paper money may call for a rollback.

    Returns
    -------
    tuple of TradingDay
        Fills of a desk come before paper; of the same source the newest record counts.
    """
    hard = frozenset(judged)
    found: dict[date, TradingDay] = {}
    for record in records:
        if record.kind != LIVE_PNL or (record.model_version, record.origin) != (version, "live"):
            continue
        item = _day(record, hard)
        before = found.get(item.day)
        if before is None or (item.source, before.source) != ("paper", "broker"):
            found[item.day] = item
    return tuple(found[day] for day in sorted(found))


def _day(record: Record, hard: frozenset[str]) -> TradingDay:
    known = {metric.name: metric for metric in record.metrics if not metric.segment}
    rate, details = known["win_rate"], record.details
    source = str(details["source"])
    return TradingDay(
        day=date.fromisoformat(details["date"]),
        source=source,
        is_judged=source == "broker" or details["label"]["kind"] in hard,
        wins=rate.k or 0,
        trades=rate.n or 0,
        net=float(known["net_return"].value or 0.0),
        cost=float(known["cost_return"].value or 0.0),
        is_bet=rate.n is not None,
        at=parse_utc(record.timestamp),
    )


def trading_readings(
    records: Iterable[Record], version: str, rules: Rules, *, now: datetime
) -> tuple[Measurement, Measurement]:
    """Win rate and Sharpe ratio of live trades of a version.

    Parameters
    ----------
    records : iterable of Record
        In the order written; see :func:`trading_days`.
    version : str
        The version that answers.
    rules : Rules
        Limits, the days that are judged together, and the labels whose money is judged.
    now : datetime
        UTC; trades of a day that ended longer ago than the limit allows say nothing.

    Returns
    -------
    tuple of Measurement
        ``win_rate``: the best of the newest days with enough trades, so that it is below the limit
        when each of them is; ``n`` is the least number of trades. ``sharpe``: of the UTC days of
        the newest ``sharpe_days``, a day without a record between them having return 0; where it
        is below the limit by less than its own error, it is not measured.
    """
    days = trading_days(records, version, rules.judged_labels)
    told = [item for item in days if item.is_judged]
    if days and not told:
        why = "paper money of exposure that is timed: told day by day, and held against nothing"
        return _none("win_rate", why, now), _none("sharpe", why, now)
    return _win_rate(told, rules, now), _sharpe(told, rules, now)


def _win_rate(days: Sequence[TradingDay], rules: Rules, now: datetime) -> Measurement:
    limit = rules.limits["win_rate"]
    enough = [item for item in days if item.is_bet and item.trades >= max(limit.min_n, 1)]
    newest = enough[-rules.trading_days :]
    if len(newest) < rules.trading_days:
        why = f"{len(enough)} of {rules.trading_days} UTC days with {limit.min_n} live trades"
        return _none("win_rate", why, now)
    if _is_old(newest[-1], limit, now):
        return _none("win_rate", f"the newest trades are of {newest[-1].day}", now)
    wins, trades = sum(item.wins for item in newest), sum(item.trades for item in newest)
    return Measurement(
        name="win_rate",
        value=max(item.win_rate for item in newest),
        n=min(item.trades for item in newest),
        source=f"best of {len(newest)} UTC days to {newest[-1].day}, {_whose(newest)}; "
        f"together {wins} of {trades}",
        at=max(item.at for item in newest),
    )


def _sharpe(days: Sequence[TradingDay], rules: Rules, now: datetime) -> Measurement:
    limit = rules.limits["sharpe"]
    if not days:
        return _none("sharpe", "no live trades in evidence: mlwb report pnl", now)
    if _is_old(days[-1], limit, now):
        return _none("sharpe", f"the newest trades are of {days[-1].day}", now)
    window = [item for item in days if (days[-1].day - item.day).days < rules.sharpe_days]
    n = (window[-1].day - window[0].day).days + 1
    net = np.zeros(n)
    net[[(item.day - window[0].day).days for item in window]] = [item.net for item in window]
    if n < max(limit.min_n, 2):
        return _none("sharpe", f"{n} UTC days, {limit.min_n} are needed", now)
    try:
        daily = sharpe_ratio(net)
    except EmptyWindowError:
        return _none("sharpe", f"the same return on each of {n} UTC days", now)
    scale = math.sqrt(DAYS_A_YEAR)
    value = scale * daily.ratio
    upper = value + NormalDist().inv_cdf(_LEVEL) * scale * daily.error
    said = f"{n} UTC days to {window[-1].day}, {_whose(window)}; 95 % upper bound {upper:.3g}"
    if limit.refuted_by and not _holds(value, limit) and _holds(upper, limit):
        return _none("sharpe", f"{value:.3g} is not shown to be below {limit.value}: {said}", now)
    at = max(item.at for item in window)
    return Measurement(name="sharpe", value=value, n=n, source=said, at=at)


def money_alerts(
    records: Iterable[Record], version: str, policy: Policy, *, now: datetime
) -> dict[str, Reading]:
    """The same two numbers as readings of a day or a window.

    Parameters
    ----------
    records : iterable of Record
        In the order written.
    version : str
        The version.
    policy : Policy
        Limits and the days that are judged together.
    now : datetime
        UTC.

    Returns
    -------
    dict of str to Reading
        By name of the metric.
    """
    found = trading_readings(records, version, Rules.of(policy), now=now)
    return {
        item.name: Reading(math.nan, 0, item.source)
        if item.value is None
        else Reading(item.value, item.n)
        for item in found
    }


def _holds(value: float, limit: Limit) -> bool:
    return holds(value, limit.comparator, limit.value)


def _whose(days: Sequence[TradingDay]) -> str:
    """Whether trades are a desk's, on paper, or some of each."""
    fills = sum(item.source == "broker" for item in days)
    if fills == len(days):
        return "fills of the desk"
    return f"{fills} with fills of the desk, else on paper" if fills else "on paper"


def _none(name: str, why: str, now: datetime) -> Measurement:
    return Measurement(name=name, value=None, n=0, source=why, at=now)


def _is_old(newest: TradingDay, limit: Limit, now: datetime) -> bool:
    return now - newest.ends > timedelta(hours=limit.max_age_h)
