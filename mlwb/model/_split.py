"""Splitters that purge by clock time on label spans ``(t0, t1]``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.errors import EmptyWindowError, LeakageError

__all__ = ["PurgedKFold", "Split", "WalkForward", "leak_count"]


@dataclass(frozen=True)
class Split:
    """One train/test split.

    Parameters
    ----------
    train, test : ndarray of int64
        Row numbers, increasing.
    n_purged, n_embargoed : int
        Rows left out of training because their span meets the test block, or follows it too
        closely.
    n_leaks : int
        Train rows whose span still meets a test span; always 0.
    """

    train: Int1D
    test: Int1D
    n_purged: int
    n_embargoed: int
    n_leaks: int


def leak_count(train: Int1D, test: Int1D, *, t0: Int1D, t1: Int1D) -> int:
    """Train rows whose ``(t0, t1]`` meets the ``(t0, t1]`` of any test row.

    Parameters
    ----------
    train, test : ndarray of int64
        Row numbers.
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans, seconds.

    Returns
    -------
    int

    Examples
    --------
    >>> t0 = np.arange(5) * 60
    >>> leak_count(np.array([0, 1]), np.array([2]), t0=t0, t1=t0 + 120)
    1
    """
    if len(test) == 0 or len(train) == 0:
        return 0
    order = np.argsort(t0[test], kind="stable")
    starts = t0[test][order]
    latest_end = np.maximum.accumulate(t1[test][order])
    before = np.searchsorted(starts, t1[train], side="left")
    meets = (before > 0) & (latest_end[np.maximum(before - 1, 0)] > t0[train])
    return int(meets.sum())


class PurgedKFold:
    """K contiguous test blocks in time; training keeps only rows no test label touches.

    A train row is kept when its span ends at or before the block's first ``t0``, or starts at
    or after the block's last ``t1`` plus the embargo. A scikit-learn splitter.

    Parameters
    ----------
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans in seconds, ``t0`` non-decreasing.
    n_splits : int, default=5
        Folds.
    embargo_s : int, default=3600
        Seconds kept free after a test block.

    References
    ----------
    .. [1] Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7.
    """

    def __init__(self, t0: Int1D, t1: Int1D, *, n_splits: int = 5, embargo_s: int = 3600) -> None:
        if len(t0) < 2 * n_splits:
            raise EmptyWindowError(
                "too few rows to cross-validate", expected=f">= {2 * n_splits}", got=str(len(t0))
            )
        self.t0, self.t1, self.n_splits, self.embargo_s = t0, t1, n_splits, embargo_s

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:  # noqa: ARG002, N803 - the scikit-learn signature
        """Number of folds."""
        return self.n_splits

    def splits(self) -> Iterator[Split]:
        """Yield every split with its counts.

        Raises
        ------
        LeakageError
            A split leaks; it cannot, and this line says so if it ever does.
        """
        rows = np.arange(len(self.t0))
        for test in np.array_split(rows, self.n_splits):
            start, end = self.t0[test].min(), self.t1[test].max()
            outside = np.ones(len(rows), dtype=bool)
            outside[test] = False
            free = outside & ((self.t1 <= start) | (self.t0 >= end))
            kept = free & ((self.t1 <= start) | (self.t0 >= end + self.embargo_s))
            yield _checked(rows, kept, test, self, purged=outside & ~free, embargoed=free & ~kept)

    def split(
        self,
        X: object = None,  # noqa: ARG002, N803 - the scikit-learn signature
        y: object = None,  # noqa: ARG002
        groups: object = None,  # noqa: ARG002
    ) -> Iterator[tuple[Int1D, Int1D]]:
        """Yield ``(train, test)`` row numbers."""
        for found in self.splits():
            yield found.train, found.test


class WalkForward:
    """Test segments of equal calendar length; training is everything resolved before each.

    Parameters
    ----------
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans in seconds, ``t0`` non-decreasing.
    n_segments : int, default=8
        Test segments.
    first_train : float, default=0.3
        Share of the time span that only trains.
    """

    def __init__(
        self, t0: Int1D, t1: Int1D, *, n_segments: int = 8, first_train: float = 0.3
    ) -> None:
        if len(t0) < 2 * n_segments:
            raise EmptyWindowError(
                "too few rows to walk forward", expected=f">= {2 * n_segments}", got=str(len(t0))
            )
        self.t0, self.t1, self.n_segments, self.first_train = t0, t1, n_segments, first_train

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:  # noqa: ARG002, N803 - the scikit-learn signature
        """Number of segments."""
        return self.n_segments

    def splits(self) -> Iterator[Split]:
        """Yield every split with its counts; segments without rows on either side are left out.

        Raises
        ------
        LeakageError
            A split leaks.
        """
        rows = np.arange(len(self.t0))
        first, last = int(self.t0[0]), int(self.t1[-1])
        bounds = np.linspace(first + self.first_train * (last - first), last, self.n_segments + 1)
        for start, end in pairwise(bounds):
            test = rows[(self.t0 >= start) & (self.t0 < end)]
            if len(test) == 0:
                continue
            earlier = self.t0 < self.t0[test[0]]
            kept = earlier & (self.t1 <= self.t0[test[0]])
            if kept.any():
                none = np.zeros(len(rows), dtype=bool)
                yield _checked(rows, kept, test, self, purged=earlier & ~kept, embargoed=none)

    def split(
        self,
        X: object = None,  # noqa: ARG002, N803 - the scikit-learn signature
        y: object = None,  # noqa: ARG002
        groups: object = None,  # noqa: ARG002
    ) -> Iterator[tuple[Int1D, Int1D]]:
        """Yield ``(train, test)`` row numbers."""
        for found in self.splits():
            yield found.train, found.test


def _checked(
    rows: Int1D,
    kept: Bool1D,
    test: Int1D,
    spans: PurgedKFold | WalkForward,
    *,
    purged: Bool1D,
    embargoed: Bool1D,
) -> Split:
    train = rows[kept]
    leaks = leak_count(train, test, t0=spans.t0, t1=spans.t1)
    if leaks:
        raise LeakageError("a train label overlaps a test label", expected="0", got=f"{leaks} rows")
    return Split(train, test, int(purged.sum()), int(embargoed.sum()), leaks)
