"""Tables about a model and about drift."""

from __future__ import annotations

import numpy as np

from mlwb.model import Dataset, Parity, Scores
from mlwb.report import tables


def _dataset(n: int) -> Dataset:
    t0 = 1_735_689_600 + 60 * np.arange(n, dtype=np.int64)
    return Dataset(np.zeros((n, 1)), np.ones(n), t0, t0 + 60, np.zeros(n), ("bias",))


def test_windows() -> None:
    """Rows, span and share of label 1 of both sides; an empty side does not break the page."""
    table = tables.windows(_dataset(10), _dataset(0), "v1.8.1", "")
    assert table.rows[0] == (
        "training", "10", "2025-01-01 00:00", "2025-01-01 00:10", "100.0\u00a0%",
    )  # fmt: skip
    assert table.rows[1][1:3] == ("0", "not measured")
    assert "a champion trained on the earlier part" in table.caption
    assert tables.windows(_dataset(1), _dataset(1), "v2", "v1").caption == "Candidate v2 against v1"


def test_scores_without_champion() -> None:
    """Without a champion its row says that nothing was measured."""
    found = Scores(0.661, 0.701, 0.28, 0.5, 0.23, 20_160, 4_032)
    table = tables.scores({"held out": found, "champion": None})
    assert table.rows[0] == (
        "held out", "0.661", "70.1\u00a0%", "28.0\u00a0%", "50.0\u00a0%", "0.230", "20,160",
    )  # fmt: skip
    assert table.rows[1][1] == "not measured"


def test_parity() -> None:
    """Differences with their exponent, and the features compared bit by bit."""
    table = tables.parity(Parity(109_056, 2.2e-16, 1.1e-16, 0, 0, ()), 2, 33_000)
    assert table.rows[0][1:] == ("2.2e−16", "109,056")
    assert table.rows[-1][1:] == ("2", "33,000")
