"""Messages of the figures about traffic."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.report import figures

pytestmark = pytest.mark.usefixtures("coarse")


def test_latency_speaks_for_the_slowest() -> None:
    """The largest p95 is named with its distance to the limit, also when it is not kept."""
    fast, slow = np.full(100, 1.0), np.full(100, 4.0)
    assert figures.latency({"smoke": fast, "5%": slow}, limit_ms="80").title == (
        "In the slowest phase (5%) 95 % of answers come within 4.00\u00a0ms, 20 times below the "
        "limit of 80 ms"
    )
    assert ", below the limit of 5 ms" in figures.latency({"a": slow}, limit_ms=5).title
    assert ", not below the limit of 4 ms" in figures.latency({"a": slow}, limit_ms=4).title


def test_latency_of_one_request_and_gaps() -> None:
    """A single answer is drawn; unanswered requests are left out."""
    figure = figures.latency({"a": np.asarray([2.0, np.nan]), "b": np.asarray([])}, limit_ms=80)
    assert figure.png
    assert "1 request;" in figure.subtitle


def test_agreement_counts_pairs() -> None:
    """By hand: three of four pairs within 0.05, on the edge included; a gap is no pair."""
    score = np.asarray([0.5, 0.5, 0.5, 0.5, np.nan])
    shadow = np.asarray([0.5, 0.53, 0.47, 0.9, 0.5])
    title = figures.agreement(score, shadow, match_delta=0.05).title
    assert title.startswith("75.0\u00a0% of 4 pairs differ by at most 0.05")
    assert "0.100 higher on average" in title
    lower = figures.agreement(shadow[:4], score[:4], match_delta=0.05).title
    assert "0.100 lower on average" in lower
    assert figures.agreement(score[:1], score[:1], match_delta=0.05).title.endswith(
        "0.000 apart on average"
    )
