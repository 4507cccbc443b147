"""Paper trading: the whole-array backtest against stepping the broker, and both a bar.

Run: ``python benchmarks/backtest.py [BARS]`` (a few seconds). Ratios are from one run on one
machine; the ledgers compared are equal bit for bit (``tests/backtest/test_broker.py``).
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.kit.timing import best
from mlwb.backtest import Caps, PaperBroker, Tape, backtest, round_trips
from mlwb.core.arrays import Float1D


def step_all(target: Float1D, tape: Tape, caps: Caps) -> None:
    """The broker, bar after bar."""
    broker = PaperBroker(caps, latency_bars=1)
    columns = (tape.ts, tape.mid, tape.one_way_cost, target)
    for bar in zip(*(column.tolist() for column in columns), strict=True):
        broker.step(*bar)


def main(n: int) -> None:
    """Print one row a case."""
    rng = np.random.default_rng(7)
    ts = 1_767_225_600 + 60 * np.arange(n, dtype=np.int64)
    tape = Tape(ts, 100.0 * np.exp(np.cumsum(rng.normal(0.0, 4e-4, n))), np.full(n, 2e-4))
    timed = np.repeat(rng.choice([0.5, 1.0], n // 240 + 1), 240)[:n]
    sign = np.sign(rng.normal(size=n))
    cases = {
        "timed exposure, nothing binds": (timed, Caps(1.0, 1.0, 50.0, 0.5)),
        "timed exposure, daily stop binds": (timed, Caps(1.0, 1.0, 50.0, 0.01)),
        "sign of noise, turnover binds": (sign, Caps(1.0, 1.0, 20.0, 0.03)),
    }
    print(f"{n:,} bars")
    print(f"{'case':<34} {'backtest':>12} {'broker':>12} {'a bar':>10} {'ratio':>7} {'trips':>8}")
    for name, (target, caps) in cases.items():
        book = backtest(target, tape, caps, latency_bars=1)
        fast = best(lambda: backtest(target, tape, caps, latency_bars=1))  # noqa: B023 - used before the next turn
        slow = best(lambda: step_all(target, tape, caps))  # noqa: B023 - used before the next turn
        trips = len(round_trips(book.ledger))
        print(
            f"{name:<34} {1e3 * fast:>9.1f} ms {1e3 * slow:>9.1f} ms {1e6 * slow / n:>7.2f} us "
            f"{slow / fast:>6.1f}x {trips:>8,}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 130_000)
