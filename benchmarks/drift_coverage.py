"""Rates that the calibrated PSI keeps on markets whose drift is known.

Run: ``python benchmarks/drift_coverage.py [paths]`` (100; about 2.5 s of the processor each).
Each path is a stationary market of minutes: a reference of K days, then a window of w days without
change, or moved so that its population PSI is 0.31, just above the limit of 0.3. Rates of 100 paths
have a standard error of 0.02 at 0.05. Columns:

FA5, FA1     false alarms at nominal 0.05 and 0.01
L0, L, U     coverage of the lower bound without change, and of both at 0.31; nominal 0.95
gate         share of references that can judge this window at all
FAIL0        readings "fail" without change
PASS         readings "pass" at 0.31
P0, plan     readings "pass" without change, and what the planner said
D, plan      alarms at 0.05 at 0.31, and what the planner said
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, signal

from mlwb.core.arrays import Float1D, Float2D
from mlwb.drift import FeatureReference, count_blocks, fit_feature_reference
from mlwb.drift.calibration import Calibrated, calibrate, reading
from mlwb.drift.planning import plan

MINUTES = 1_440
LIMIT, MOVED = 0.3, 0.31
REFERENCES, WINDOWS = (20, 40, 76), (1, 7, 14)
LEVEL_SD, DAY_PROFILE = 0.3, 0.35


@dataclass(frozen=True)
class Market:
    """A stationary series, and a way to move it."""

    name: str
    draw: Callable[[int, int, np.random.Generator], Float2D]
    move: Callable[[Float2D, float], Float2D]
    most: float = 3.0


def faded(decay: float, shape: tuple[int, int], rng: np.random.Generator) -> Float2D:
    """Stationary AR(1) rows of unit variance."""
    shocks = rng.standard_normal(shape, dtype=np.float32)
    shocks[:, 1:] *= np.float32(np.sqrt(1.0 - decay * decay))
    return signal.lfilter([1.0], [1.0, -decay], shocks, axis=1).astype(np.float32)


def returns(decay: float, n_paths: int, n_days: int, rng: np.random.Generator) -> Float2D:
    """Noise times a volatility of hours, of the time of day and of a level that fades by day."""
    shape = (n_paths, n_days * MINUTES)
    day = 2.0 * np.pi * np.arange(MINUTES) / MINUTES
    profile = DAY_PROFILE * np.cos(day - 3.6)
    logs = LEVEL_SD * faded(0.99, shape, rng) + np.tile(profile, n_days).astype(np.float32)
    logs += np.repeat(LEVEL_SD * faded(decay, (n_paths, n_days), rng), MINUTES, axis=1)
    return np.exp(logs) * rng.standard_normal(shape, dtype=np.float32)


def hourly_volatility(moves: Float2D) -> Float2D:
    """Log of the root mean square of sixty minutes."""
    sums = np.cumsum(np.square(moves, dtype=np.float64), axis=1)
    sums[:, 60:] -= sums[:, :-60].copy()
    sums[:, :60] = sums[:, 60:61]
    return 0.5 * np.log(sums / 60.0)


def markets() -> Iterator[Market]:
    """Series that remember for minutes, hours or days."""
    for phi in (0.0, 0.9, 0.97, 0.99, 0.995):

        def level(n_paths: int, n_days: int, rng: np.random.Generator, phi: float = phi) -> Float2D:
            return faded(phi, (n_paths, n_days * MINUTES), rng)

        yield Market(f"AR(1) {phi:g}", level, lambda x, by: x + np.float32(by))
    for decay in (0.25, 0.66):

        def move(
            n_paths: int, n_days: int, rng: np.random.Generator, decay: float = decay
        ) -> Float2D:
            return returns(decay, n_paths, n_days, rng)

        def hour(
            n_paths: int, n_days: int, rng: np.random.Generator, decay: float = decay
        ) -> Float2D:
            return hourly_volatility(returns(decay, n_paths, n_days, rng))

        yield Market(f"return {decay:g}", move, lambda x, by: x * np.float32(np.exp(by)), 2.0)
        yield Market(f"vol 1h {decay:g}", hour, lambda x, by: x + np.float32(by))


@dataclass(frozen=True)
class Population:
    """What a long sample says the shares of the cells are."""

    market: Market
    still: Float1D

    def psi(self, edges: Float1D, by: float) -> float:
        """Population PSI of the moved market in these bins."""
        moved = self.market.move(self.still[None], by)[0]
        shares = [np.searchsorted(side, edges, side="right") for side in (self.still, moved)]
        p, q = (np.diff(np.r_[0, side, len(self.still)]) / len(self.still) for side in shares)
        p, q = np.maximum(p, 1e-9), np.maximum(q, 1e-9)
        return float(((q - p) * np.log(q / p)).sum())

    def shift_to(self, psi: float) -> float:
        """Move at which the population PSI in deciles is this much."""
        deciles = np.quantile(self.still, np.arange(1, 10) / 10)
        gap = lambda by: self.psi(deciles, by) - psi  # noqa: E731 - one expression
        return float(optimize.brentq(gap, 1e-3, self.market.most, xtol=1e-4))


def population(market: Market, rng: np.random.Generator) -> Population:
    """A sample of four thousand days, a row in seven."""
    drawn = [market.draw(100, 20, rng)[:, MINUTES::7].ravel() for _ in range(2)]
    return Population(market, np.sort(np.concatenate(drawn)).astype(np.float64))


@dataclass(frozen=True)
class Row:
    """One path: readings without and with a move, and what was planned."""

    still: Calibrated
    moved: Calibrated
    truth: float
    passes: float
    detects: float


def path_rows(
    path: Float1D, moved: Float1D, truth: Callable[[Float1D], float]
) -> Iterator[tuple[int, int, Row]]:
    """Every reference and window of a path."""
    first = max(REFERENCES)
    ts = np.arange(len(path), dtype=np.int64) * 60
    for n_days in REFERENCES:
        past = slice((first - n_days) * MINUTES, first * MINUTES)
        frozen = fit_feature_reference("x", path[past], ts[past])
        psi = truth(frozen.bins.edges)
        for window in (w for w in WINDOWS if 2 * w <= n_days):
            now = slice(first * MINUTES, (first + window) * MINUTES)
            still, shifted = (
                calibrate(frozen, count_blocks(frozen.bins.edges, side[now], ts[now]))
                for side in (path, moved)
            )
            yield n_days, window, planned(frozen, window, Row(still, shifted, psi, 0.0, 0.0))


def planned(frozen: FeatureReference, window: int, row: Row) -> Row:
    """With what the planner says of this reference."""
    found = plan(frozen, days=window, limit=LIMIT)
    return replace(row, passes=found.passes, detects=found.detects)


def line(rows: list[Row]) -> str:
    """Rates over the paths."""

    def rate(of: Callable[[Row], object]) -> float:
        return float(np.mean([of(row) for row in rows]))

    def alarm(found: Calibrated, level: float) -> bool:
        return found.p_value is not None and found.p_value <= level

    def lower(found: Calibrated) -> float:
        return found.bounds.lower if found.bounds is not None else 0.0

    cells = [
        rate(lambda row: alarm(row.still, 0.05)),
        rate(lambda row: alarm(row.still, 0.01)),
        rate(lambda row: lower(row.still) <= 0.0),
        rate(lambda row: lower(row.moved) <= row.truth),
        rate(lambda row: row.moved.bounds is not None and row.moved.bounds.upper >= row.truth),
        rate(lambda row: reading(row.still, LIMIT) != "not_gateable"),
        rate(lambda row: reading(row.still, LIMIT) == "fail"),
        rate(lambda row: reading(row.moved, LIMIT) == "pass"),
        rate(lambda row: reading(row.still, LIMIT) == "pass"),
        rate(lambda row: row.passes),
        rate(lambda row: alarm(row.moved, 0.05)),
        rate(lambda row: row.detects),
    ]
    return " ".join(f"{cell:>5.2f}" for cell in cells)


def main(n_paths: int) -> None:
    """Print one line a market, reference and window."""
    heads = ("FA5", "FA1", "L0", "L", "U", "gate", "FAIL0", "PASS", "P0", "plan", "D", "plan")
    print(f"{'market':<14}{'K':>3}{'w':>4} " + " ".join(f"{head:>5}" for head in heads))
    for market in markets():
        rng = np.random.default_rng(0)
        known = population(market, rng)
        by = known.shift_to(MOVED)
        paths = market.draw(n_paths, max(REFERENCES) + max(WINDOWS), rng)
        found: dict[tuple[int, int], list[Row]] = {}
        for path in paths:
            moved = market.move(path[None], by)[0].astype(np.float64)
            truth = lambda edges: known.psi(edges, by)  # noqa: B023, E731 - used before the next turn
            for n_days, window, row in path_rows(path.astype(np.float64), moved, truth):
                found.setdefault((n_days, window), []).append(row)
        for (n_days, window), rows in found.items():
            print(f"{market.name:<14}{n_days:>3}{window:>4} {line(rows)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
