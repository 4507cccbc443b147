"""Stopping and certifying rollouts: how often wrongly, how soon rightly, beside the usual rules.

Run: ``python benchmarks/canary.py [ROLLOUTS]`` (1,000 take two minutes of one core). Requests are
made: independent faults at stated rates, log-normal latencies. Every table is seeded; shares carry
their 95 % Wilson interval where a bound is claimed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import mannwhitneyu

from mlwb.canary import JudgeLimits, Outcome, Traffic, judge, questions_of
from mlwb.core.arrays import Float1D
from mlwb.core.clock import SystemClock
from mlwb.stats import MeanBets, RateAlarm, RatioBets, quantile_shift, wilson

LIMITS = JudgeLimits(0.02, 0.10, 120.0, 0.01, 0.05, 80.0, 60.0)
PHASES = (50, 100, 250, 500, 1000)
REQUESTS, LINE = 4000, math.log(20.0)


def traffic(seed: int, n: int, *, error: float, mismatch: float, slow: float) -> Traffic:
    """Requests of which every one is shadowed."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    failed = rng.random(n) < error / 2
    return Traffic(
        status=np.where(rng.random(n) < error, 503, 200),
        latency_ms=np.where(rng.random(n) < slow, 150.0, rng.lognormal(0, 0.3, n)),
        score=score,
        shadowed=np.ones(n, dtype=bool),
        shadow_score=np.where(
            failed, np.nan, score + np.where(rng.random(n) < mismatch, 0.2, 0.001)
        ),
        shadow_ms=rng.lognormal(-2, 0.3, n),
    )


def judged(found: Traffic) -> tuple[Outcome, int]:
    """Decision, and requests until it."""
    made = judge(questions_of(found, LIMITS, match_delta=0.05), len(found), level=LIMITS.level)
    return made.outcome, made.at


def by_phases(found: Traffic) -> int | None:
    """Point estimate of errors at the end of each phase; requests until it stops."""
    start = 0
    for size in PHASES:
        if (found.status[start : start + size] != 200).mean() > LIMITS.abort_error:
            return start + size
        start += size
    return None


def by_windows(found: Traffic, failures: int = 3, size: int = 100) -> int | None:
    """Three windows of a hundred above the limit, as progressive delivery tools count them."""
    bad = (found.status != 200)[: len(found) // size * size].reshape(-1, size).mean(axis=1)
    over = np.flatnonzero(np.cumsum(bad > LIMITS.abort_error) >= failures)
    return int((over[0] + 1) * size) if len(over) else None


def share(k: int, n: int) -> str:
    """A share with its interval."""
    low, high = wilson(k, n)
    return f"{k / n:6.3f} ({low:.3f}-{high:.3f})"


def median(values: Sequence[float | None]) -> str:
    """Median with the never-stopped at the far end."""
    found = float(np.median([np.inf if value is None else value for value in values]))
    return "never" if math.isinf(found) else f"{found:.0f}"


def stopping(rollouts: int) -> None:
    """Rollouts stopped, by true rates; the limits are 2 % errors, 10 % mismatches, 5 % slow."""
    print(f"\nstopped within {REQUESTS} requests, and median requests until then")
    print(f"{'errors mismatch slow':<22}{'judge':>24}{'':>7}{'phases':>9}{'':>7}{'3 of 100':>9}")
    cases = (
        (0.000, 0.00, 0.00), (0.003, 0.01, 0.005), (0.010, 0.05, 0.025), (0.018, 0.09, 0.045),
        (0.020, 0.10, 0.050), (0.05, 0.01, 0.005), (0.10, 0.01, 0.005), (0.003, 0.15, 0.005),
        (0.003, 0.01, 0.10),
    )  # fmt: skip
    for number, (error, mismatch, slow) in enumerate(cases):
        stops: list[int | None] = []
        phases, windows = [], []
        for i in range(rollouts):
            found = traffic(
                number * 100_000 + i, REQUESTS, error=error, mismatch=mismatch, slow=slow
            )
            outcome, at = judged(found)
            stops.append(at if outcome is Outcome.ABORT else None)
            phases.append(by_phases(found))
            windows.append(by_windows(found))
        n_stops = sum(stop is not None for stop in stops)
        rivals = "".join(
            f"{sum(stop is not None for stop in rule) / rollouts:9.3f}{median(rule):>7}"
            for rule in (phases, windows)
        )
        rates = f"{error:<7.3f}{mismatch:<9.2f}{slow:<6.3f}"
        print(f"{rates}{share(n_stops, rollouts):>24}{median(stops):>7}{rivals}")


def certifying(rollouts: int) -> None:
    """Requests until a rate is shown to be below its limit."""
    print("\nrequests until certified: median and 90 % of rollouts")
    for limit, truth in ((0.01, 0.0), (0.01, 0.001), (0.01, 0.0035), (0.01, 0.005), (0.05, 0.01)):
        taken = []
        for i in range(rollouts // 2):
            events = np.random.default_rng(i).random(12_000) < truth
            path = MeanBets.start([limit]).walk(events.astype(np.float64))[0][:, 0]
            taken.append(float((path >= LINE).argmax() + 1) if (path >= LINE).any() else np.inf)
        print(
            f"  below {limit:.0%} at a true {truth:.2%}: "
            f"{np.median(taken):.0f}, {np.quantile(taken, 0.9):.0f}"
        )


def arms(rollouts: int) -> None:
    """Two arms with equal traffic: p95 and errors of the candidate against the baseline."""
    print("\ntwo arms: detected, median requests an arm")
    for factor in (1.0, 1.1, 1.3, 1.5, 2.0):
        ours, theirs = [], []
        for i in range(rollouts // 10):
            rng = np.random.default_rng(i)
            base, new = rng.lognormal(0, 0.3, 2000), factor * rng.lognormal(0, 0.3, 2000)
            ours.append(_looked(base, new, lambda b, c: quantile_shift(b, c) >= LINE))
            theirs.append(_looked(base, new, _mann_whitney))
        print(f"  p95 x {factor}: {_caught(ours)}; Mann-Whitney at 2 % a look {_caught(theirs)}")
    for tolerated in (1.0, 1.25):
        for ratio in (1.0, 1.25, 2.0, 3.0, 5.0):
            found = [_ratio(seed, ratio, tolerated) for seed in range(rollouts // 2)]
            print(f"  errors 1 % x {ratio}, {tolerated} tolerated: {_caught(found)}")


def _looked(
    base: Float1D, new: Float1D, differs: Callable[[Float1D, Float1D], bool]
) -> float | None:
    return next((n for n in range(100, 2001, 100) if differs(base[:n], new[:n])), None)


def _mann_whitney(base: Float1D, new: Float1D) -> bool:
    return bool(mannwhitneyu(new, 1.1 * base, alternative="greater").pvalue < 0.02)


def _ratio(seed: int, ratio: float, tolerated: float) -> float | None:
    rng = np.random.default_rng(seed)
    mine = rng.random(10_000) < 0.5
    events = np.flatnonzero(rng.random(10_000) < np.where(mine, 0.01 * ratio, 0.01))
    for size in range(5, len(events) + 1, 5):
        bets = RatioBets.start(tolerated).update(mine[events[:size]], np.full(size, 0.5))
        if bets.highest >= LINE:
            return float(events[size - 1]) / 2.0
    return None


def _caught(found: Sequence[float | None]) -> str:
    return f"{sum(one is not None for one in found) / len(found):.2f}, {median(found)}"


def afterwards(rollouts: int) -> None:
    """After promotion: alarms at a mean of 100,000 requests apart, limit 1 %."""
    print("\nafter promotion: requests from a change to the alarm, median")
    for rate in (0.005, 0.02, 0.03, 0.05, 0.10, 0.30):
        found: list[float | None] = []
        for i in range(rollouts // 20):
            rng = np.random.default_rng(i)
            alarm = RateAlarm.start(0.01).update(rng.random(2000) < 0.005)
            events = rng.random(8000) < rate
            found.append(_sounds(alarm, events))
        print(f"  at {rate:.1%}: {_caught(found)}")


def _sounds(alarm: RateAlarm, events: np.ndarray) -> float | None:
    for first in range(0, len(events), 10):
        alarm = alarm.update(events[first : first + 10])
        if alarm.sounds(100_000.0):
            return float(first + 10)
    return None


def cost() -> None:
    """Time of the judgement, a request."""
    now, found = (
        SystemClock().monotonic_s,
        traffic(1, 10_000, error=0.005, mismatch=0.01, slow=0.01),
    )
    best = min(_timed(now, lambda: judged(found)) for _ in range(5))
    print(f"\njudged from the start: {best * 1e6 / len(found):.2f} us a request")


def _timed(now: Callable[[], float], action: Callable[[], object]) -> float:
    start = now()
    action()
    return now() - start


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for table in (stopping, certifying, arms, afterwards):
        table(rounds)
    cost()
