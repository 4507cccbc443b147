"""Watching day after day: false alarms in quiet months, days until a change is found.

Run: ``python benchmarks/drift_sequential.py`` (four minutes of one core), or with names of tables:
``quiet persistent found run losses bets cost``. Rows of a feature are minutes of a made process;
the reference is 39 days where nothing else is said. Every rate is over seeded repetitions, with
its 95 % Wilson interval where a bound is claimed.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter
from scipy.stats import chi2

from mlwb.core.arrays import Float1D, Int2D
from mlwb.core.canonical import canonical_bytes
from mlwb.core.clock import SystemClock
from mlwb.drift import (
    BlockMartingale,
    LossWatch,
    Wealth,
    cells_of,
    daily_losses,
    fit_reference,
    suited_block_days,
)
from mlwb.drift._martingale import block_scores
from mlwb.drift._ranks import rank_p
from mlwb.stats import MeanBets, wilson

MINUTES, HOURS, REFERENCE, MONTH = 1_440, 24, 39, 30
LEVEL, RUN_LENGTH = 0.05, 365.0
Maker = Callable[[np.random.Generator, int, float], Float1D]


def ar(rng: np.random.Generator, n_rows: int, phi: float) -> Float1D:
    """Gaussian rows with variance 1 and autocorrelation phi."""
    noise = rng.standard_normal(n_rows) * np.sqrt(1.0 - phi * phi)
    noise[0] /= np.sqrt(1.0 - phi * phi)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise), dtype=np.float64)


def volatility(rng: np.random.Generator, n_rows: int, half_life_days: float) -> Float1D:
    """Log volatility: a day's shape, a fast part, and a slow one that lasts for days."""
    shape = 0.5 * np.sin(2.0 * np.pi * np.arange(n_rows) / MINUTES)
    slow = ar(rng, n_rows, float(np.exp(-np.log(2.0) / (half_life_days * MINUTES))))
    return shape + 0.35 * slow + 0.35 * ar(rng, n_rows, 0.97)


def hourly_counts(rows: Float1D, n_reference: int) -> Int2D:
    """Counts of each hour in ten bins of the reference's days."""
    edges = fit_reference("x", rows[: n_reference * MINUTES]).edges
    n_cells, hours = len(edges) + 4, np.arange(len(rows)) // 60
    flat = np.bincount(hours * n_cells + cells_of(edges, rows), minlength=(hours[-1] + 1) * n_cells)
    return np.asarray(flat.reshape(-1, n_cells), dtype=np.int64)


def in_days(hourly: Int2D) -> Int2D:
    """Counts of whole days."""
    return np.asarray(hourly.reshape(-1, HOURS, hourly.shape[1]).sum(axis=1))


def alarms(daily: Int2D, n_reference: int, *, block_days: int = 1) -> tuple[float, float]:
    """First day, from 1, on which the e-value and the run length alarm; infinite where never."""
    watch = BlockMartingale.start("x", daily[:n_reference], block_days=block_days)
    first = [np.inf, np.inf]
    for day in range(n_reference, len(daily)):
        watch = watch.update(day, daily[day])
        for place, rings in enumerate((watch.alarm(LEVEL), watch.sr_alarm(RUN_LENGTH))):
            first[place] = min(first[place], day - n_reference + 1 if rings else np.inf)
    return first[0], first[1]


def peeked(hourly: Int2D, n_reference: int) -> tuple[bool, bool, bool]:
    """Whether any look at the last 24 hours, taken every hour, exceeds chi-square, or 0.2.

    Third, whether the rank of any whole day is within 5 %.
    """
    start = n_reference * HOURS
    total = hourly[:start].sum(axis=0)
    sums = np.cumsum(np.vstack([0 * total, hourly[start:]]), axis=0)
    windows = sums[HOURS:] - sums[:-HOURS]
    used = total + windows.sum(axis=0) > 0
    p, q = total[used] + 0.5, windows[:, used] + 0.5
    p, q = p / p.sum(), q / q.sum(axis=1, keepdims=True)
    index = ((q - p) * np.log(q / p)).sum(axis=1)
    scale = 1.0 / total.sum() + 1.0 / windows.sum(axis=1)
    daily = in_days(hourly)
    ranked = [
        rank_p(block_scores(np.vstack([daily[:n_reference], day])), 1.0)
        for day in daily[n_reference:]
    ]
    return (
        bool((index / scale > chi2.ppf(1.0 - LEVEL, used.sum() - 1)).any()),
        bool((index > 0.2).any()),
        min(ranked) <= LEVEL,
    )


def rate(hits: int, n: int) -> str:
    """Share with its interval."""
    low, high = wilson(hits, n)
    return f"{hits / n:.3f} ({low:.3f} to {high:.3f})"


def quiet() -> None:
    """False alarms within thirty quiet days."""
    n = 400
    print(f"\nfalse alarms within {MONTH} quiet days, {n} months a row")
    head = f"{'minutes':<24} {'e-value >= 20':>22} {'blocks suited':>14} {'365 d':>7}"
    print(f"{head} {'chi2 hourly':>12} {'0.2 hourly':>11} {'rank daily':>11}")
    rows = (MONTH + REFERENCE) * MINUTES
    made: dict[str, tuple[Maker, float]] = {
        **{f"AR {phi:g}": (ar, phi) for phi in (0.0, 0.97, 0.99)},
        **{f"volatility, {days:g} d": (volatility, days) for days in (0.25, 1.0, 3.0, 7.0)},
    }
    for name, (make, how) in made.items():
        rng, found = np.random.default_rng(1), np.zeros(6, dtype=int)
        for _ in range(n):
            hourly = hourly_counts(make(rng, rows, how), REFERENCE)
            daily = in_days(hourly)
            block_days = suited_block_days(daily[:REFERENCE])
            first = alarms(daily, REFERENCE)
            suited = alarms(daily, REFERENCE, block_days=block_days) if block_days > 1 else first
            rings = [first[0], suited[0], first[1]]
            found += [*(day < np.inf for day in rings), *peeked(hourly, REFERENCE)]
        ours = f"{rate(found[0], n):>22} {found[1] / n:>14.3f} {found[2] / n:>7.3f}"
        rest = f"{found[3] / n:>12.3f} {found[4] / n:>11.3f} {found[5] / n:>11.3f}"
        print(f"{name:<24} {ours} {rest}", flush=True)


def persistent() -> None:
    """Features whose level lasts for days: what longer blocks save and cost."""
    n, reference, watched = 200, 91, 91
    print(f"\nlog volatility over {watched} quiet days, reference {reference} days, {n} a row;")
    print("found: slow part up by two of its standard deviations for all of those days")
    print(f"{'slow half-life':<16} {'block':>6} {'e-value >= 20':>22} {'365 d':>7} {'found':>7}")
    for half_life in (0.25, 1.0, 3.0, 7.0):
        rng, hits = np.random.default_rng(2), np.zeros((4, 3), dtype=int)
        for _ in range(n):
            rows = volatility(rng, (reference + watched) * MINUTES, half_life)
            moved = rows + 0.7 * (np.arange(len(rows)) >= reference * MINUTES)
            tables = [in_days(hourly_counts(each, reference)) for each in (rows, moved)]
            suited = suited_block_days(tables[0][:reference])
            for place, block_days in enumerate((1, 3, 7, suited)):
                still = alarms(tables[0], reference, block_days=block_days)
                changed = alarms(tables[1], reference, block_days=block_days)
                hits[place] += [still[0] < np.inf, still[1] < np.inf, changed[0] < np.inf]
        for name, (e_value, run, change) in zip(("1", "3", "7", "suited"), hits, strict=True):
            row = f"{half_life:<4g} d{'':<10} {name:>6} {rate(e_value, n):>22}"
            print(f"{row} {run / n:>7.3f} {change / n:>7.3f}", flush=True)


def plain_alarm(daily: Int2D, n_reference: int, rng: np.random.Generator) -> float:
    """First alarm of the product of ``integral of k p^(k-1) dk``, nothing kept back."""
    log_e = 0.0
    for day in range(n_reference, len(daily)):
        log_p = np.log(rank_p(block_scores(daily[: day + 1]), rng.random()))
        log_e += np.log((np.expm1(-log_p) + log_p) / log_p**2)
        if log_e >= -np.log(LEVEL):
            return float(day - n_reference + 1)
    return np.inf


def found() -> None:
    """Changes found within thirty days, begun at once or after quiet days."""
    n = 200
    print(f"\nchanges found within {MONTH} days and mean days until then, {n} a row")
    head = f"{'minutes':<18} {'shift':>7} {'quiet before':>13} {'e-value >= 20':>16}"
    print(f"{head} {'run length 365 d':>18} {'plain product':>16}")
    for phi, shift in ((0.97, 0.5), (0.99, 1.0), (0.0, 0.1)):
        for before in (0, 20, 60):
            rng, first = np.random.default_rng(3), []
            start = REFERENCE + before
            for _ in range(n):
                rows = ar(rng, (start + MONTH) * MINUTES, phi)
                rows[start * MINUTES :] += shift
                daily = in_days(hourly_counts(rows, REFERENCE))
                first.append((*alarms(daily, REFERENCE), plain_alarm(daily, REFERENCE, rng)))
            cells = [delay(np.array(column) - before) for column in zip(*first, strict=True)]
            name = f"AR {phi:g}"
            row = f"{name:<18} {shift:>4} sd {before:>11} d {cells[0]:>16}"
            print(f"{row} {cells[1]:>18} {cells[2]:>16}", flush=True)


def delay(days: Float1D) -> str:
    """Share found after the change, and the mean delay; alarms before it are not finds."""
    seen = days[(days > 0) & np.isfinite(days)]
    return f"{len(seen) / len(days):.3f} {seen.mean() if len(seen) else np.nan:>5.1f} d"


def run() -> None:
    """Mean days to a false alarm of the Shiryaev-Roberts sum, on uniform p values of ranks."""
    n, longest = 300, 20_000
    print(
        f"\nmean bets to a false alarm, {n} series of uniform p values (at most {longest:,} bets)"
    )
    for wanted in (30.0, 90.0, 365.0):
        rng, lengths = np.random.default_rng(4), []
        for _ in range(n):
            wealth = Wealth()
            while not wealth.sr_alarm(wanted) and wealth.n_bets < longest:
                wealth = wealth.bet(1.0 - rng.random())
            lengths.append(wealth.n_bets)
        print(f"run length {wanted:>5.0f}: mean {np.mean(lengths):>7.0f}", flush=True)


def predictions(
    rng: np.random.Generator, n_days: int, slopes: Float1D
) -> tuple[Float1D, Float1D, Float1D]:
    """Five-minute predictions; the truth follows them by a slope a day and moves day by day."""
    rows = n_days * 288
    said = 0.8 * ar(rng, rows, 0.9)
    true = np.repeat(slopes, 288) * said + np.repeat(rng.normal(0.0, 0.15, n_days), 288)
    label = (rng.random(rows) < 1.0 / (1.0 + np.exp(-true))).astype(np.float64)
    stamps = np.asarray(np.arange(rows) * 300.0, dtype=np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-said))), label, stamps


def losses() -> None:
    """Harm: ranks of daily losses, beside bets on hourly mean losses against a limit."""
    n, tolerance = 200, 0.01
    print(f"\nBrier loss watched for {MONTH} days, tolerance {tolerance}, {n} months a row;")
    print("the truth follows the model with a slope, the same every day or in good and bad spells")
    print(f"{'slope':<8} {'spells':>7} {'rise':>8} {'ranks of days':>16} {'bets on hours':>16}")
    for spells in (0.0, 0.3):
        for slope in (1.0, 0.8, 0.5):
            rng, first, rise = np.random.default_rng(5), [], []
            for _ in range(n):
                slopes = 1.0 + spells * ar(rng, REFERENCE + MONTH, 0.7)
                slopes[REFERENCE:] -= 1.0 - slope
                p, y, ts = predictions(rng, REFERENCE + MONTH, slopes)
                first.append(harm(p, y, ts, tolerance))
                before, after = np.split(np.square(p - y), [REFERENCE * 288])
                rise.append(after.mean() - before.mean())
            cells = [delay(np.array(column)) for column in zip(*first, strict=True)]
            row = f"{slope:<8} {spells:>7} {np.mean(rise):>8.4f}"
            print(f"{row} {cells[0]:>16} {cells[1]:>16}", flush=True)


def harm(p: Float1D, y: Float1D, ts: Float1D, tolerance: float) -> tuple[float, float]:
    """First day of alarm by ranks of days, and by bets on the means of hours."""
    cut, first = REFERENCE * 288, [np.inf, np.inf]
    label, stamps = y.astype(np.int64), ts.astype(np.int64)
    watch = LossWatch.start(
        daily_losses(p[:cut], label[:cut], stamps[:cut], horizon_s=0), tolerance=tolerance
    )
    bets = MeanBets.start([float(np.square(p - y)[:cut].mean()) + tolerance])
    for day in range(MONTH):
        rows = slice(cut + day * 288, cut + (day + 1) * 288)
        watch = watch.update(daily_losses(p[rows], label[rows], stamps[rows], horizon_s=0))
        bets = bets.update(np.square(p - y)[rows].reshape(24, 12).mean(axis=1))
        for place, rings in enumerate((watch.alarm(LEVEL), bool(bets.refuted(LEVEL)[0]))):
            first[place] = min(first[place], day + 1 if rings else np.inf)
    return first[0], first[1]


def bets() -> None:
    """Outcomes until a limit is certified or refuted; at the limit, how often wrongly."""
    longest = 10_000
    print(f"\noutcomes until a mean is shown below or above a limit, streams of {longest:,}:")
    print("300 a row, 2,000 where the truth is the limit")
    print(f"{'claim':<14} {'truth':>7} {'median':>8} {'90 %':>8} {'within 1,000':>13} {'ever':>22}")
    settings = [("below 0.01", 0.01, truth) for truth in (0.0, 0.002, 0.004, 0.01)]
    settings += [("below 0.05", 0.05, truth) for truth in (0.02, 0.05)]
    settings += [("above 0.01", 0.01, truth) for truth in (0.05, 0.02, 0.01)]
    settings += [("above 0.02", 0.02, truth) for truth in (0.10, 0.04, 0.02)]
    for claim, limit, truth in settings:
        rng, n = np.random.default_rng(6), 2_000 if truth == limit else 300
        taken = [
            shown((rng.random(longest) < truth).astype(np.float64), limit, claim) for _ in range(n)
        ]
        ends = np.sort(np.array(taken))
        cells = [f"{end:,.0f}" if np.isfinite(end) else "-" for end in ends[[n // 2, 9 * n // 10]]]
        early, ever = np.mean(ends <= 1_000), rate(int(np.isfinite(ends).sum()), n)
        row = f"{claim:<14} {truth:>7} {cells[0]:>8} {cells[1]:>8}"
        print(f"{row} {early:>13.3f} {ever:>22}", flush=True)


def shown(outcomes: Float1D, limit: float, claim: str) -> float:
    """Outcomes until the claim is shown; infinite where it never is."""

    def is_shown(n: int) -> bool:
        state = MeanBets.start([limit]).update(outcomes[:n])
        found = state.certified(LEVEL) if claim.startswith("below") else state.refuted(LEVEL)
        return bool(found[0])

    if not is_shown(len(outcomes)):
        return np.inf
    return float(bisect_left(range(len(outcomes)), x=True, key=is_shown))


def cost() -> None:
    """Time of a day's update and size of the state, beside days already kept."""
    clock, rng = SystemClock(), np.random.default_rng(7)
    print(f"\n{'days kept':>10} {'update ms':>10} {'state kB':>9}")
    for n_days in (39, 365, 730):
        days = rng.multinomial(MINUTES, np.full(13, 1.0 / 13.0), size=n_days + 50)
        watch, taken = BlockMartingale.start("x", days[:n_days]), []
        for day in range(n_days, n_days + 50):
            start = clock.monotonic_s()
            watch = watch.update(day, days[day])
            taken.append(clock.monotonic_s() - start)
        size = len(canonical_bytes(watch.to_json())) / 1e3
        print(f"{n_days:>10} {1e3 * float(np.median(taken)):>10.3f} {size:>9.1f}", flush=True)


TABLES = (quiet, persistent, found, run, losses, bets, cost)


def main() -> None:
    """Print the tables named, or all."""
    wanted = sys.argv[1:]
    for table in TABLES:
        if not wanted or table.__name__ in wanted:
            table()


if __name__ == "__main__":
    main()
