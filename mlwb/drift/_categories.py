"""Frozen vocabularies: the same counts for values that are names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Int1D
from mlwb.core.errors import EmptyWindowError

__all__ = ["CategoryReference", "fit_categories"]


@dataclass(frozen=True)
class CategoryReference:
    """Categories of one column and how often each was seen when the model was trained.

    Compare with :func:`mlwb.drift.psi_of_counts`, which takes counts of any cells.

    Parameters
    ----------
    name : str
        Column name.
    categories : tuple of str or int
        Frozen vocabulary, in the order of its text.
    counts : ndarray of shape (n_categories + 2,), int64
        Rows of each category, then of categories not in the vocabulary (0 in the reference
        itself), then missing.
    """

    name: str
    categories: tuple[str | int, ...]
    counts: Int1D

    def count(self, values: Iterable[str | int | None]) -> Int1D:
        """Rows of each cell: the vocabulary, then new categories, then missing (None)."""
        seen = Counter(values)
        missing = seen.pop(None, 0)
        known = [seen.pop(category, 0) for category in self.categories]
        return np.array([*known, seen.total(), missing], dtype=np.int64)


def fit_categories(name: str, values: Sequence[str | int | None]) -> CategoryReference:
    """Freeze the vocabulary of a column.

    Parameters
    ----------
    name : str
        Column name.
    values : sequence of str or int or None
        One kind of value; None is missing.

    Returns
    -------
    CategoryReference

    Raises
    ------
    EmptyWindowError
        Nothing but missing values.

    Examples
    --------
    >>> calm = fit_categories("regime", ["quiet", "quiet", "wild"])
    >>> calm.count(["quiet", "crash", None]).tolist()
    [1, 0, 1, 1]
    """
    seen = Counter(value for value in values if value is not None)
    if not seen:
        raise EmptyWindowError(f"no category of {name} to freeze")
    categories = tuple(sorted(seen, key=str))
    cells = [*(seen[category] for category in categories), 0, len(values) - seen.total()]
    return CategoryReference(name, categories, np.array(cells, dtype=np.int64))
