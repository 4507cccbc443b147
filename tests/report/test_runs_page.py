"""The list of all runs."""

from __future__ import annotations

import re
from typing import Any

from mlwb.gates import GATES, Outcome
from mlwb.report import index


def _entry(day: int, **fields: Any) -> index.RunEntry:
    usual: dict[str, Any] = {
        "run_id": f"run{day}", "href": f"run{day}/index.html",
        "started": f"2026-11-{day:02d}T02:00:00Z", "seconds": 51.2, "symbol": "EURUSD",
        "origin": "replay", "candidate": f"v1.8.{day}", "policy_name": "default",
        "decision": "BLOCKED", "outcomes": tuple((gate, Outcome.PASS) for gate in GATES),
        "auc": 0.66,
    }  # fmt: skip
    return index.RunEntry(**(usual | fields))


def test_newest_first_whatever_the_order() -> None:
    """Sorted by start; the same page for the same runs."""
    entries = [_entry(2), _entry(3), _entry(1)]
    page = index.render_runs(entries)
    assert re.findall(rb'href="(run\d)/', page) == [b"run3", b"run2", b"run1"]
    assert page == index.render_runs(entries[::-1])


def test_strip_says_each_gate() -> None:
    """One sign a gate in the order of the matrix, and a label for those who do not see it."""
    outcomes = (("psi", Outcome.FAIL), ("nightly", Outcome.MISSING), ("data", Outcome.PASS))
    page = index.render_runs([_entry(1, outcomes=outcomes)]).decode()
    assert 'aria-label="1 of 3 gates pass"' in page
    strip = re.search(r'<span class="strip".*?</span></span>', page)
    assert strip is not None
    assert re.sub(r"<[^>]*>", "", strip.group()) == "✓✗–"
    assert 'title="psi: FAIL"' in page


def test_trend_counts_passing_gates() -> None:
    """From the oldest run to the newest, in words and as a line within its box."""
    bad = tuple((gate, Outcome.FAIL) for gate in GATES)
    page = index.render_runs([_entry(1, outcomes=bad), _entry(2)]).decode()
    assert "oldest run to newest: from 0 to 16 of 16" in page
    assert 'points="0.00,30.00 100.00,0.00"' in page
    assert "<svg" not in index.render_runs([_entry(1)]).decode()


def test_stopped_and_unknown() -> None:
    """A run that stopped early has no AUC, no market and few gates, and is listed all the same."""
    page = index.render_runs(
        [_entry(1, decision="STOPPED", outcomes=(), auc=None, symbol=""), _entry(2)]
    ).decode()
    assert "! STOPPED" in page
    assert "not measured" in page
    assert "2 runs; 0 allowed a promotion. The newest is BLOCKED: 16 of 16 gates pass." in page


def test_no_runs_yet() -> None:
    """An empty list says how to start."""
    assert b"mlwb run" in index.render_runs([])


def test_hostile_and_large() -> None:
    """Names are text, nothing is loaded, and 200 runs stay a page of reasonable size."""
    evil = '"><script>alert(1)</script>'
    page = index.render_runs(
        [_entry(day % 28 + 1, symbol=evil, href=f"javascript:{evil}", run_id=str(day))
         for day in range(200)]
    )  # fmt: skip
    assert b"<script" not in page
    assert b"javascript:" not in page
    assert not re.findall(rb"https?:|@import|url\(", page)
    assert len(page) < 400_000
