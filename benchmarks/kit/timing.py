"""The one stopwatch of the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["best"]


def best(
    job: Callable[[], object],
    repeats: int = 5,
    *,
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Least seconds a call of several repeats, after a call that is not counted.

    Parameters
    ----------
    job : callable
        What is timed.
    repeats : int, default=5
        The least of so many is taken.
    calls : int, default=1
        Calls between two looks at the clock.
    clock : callable, default=time.perf_counter
        ``time.process_time`` counts seconds of the processor, which a busy machine disturbs less.
    """
    job()
    taken = []
    for _ in range(repeats):
        start = clock()
        for _ in range(calls):
            job()
        taken.append((clock() - start) / calls)
    return min(taken)
