"""Tables about drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlwb.report import tables


@dataclass(frozen=True)
class Distance:
    """One statistic."""

    name: str
    value: float
    p_value: float | None


@dataclass(frozen=True)
class Measured:
    """One feature by several."""

    name: str
    others: tuple[Distance, ...]


def test_psi_largest_first_and_mean_last(make_drift: Callable[..., Any]) -> None:
    """A reference too short for a null leaves its feature without bounds, not without a row."""
    rows = [
        make_drift("a", 0.02, (0.0, 0.05), p_value=0.03, p_recent=0.5, n_eff=104.6),
        make_drift("b", 0.4, None, None),
        make_drift("c", 0.01, (0.0, 0.02), 0.4, gateable_days=14),
    ]
    table = tables.psi(rows, make_drift("the overall mean", 0.14, (0.1, 0.3), limit=0.2))
    assert [row[0] for row in table.rows] == ["b", "a", "c", "the overall mean"]
    assert table.rows[0][2:] == ("needs a longer window", "fail", "not measured", "", "", "", "")
    assert table.rows[1][1:] == (
        "0.020", "shown below", "pass", "0.000 to 0.050", "0.010", "0.030", "0.500", "105",
    )  # fmt: skip
    assert table.rows[2][2:4] == ("needs 14 d", "pass")
    assert table.rows[3][4] == "0.100 to 0.300"
    assert tables.psi([]).rows == ()


def test_distances_give_their_p_where_there_is_one() -> None:
    """Each statistic under its own name, with chance beside it."""
    others = (Distance("ks", 0.0213, 0.45), Distance("hellinger", 0.035, None))
    table = tables.distances([Measured("a", others)])
    assert [column.name for column in table.columns] == ["feature", "Kolmogorov-Smirnov",
                                                         "Hellinger"]  # fmt: skip
    assert table.rows == (("a", "0.021 (0.450)", "0.035"),)
    assert tables.distances([]).rows == ()
