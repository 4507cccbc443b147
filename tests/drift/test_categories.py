"""Names are counted against a frozen vocabulary."""

from __future__ import annotations

import pytest

from mlwb.core.errors import EmptyWindowError
from mlwb.drift import fit_categories, psi_of_counts


def test_e3_from_names() -> None:
    """One category vanished, a new one came: smoothed 2.3949, by any of five libraries' cells."""
    reference = fit_categories("e3", ["a"] * 500 + ["b"] * 300 + ["c"] * 200)
    current = reference.count(["a"] * 480 + ["b"] * 320 + ["d"] * 200)
    assert current.tolist() == [480, 320, 0, 200, 0]
    found = psi_of_counts("e3", reference.counts, current)
    assert found.value == pytest.approx(2.3948990706359634, rel=1e-12)


def test_all_new_categories_share_a_cell_and_missing_has_its_own() -> None:
    """The vocabulary is frozen: what it does not know is new, what is None is missing."""
    reference = fit_categories("venue", [2, 1, 1, None])
    assert (reference.categories, reference.counts.tolist()) == ((1, 2), [2, 1, 0, 1])
    assert reference.count([1, 7, 8, None, None]).tolist() == [1, 0, 2, 2]
    assert reference.count([]).tolist() == [0, 0, 0, 0]


def test_counts_add() -> None:
    """The counts of two windows together are the sum of their counts."""
    reference = fit_categories("x", "abc")
    together = reference.count("aabz") + reference.count("cc")
    assert together.tolist() == reference.count("aabzcc").tolist()


def test_order_of_rows_does_not_matter() -> None:
    """The same rows give the same cells."""
    first, second = fit_categories("x", ["b", "a", "b"]), fit_categories("x", ["a", "b", "b"])
    assert (first.categories, first.counts.tolist()) == (second.categories, second.counts.tolist())


@pytest.mark.parametrize("values", [[], [None, None]])
def test_a_vocabulary_needs_a_word(values: list[None]) -> None:
    """Nothing to freeze is an error that names the column."""
    with pytest.raises(EmptyWindowError, match="venue"):
        fit_categories("venue", values)
