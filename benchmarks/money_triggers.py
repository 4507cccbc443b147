"""How often the two triggers of trades fire within 90 days, by what a version is really worth.

``python benchmarks/money_triggers.py [histories]`` simulates days of trades, records them, and
looks once a day as ``mlwb monitor`` does, with the limits of ``params/policy.yml``.
"""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta

import numpy as np

from mlwb.core.clock import ManualClock
from mlwb.core.home import find_project
from mlwb.evidence import Context, Metric, Record, new_record, rate
from mlwb.monitor import Rules, Trigger, judge_readings, trading_readings
from mlwb.params import load_policy
from mlwb.stats import DAYS_A_YEAR

RULES = Rules.of(load_policy(find_project() / "params" / "policy.yml"))
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, VERSION = 90, "v1"


def record(day: int, wins: int, n: int, net: float) -> Record:
    """A day of a desk, told the night after it."""
    told = START + timedelta(days=day + 1, minutes=20)
    date = str((START + timedelta(days=day)).date())
    details = {
        "date": date,
        "source": "broker",
        "simulated": False,
        "symbol": "X",
        "label": {"kind": "direction"},
        "definition": "simulated",
    }
    metrics = [
        rate("win_rate", wins, n),
        Metric("net_return", net),
        Metric("cost_return", 0.0),
    ]
    context = Context(clock=ManualClock(told), model_version=VERSION, origin="live")
    return new_record("live_pnl", metrics, context, phase=f"pnl-{date}", details=details)


def fired(records: list[Record]) -> dict[str, int]:
    """Day on which each trigger fired first; none for one that never did."""
    triggers: dict[str, Trigger] = {}
    first: dict[str, int] = {}
    for day in range(1, len(records) + 1):
        now = START + timedelta(days=day, minutes=30)
        newest = records[max(0, day - 31) : day]
        found = trading_readings(newest, VERSION, RULES, now=now)
        for row in judge_readings(triggers, found, RULES):
            triggers[row.name] = row.trigger
            if row.event == "fired":
                first.setdefault(row.name, day)
    return first


def main(histories: int) -> None:
    """Print a row a case."""
    rng = np.random.default_rng(0)
    print(f"{histories} histories of {DAYS} days, a look a day")
    print("true Sharpe   fired within 90 days   median day")
    for sharpe in (3.0, 2.0, 1.0, 0.0, -3.0, -6.0):
        sd = 0.01
        mean = sharpe * sd / math.sqrt(DAYS_A_YEAR)
        days = [
            fired([record(d, 0, 0, x) for d, x in enumerate(rng.normal(mean, sd, DAYS))])
            for _ in range(histories)
        ]
        _row(f"{sharpe:10.1f}", [found.get("sharpe") for found in days])
    print("true win rate, trades a day   fired within 90 days   median day")
    for p in (0.60, 0.55, 0.52, 0.45):
        for n in (30, 100, 500):
            days = [
                fired([record(d, int(k), n, 0.0) for d, k in enumerate(rng.binomial(n, p, DAYS))])
                for _ in range(histories)
            ]
            _row(f"{p:.2f} {n:10d}", [found.get("win_rate") for found in days])


def _row(name: str, days: list[int | None]) -> None:
    known = [day for day in days if day is not None]
    median = f"{np.median(known):.0f}" if known else "-"
    print(f"{name}   {len(known) / len(days):6.1%}   {median}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
