"""Messages of the figures about what features know and share."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.report import figures
from mlwb.study import Information, Redundancy

pytestmark = pytest.mark.usefixtures("coarse")


def _item(name: str, horizon_s: int, ic: float, half: float = 0.02) -> Information:
    return Information(name, horizon_s, ic, ic - half, ic + half, 10_000, 60)


def test_information_names_the_strongest() -> None:
    """Strength is size, not sign; intervals that hold zero do not differ from it."""
    items = [_item("weak", 60, 0.01), _item("strong", 60, -0.31), _item("strong", 3600, -0.2)]
    figure = figures.information(items)
    assert figure.title == (
        "strong knows most: rank IC −0.310 at 1 min (−0.330 to −0.290); "
        "1 of 2 features differ from zero"
    )


def test_information_leaves_out_what_has_no_value() -> None:
    """A constant feature has no rank correlation and no row."""
    nan = float("nan")
    items = [_item("a", 60, 0.1), Information("flat", 60, nan, nan, nan, 0, 1)]
    assert "1 of 1 features" in figures.information(items).title


def test_decay_says_how_much_is_left() -> None:
    """The strongest feature's share at the last horizon, falling or growing."""
    falls = [_item("a", 60, 0.4), _item("a", 3600, 0.1), _item("b", 60, 0.2), _item("b", 3600, 0.2)]
    assert figures.decay(falls).title == (
        "a, the strongest, keeps 25\u00a0% of its 1 min rank IC at 1 h"
    )
    grows = [_item("a", 60, 0.2), _item("a", 3600, 0.3)]
    assert "grows to 150\u00a0% of its 1 min rank IC" in figures.decay(grows).title


def test_redundancy_names_the_closest_pair_and_mixtures() -> None:
    """The diagonal is not a pair; a negative correlation counts by its size."""
    matrix = np.asarray([[1.0, 0.1, -0.9], [0.1, 1.0, 0.2], [-0.9, 0.2, 1.0]])
    found = Redundancy(("a", "b", "c"), matrix, np.asarray([12.0, 1.0, np.inf]))
    assert figures.redundancy(found).title == (
        "a and c are closest, r = −0.90; nearly a mixture of others: a, c"
    )
