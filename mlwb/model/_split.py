"""Three schemes of splitting in time; they differ only in which rows they test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import comb

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.core.errors import DataSchemaError, EmptyWindowError, ParamsError
from mlwb.model._purge import Blocks, PurgedSplitter, Split, leak_count

__all__ = [
    "CombinatorialPurgedCV",
    "PurgedKFold",
    "PurgedSplitter",
    "Split",
    "WalkForward",
    "leak_count",
]


class PurgedKFold(PurgedSplitter):
    """K contiguous test blocks in time, each tested by a model of all other free rows.

    Parameters
    ----------
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans, seconds.
    n_splits : int, default=5
        Folds.
    embargo_s : int, default=3600
        Seconds kept free after a test block.

    Raises
    ------
    EmptyWindowError
        Fewer than two rows a fold.

    Examples
    --------
    >>> t0 = np.arange(6) * 60
    >>> folds = PurgedKFold(t0, t0 + 90, n_splits=3, embargo_s=0)
    >>> [split.train.tolist() for split in folds.splits()]
    [[3, 4, 5], [0, 5], [0, 1, 2]]
    """

    def __init__(self, t0: Int1D, t1: Int1D, *, n_splits: int = 5, embargo_s: int = 3600) -> None:
        super().__init__(t0, t1, embargo_s=embargo_s)
        _check_count("n_splits", n_splits, least=2)
        _check_rows(len(self.t0), 2 * n_splits, "cross-validate")
        self.n_splits = n_splits

    def _tests(self) -> Iterator[Blocks]:
        for rows in self._groups(self.n_splits):
            yield (rows,)


class WalkForward(PurgedSplitter):
    """Test segments of equal calendar length; training is what was resolved before each.

    No embargo: nothing after a test segment is trained on. Segments without rows on either side
    are left out.

    Parameters
    ----------
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans, seconds.
    n_segments : int, default=8
        Test segments.
    first_train : float, default=0.3
        Share of the time span that only trains.
    train_s : int, optional
        Length of a sliding training window, seconds before the segment; without it the window
        expands from the first row.

    Raises
    ------
    EmptyWindowError
        Fewer than two rows a segment.
    """

    def __init__(
        self,
        t0: Int1D,
        t1: Int1D,
        *,
        n_segments: int = 8,
        first_train: float = 0.3,
        train_s: int | None = None,
    ) -> None:
        super().__init__(t0, t1)
        _check_count("n_segments", n_segments, least=1)
        if train_s is not None:
            _check_count("train_s", train_s, least=1)
        _check_rows(len(self.t0), 2 * n_segments, "walk forward")
        self.n_segments, self.first_train, self.train_s = n_segments, first_train, train_s

    def _tests(self) -> Iterator[Blocks]:
        order = np.argsort(self.t0, kind="stable")
        first, last = int(self.t0[order[0]]), int(self.t1[order[-1]])
        bounds = np.linspace(first + self.first_train * (last - first), last, self.n_segments + 1)
        edges = np.searchsorted(self.t0[order], bounds)
        for begin, end in pairwise(edges.tolist()):
            blocks = (order[begin:end],)
            if begin < end and self._sides(blocks)[0].any():
                yield blocks

    def _sides(self, blocks: Blocks) -> tuple[Bool1D, Bool1D, Bool1D]:
        start = self.t0[blocks[0]].min()
        earlier = self.t0 < start
        if self.train_s is not None:
            earlier &= start - self.t0 <= self.train_s
        resolved = self.t1 <= start
        return earlier & resolved, earlier & ~resolved, np.zeros(len(self.t0), dtype=bool)


class CombinatorialPurgedCV(PurgedSplitter):
    """Every choice of ``n_test_groups`` out of ``n_groups`` runs in time is tested once.

    ``C(n_groups, n_test_groups)`` splits test every row ``C(n_groups - 1, n_test_groups - 1)``
    times; put together, these are as many whole out-of-sample histories, the *paths*.

    Parameters
    ----------
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans, seconds.
    n_groups : int, default=6
        Runs the rows are cut into.
    n_test_groups : int, default=2
        Runs tested together, below ``n_groups``.
    embargo_s : int, default=3600
        Seconds kept free after each test block.

    Raises
    ------
    EmptyWindowError
        Fewer than two rows a group.
    ParamsError
        Numbers of groups that allow no split.

    Examples
    --------
    >>> t0 = np.arange(8) * 60
    >>> cv = CombinatorialPurgedCV(t0, t0 + 60, n_groups=4, n_test_groups=2, embargo_s=0)
    >>> cv.get_n_splits(), cv.paths().tolist()
    (6, [[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]])
    """

    def __init__(
        self,
        t0: Int1D,
        t1: Int1D,
        *,
        n_groups: int = 6,
        n_test_groups: int = 2,
        embargo_s: int = 3600,
    ) -> None:
        super().__init__(t0, t1, embargo_s=embargo_s)
        _check_count("n_test_groups", n_test_groups, least=1)
        _check_count("n_groups", n_groups, least=n_test_groups + 1)
        _check_rows(len(self.t0), 2 * n_groups, "cross-validate")
        self.n_groups, self.n_test_groups = n_groups, n_test_groups

    @property
    def n_paths(self) -> int:
        """``C(n_groups - 1, n_test_groups - 1)``."""
        return comb(self.n_groups - 1, self.n_test_groups - 1)

    def group(self) -> Int1D:
        """Group of every row, shape (n_rows,)."""
        found = np.empty(len(self.t0), dtype=np.int64)
        for number, rows in enumerate(self._groups(self.n_groups)):
            found[rows] = number
        return found

    def paths(self) -> Int1D:
        """Split that predicts each group on each path, shape (n_paths, n_groups).

        Path ``p`` takes for group ``g`` the ``p``-th split that tests ``g``; every test group of
        every split is used exactly once.
        """
        chosen = list(combinations(range(self.n_groups), self.n_test_groups))
        columns = [
            [number for number, groups in enumerate(chosen) if group in groups]
            for group in range(self.n_groups)
        ]
        return np.array(columns, dtype=np.int64).T

    def path_predictions(self, predictions: Sequence[Float1D]) -> Float2D:
        """Put the predictions of all splits together to whole histories.

        Parameters
        ----------
        predictions : sequence of ndarray
            One array a split, in the order of :meth:`splits`, aligned with its ``test``.

        Returns
        -------
        ndarray of shape (n_paths, n_rows), float64

        Raises
        ------
        DataSchemaError
            Not one prediction for every test row of every split.
        """
        tests = [np.sort(np.concatenate(blocks)) for blocks in self._tests()]
        if [len(rows) for rows in tests] != [len(values) for values in predictions]:
            raise DataSchemaError(
                "these are no predictions of these splits",
                expected=f"{len(tests)} arrays aligned with the test rows",
                got=f"{len(predictions)} arrays",
            )
        by_split = np.full((len(tests), len(self.t0)), np.nan)
        for number, (rows, values) in enumerate(zip(tests, predictions, strict=True)):
            by_split[number, rows] = values
        return np.take_along_axis(by_split, self.paths()[:, self.group()], axis=0)

    def _tests(self) -> Iterator[Blocks]:
        return combinations(self._groups(self.n_groups), self.n_test_groups)


def _check_count(name: str, value: int, *, least: int) -> None:
    if value < least:
        raise ParamsError(f"{name} is too small", expected=f">= {least}", got=str(value))


def _check_rows(found: int, least: int, what: str) -> None:
    if found < least:
        raise EmptyWindowError(f"too few rows to {what}", expected=f">= {least}", got=str(found))
