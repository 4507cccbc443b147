"""Hours covered: one silence too long starts them anew, whatever order the rows came in."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlwb.monitor import Beats, Coverage, Gap, coverage
from tests.monitor.log_kit import DAY


def _cover(*beats: int, last_s: int = 10_000, gap_s: float = 300.0) -> Coverage:
    return coverage(np.array(beats, dtype=np.int64), first_s=0, last_s=last_s, max_gap_s=gap_s)


def test_a_silence_of_exactly_the_limit_is_none() -> None:
    """300 seconds are allowed, 301 are not."""
    assert _cover(0, 300, 600, last_s=601).covered_s == 600
    assert _cover(0, 300, 601, 700, last_s=701).covered_s == 99


def test_silence_until_now_covers_nothing() -> None:
    """A version that stopped answering an hour ago is not in place, whatever it did before."""
    found = _cover(*range(0, 5_000, 100), last_s=8_600)
    assert (found.covered_s, found.seen_s, found.longest_gap_s) == (0, 4_900, 3_700)


def test_an_empty_window_is_one_gap() -> None:
    """Nothing seen: nothing covered, and the whole window is a silence."""
    assert _cover(last_s=900) == Coverage(0, 900, 900, 0, (Gap(0, 900),))


@given(st.sets(st.integers(0, 5_000), min_size=1), st.integers(1, 900))
def test_stretches_and_gaps_fill_the_window(beats: set[int], gap_s: int) -> None:
    """Stretches and what was silent between and around them make up the window's length.

    The newest stretch is found by walking back from the newest beat, unless it is over.
    """
    found = _cover(*sorted(beats), last_s=6_000, gap_s=gap_s)
    short = sum(
        after - before
        for before, after in ((0, min(beats)), (max(beats), 6_000))
        if after - before <= gap_s
    )
    assert found.seen_s + short + sum(gap.seconds for gap in found.gaps) == 6_000
    is_over = 6_000 - max(beats) > gap_s
    start = newest = max(beats)
    for beat in sorted(beats, reverse=True):
        if start - beat > gap_s:
            break
        start = beat
    assert found.covered_s == (0 if is_over else newest - start)


@given(st.lists(st.floats(-50.0, 1_050.0), max_size=60), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(stamps: list[float], rng: object) -> None:
    """A clock that steps back, two servers in one file, a row read twice: the same marks."""
    first, second = Beats(0, 1_000), Beats(0, 1_000)
    for ts in stamps:
        first.add(ts)
    mixed = [*stamps, *stamps]
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    for ts in mixed:
        second.add(ts)
    assert first.seconds().tolist() == second.seconds().tolist()
    assert set(first.seconds().tolist()) == {int(ts) for ts in stamps if 0.0 <= ts < 1_000.0}


def test_summer_time_changes_nothing() -> None:
    """A row a minute through the night clocks go forward in Paris: no gap, 24 hours."""
    start = int(datetime.fromisoformat("2026-03-29T00:00:00+00:00").timestamp())
    beats = Beats(start, start + 86_400)
    for minute in range(24 * 60):
        utc = datetime.fromtimestamp(start + 60 * minute).astimezone()
        beats.add(utc.timestamp())
    found = beats.coverage(max_gap_s=300.0)
    assert (found.covered_s, found.gaps) == (86_340, ())
    assert start > DAY
