"""How long something was seen to work, from the times at which it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Int1D

__all__ = ["Beats", "Coverage", "Gap", "coverage"]


@dataclass(frozen=True)
class Gap:
    """A silence.

    Parameters
    ----------
    started, finished : int
        Seconds since 1970: the beat before it and the one after it, or an end of the window.
    """

    started: int
    finished: int

    @property
    def seconds(self) -> int:
        """How long it was."""
        return self.finished - self.started


@dataclass(frozen=True)
class Coverage:
    """What a window of heartbeats covers.

    Parameters
    ----------
    n_beats : int
        Seconds with a beat.
    started, finished : int
        Of the newest stretch, seconds since 1970; both the window's end where there is none.
    seen_s : int
        Length of all stretches together.
    gaps : tuple of Gap
        Silences longer than allowed, in order; those at the window's ends among them.
    """

    n_beats: int
    started: int
    finished: int
    seen_s: int
    gaps: tuple[Gap, ...]

    @property
    def covered_s(self) -> int:
        """Length of the newest stretch; a gap starts the count anew, one at the end included."""
        return self.finished - self.started

    @property
    def longest_gap_s(self) -> int:
        """Longest silence that was too long; 0 without one."""
        return max((gap.seconds for gap in self.gaps), default=0)


class Beats:
    """Seconds of a window in which something happened: a mark a second, whatever the order.

    Clocks that step back, logs of several servers in one file and rows read twice mark the same
    seconds, so that nothing counts double. Memory is one byte a second of the window.

    Parameters
    ----------
    first_s, last_s : int
        Seconds since 1970; ``last_s`` is outside.

    Examples
    --------
    >>> beats = Beats(100, 160)
    >>> for ts in (130.9, 101.0, 130.1, 99.9, 160.0):
    ...     beats.add(ts)
    >>> beats.seconds().tolist()
    [101, 130]
    """

    __slots__ = ("_marks", "first_s", "last_s")

    def __init__(self, first_s: int, last_s: int) -> None:
        self.first_s, self.last_s = first_s, last_s
        self._marks = bytearray(max(last_s - first_s, 0))

    def add(self, ts: float) -> None:
        """Mark a second; one outside the window is passed over."""
        if self.first_s <= ts < self.last_s:
            self._marks[int(ts) - self.first_s] = 1

    def seconds(self) -> Int1D:
        """Seconds since 1970 that are marked, increasing."""
        marked = np.flatnonzero(np.frombuffer(self._marks, dtype=np.uint8))
        return np.asarray(marked + self.first_s, dtype=np.int64)

    def coverage(self, *, max_gap_s: float) -> Coverage:
        """What the marks cover; see :func:`coverage`."""
        return coverage(
            self.seconds(), first_s=self.first_s, last_s=self.last_s, max_gap_s=max_gap_s
        )


def coverage(seconds: Int1D, *, first_s: int, last_s: int, max_gap_s: float) -> Coverage:
    """Stretches of a window in which no silence was longer than allowed.

    Parameters
    ----------
    seconds : ndarray of shape (n,), int64
        Heartbeats within the window, increasing, whole seconds since 1970.
    first_s, last_s : int
        The window, seconds since 1970.
    max_gap_s : float
        A longer silence ends a stretch; one of exactly this length does not.

    Returns
    -------
    Coverage
        Silence from the last beat to the window's end counts like any other: what has stopped
        covers nothing.

    Examples
    --------
    >>> beats = np.array([0, 60, 120, 500, 560])
    >>> found = coverage(beats, first_s=0, last_s=600, max_gap_s=300.0)
    >>> found.covered_s, found.seen_s, found.gaps
    (60, 180, (Gap(started=120, finished=500),))
    """
    ends = np.concatenate([[first_s], seconds, [last_s]])
    silent = np.flatnonzero(np.diff(ends) > max_gap_s)
    gaps = tuple(Gap(int(ends[i]), int(ends[i + 1])) for i in silent)
    if len(seconds) == 0:
        return Coverage(0, last_s, last_s, 0, gaps)
    first, last = int(seconds[0]), int(seconds[-1])
    inner = sum(gap.seconds for gap in gaps if first <= gap.started and gap.finished <= last)
    is_silent = bool(gaps) and gaps[-1].finished > last
    start = gaps[-1].finished if gaps and gaps[-1].finished <= last else first
    started, finished = (last_s, last_s) if is_silent else (start, last)
    return Coverage(len(seconds), started, finished, last - first - inner, gaps)
