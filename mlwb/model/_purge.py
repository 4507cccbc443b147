"""Purging by clock time on label spans ``(t0, t1]``, once for all splitters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import DataSchemaError, LeakageError, ParamsError

__all__ = ["Blocks", "PurgedSplitter", "Split", "leak_count"]

Blocks = tuple[Int1D, ...]
"""Test rows of one split: each block a run of rows in time order."""


@dataclass(frozen=True)
class Split:
    """One train/test split.

    Parameters
    ----------
    train, test : ndarray of int64
        Row numbers, increasing.
    n_purged, n_embargoed : int
        Rows left out of training because their span meets a test block, or follows one too
        closely.
    n_leaks : int
        Train rows whose span still meets a test span; always 0.
    train_s : tuple of int, default=(0, 0)
        First ``t0`` and last ``t1`` trained on, seconds since 1970; zeros without rows.
    test_s : tuple of (int, int), default=()
        The same of every test block.
    """

    train: Int1D
    test: Int1D
    n_purged: int
    n_embargoed: int
    n_leaks: int
    train_s: tuple[int, int] = (0, 0)
    test_s: tuple[tuple[int, int], ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of both index arrays: two runs split alike when it is the same."""
        parts = (np.array([len(self.train)]), self.train, self.test)
        return digest_bytes(np.concatenate(parts).astype("<i8").tobytes())

    def to_json(self) -> dict[str, Any]:
        """Counts, times and digest, as evidence keeps them; no row numbers."""
        return {
            "train": len(self.train),
            "test": len(self.test),
            "purged": self.n_purged,
            "embargoed": self.n_embargoed,
            "leaks": self.n_leaks,
            "train_s": list(self.train_s),
            "test_s": [list(block) for block in self.test_s],
            "digest": self.digest,
        }


def leak_count(train: Int1D, test: Int1D, *, t0: Int1D, t1: Int1D) -> int:
    """Train rows whose ``(t0, t1]`` meets the ``(t0, t1]`` of any test row.

    Knows nothing of blocks or order, so it can audit any splitter. ``O(n log n)``.

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


class PurgedSplitter(ABC):
    """What the splitters share: spans, purging, counting, the scikit-learn protocol.

    A subclass names the test blocks of each split. A train row is kept when, for every block, its
    span ends at or before the block's first ``t0``, or starts at or after the block's last ``t1``
    plus the embargo. Rows may come in any order and with any label ends; nothing is counted in
    rows, so gaps and uneven clocks change nothing.

    Parameters
    ----------
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans, seconds; ``t0 < t1``.
    embargo_s : int, default=0
        Seconds kept free after each test block.

    Raises
    ------
    DataSchemaError
        The spans are not two integer columns of one length, or a label ends before it begins.
    ParamsError
        The embargo is negative.

    Notes
    -----
    Between blocks that are runs in time, the rule drops exactly the rows whose span meets a test
    span: it purges no more than it must.

    References
    ----------
    .. [1] Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7 and 12.
    """

    def __init__(self, t0: Int1D, t1: Int1D, *, embargo_s: int = 0) -> None:
        t0, t1 = np.asarray(t0), np.asarray(t1)
        whole = t0.dtype.kind in "iu" and t1.dtype.kind in "iu"
        if t0.ndim != 1 or t0.shape != t1.shape or not whole or (t1 <= t0).any():
            raise DataSchemaError(
                "no label spans",
                expected="two columns of whole seconds with t0 < t1",
                got=f"{t0.dtype} {t0.shape} and {t1.dtype} {t1.shape}",
            )
        if embargo_s < 0:
            raise ParamsError("the embargo is negative", expected=">= 0 s", got=str(embargo_s))
        self.t0, self.t1 = t0.astype(np.int64), t1.astype(np.int64)
        self.embargo_s = embargo_s

    def splits(self) -> Iterator[Split]:
        """Yield every split with its counts.

        Raises
        ------
        LeakageError
            A split leaks; it cannot, and this line says so if it ever does.
        """
        for blocks in self._tests():
            yield self._checked(blocks, *self._sides(blocks))

    def split(
        self,
        X: Any = None,
        y: object = None,  # noqa: ARG002 - the same
        groups: object = None,  # noqa: ARG002 - the same
    ) -> Iterator[tuple[Int1D, Int1D]]:
        """Yield ``(train, test)`` row numbers.

        Raises
        ------
        DataSchemaError
            ``X`` has another number of rows than the spans.
        """
        if X is not None and len(X) != len(self.t0):
            raise DataSchemaError(
                "the splitter was made for other rows", expected=str(len(self.t0)), got=str(len(X))
            )
        for found in self.splits():
            yield found.train, found.test

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:  # noqa: ARG002 - the scikit-learn signature
        """Number of splits that :meth:`split` yields."""
        return sum(1 for _ in self._tests())

    @abstractmethod
    def _tests(self) -> Iterator[Blocks]:
        """Test blocks of every split, in order."""

    def _groups(self, n: int) -> list[Int1D]:
        """All rows in ``n`` runs in time, of sizes that differ by at most one."""
        return np.array_split(np.argsort(self.t0, kind="stable"), n)

    def _sides(self, blocks: Blocks) -> tuple[Bool1D, Bool1D, Bool1D]:
        """Rows to train on, rows purged, rows embargoed."""
        outside = np.ones(len(self.t0), dtype=bool)
        free, kept = outside.copy(), outside.copy()
        for block in blocks:
            outside[block] = False
            start, end = self.t0[block].min(), self.t1[block].max()
            earlier = self.t1 <= start
            free &= earlier | (self.t0 >= end)
            kept &= earlier | (self.t0 - end >= self.embargo_s)
        return outside & kept, outside & ~free, outside & free & ~kept

    def _checked(self, blocks: Blocks, kept: Bool1D, purged: Bool1D, embargoed: Bool1D) -> Split:
        train, test = np.flatnonzero(kept), np.sort(np.concatenate(blocks))
        leaks = leak_count(train, test, t0=self.t0, t1=self.t1)
        if leaks:
            raise LeakageError(
                "a train label overlaps a test label", expected="0", got=f"{leaks} rows"
            )
        return Split(
            train,
            test,
            int(purged.sum()),
            int(embargoed.sum()),
            leaks,
            train_s=self._window(train),
            test_s=tuple(self._window(block) for block in blocks),
        )

    def _window(self, rows: Int1D) -> tuple[int, int]:
        return (int(self.t0[rows].min()), int(self.t1[rows].max())) if len(rows) else (0, 0)
