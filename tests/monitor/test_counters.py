"""Counters that start anew: growth is never negative, and windows side by side count once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import EvidenceSchemaError
from mlwb.monitor import Snapshot, increases, parse_counters, parse_snapshot

SERIES = 'ml_predict_requests_total{model_version="v1",status="success"}'


def _look(ts: float, n: float, target: str = "a") -> Snapshot:
    return Snapshot(datetime.fromtimestamp(ts, UTC), target, {SERIES: n})


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=20),
    st.sets(st.integers(1, 19)),
    st.integers(1, 19),
)
def test_growth_is_what_was_counted(steps: list[int], restarts: set[int], cut: int) -> None:
    """Oracle: the requests themselves, with restarts right after a look; halves add up.

    A server that has answered more since its restart than before it hides that restart; here it
    is looked at once with nothing counted, as a scrape a minute sees it.
    """
    looks, total, shown = [_look(0, 0)], 0, 0
    for place, n in enumerate(steps, start=1):
        if place in restarts:
            shown = 0
            looks.append(_look(place - 0.5, 0))
        shown += n
        total += n
        looks.append(_look(place, shown))
    end = len(steps) + 1
    assert (increases(looks, 0, end) or {}).get(SERIES) == total
    halves = [increases(looks, *span) or {} for span in ((0, cut), (cut, max(end, cut)))]
    assert sum(half.get(SERIES, 0.0) for half in halves) == total
    assert increases(looks[::-1] * 2, 0, end) == {SERIES: total}


def test_servers_add_up_and_do_not_mix() -> None:
    """Two servers looked at in turn are two counters, not one that jumps."""
    looks = [_look(0, 100), _look(1, 5, "b"), _look(60, 110), _look(61, 9, "b")]
    assert increases(looks, 0, 100) == {SERIES: 14.0}


def test_one_look_says_nothing() -> None:
    """None, not 0: nobody knows what was counted since."""
    assert increases([_look(50, 7)], 0, 100) is None
    assert increases([_look(10, 7), _look(20, 9)], 30, 100) is None


def test_exposition_to_line_and_back() -> None:
    """Counters only; a line reads back; junk and stamps without a zone are refused."""
    text = f"# TYPE x counter\n{SERIES} 12\nml_ready 1\nml_latency_ms_count 4\nml_x_total NaN\n"
    text += "ml_y_total junk\nml_z_total -1\n"
    assert parse_counters(text) == {SERIES: 12.0}
    line = _look(0, 3)
    assert parse_snapshot(line.encode()) == line
    for junk in (b"{", b'{"ts":"2026-01-01T00:00:00","target":"a","values":{}}'):
        with pytest.raises(EvidenceSchemaError):
            parse_snapshot(junk)
