"""What the report says about a rollout judged after every request."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.canary import Judgement, Outcome
from mlwb.report import conclusions, figures, tables
from tests.canary.test_judge import judged, traffic

pytestmark = pytest.mark.usefixtures("coarse")


def _said(found: Judgement, fixed: str = "") -> str:
    return str(conclusions.rollout(found, fixed=fixed))


def test_a_certificate_says_when() -> None:
    """The requests it took, of how many, and what the fixed phases would have done."""
    said = _said(judged(traffic(900, 1)))
    assert "within its limit after 398 of 900 requests" in said
    assert "would have let it through" in said
    assert "with a probability of 5.0 % at most" in said


def test_a_stop_says_why() -> None:
    """The leading question in words, and the fixed phases' own reason beside it."""
    found = judged(traffic(300, 2, mismatch=0.6))
    said = _said(found, fixed="5%: match rate 40.0% below 90%")
    assert f"Stop after {found.at} of 300 requests: scores further apart" in said
    assert "would have stopped it (5%: match rate 40.0% below 90%)" in said
    assert "crossed the line of 20" in figures.rollout(found).title


def test_not_enough_is_neither() -> None:
    """What is still open is named; nothing is claimed."""
    found = judged(traffic(120, 3))
    assert found.outcome is Outcome.CONTINUE
    said = _said(found)
    assert "Nothing speaks against it after 120 requests, and not enough for it" in said
    assert "requests that failed" in said
    assert "answers slower than the limit" not in said  # shown after 79


def test_the_table_counts_what_the_judgement_counted() -> None:
    """K of n, and when each was shown, up to the decision and not beyond."""
    found = judged(traffic(900, 4, share=0.5))
    rows = tables.rollout(found).rows
    counts = {str(row[0]): str(row[1]) for row in rows}
    by_name = {finding.name: finding for finding in found.findings}
    assert counts["requests that failed"] == f"0 of {found.at}"
    assert counts["requests that the candidate failed"] == f"0 of {by_name['mismatch'].n}"
    assert all(str(row[-1]).startswith("after ") for row in rows)


def test_the_picture_names_its_distance_to_the_line() -> None:
    """Never near, near, or crossed: from the highest value, not the last."""
    calm = judged(traffic(300, 5))
    assert "never came near the line of 20" in figures.rollout(calm).title
    path = np.where(np.arange(300) == 150, 2.0, calm.path)
    near = Judgement(**{**vars(calm), "path": path})
    assert "came near the line of 20: the highest e-value in 300 requests is 7.39" in (
        figures.rollout(near).title
    )
