"""What the newest comparisons of champion and candidate amount to."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np

from mlwb.core.clock import Clock
from mlwb.core.predictionlog import ShadowOutcome
from mlwb.serve._settings import ServeSettings
from mlwb.serve._shadow_breaker import STATES, BreakerState, ShadowBreaker
from mlwb.stats import Agreement, agreement

__all__ = ["BreakerReport", "ShadowReport", "ShadowWatch"]

_FRESH_S = 1.0
"""Numbers younger than this are given again: the rank correlation sorts the window."""
_WEIGHT = 0.1
"""Of the newest call in the candidate's cost; some twenty forget a hiccup."""


class BreakerReport(msgspec.Struct):
    """Whether the candidate is asked."""

    state: BreakerState
    opened: int
    requests: int
    failed: int
    pause_left_s: float


class ShadowReport(msgspec.Struct):
    """The newest rows the candidate was asked, beside the champion's answers."""

    champion: str | None
    candidate: str | None
    window: int
    rows: int
    errors: int
    error_share: float | None
    matched: int
    match_rate: float | None
    match_delta: float
    mean_abs_delta: float | None
    median_abs_delta: float | None
    p95_abs_delta: float | None
    max_abs_delta: float | None
    rank_corr: float | None
    dropped: int
    skipped: int
    breaker: BreakerReport


_NOTHING = agreement(np.empty(0), np.empty(0), match_delta=0.0)


class ShadowWatch:
    """The last rows of one pair of versions; changed on the event loop only.

    Parameters
    ----------
    settings : ServeSettings
        Window and match limit.
    clock : Clock
        Says when a number is fresh.
    """

    __slots__ = (
        "_clock",
        "_computed_s",
        "_counted",
        "_pair",
        "_rows",
        "_settings",
        "breaker",
        "cost_ms",
    )

    def __init__(self, settings: ServeSettings, clock: Clock) -> None:
        self.breaker = ShadowBreaker(settings, clock)
        self.cost_ms = 0.0
        self._settings, self._clock = settings, clock
        self._pair = ("", "")
        self._rows: deque[tuple[float, float]] = deque(maxlen=settings.shadow_window)
        self._counted = (0, _NOTHING)
        self._computed_s = -math.inf

    def follow(self, champion: str, candidate: str, cost_ms: float) -> bool:
        """Begin anew with another pair of versions; whether it was another.

        Parameters
        ----------
        champion, candidate : str
            Versions.
        cost_ms : float
            What a row cost the candidate when it was loaded.
        """
        if (champion, candidate) == self._pair:
            return False
        self._pair, self.cost_ms = (champion, candidate), cost_ms
        self._rows.clear()
        self._computed_s = -math.inf
        self.breaker.reset()
        return True

    def record(
        self,
        pair: tuple[str, str],
        scores: Sequence[float],
        outcomes: Sequence[ShadowOutcome],
        sizes: Sequence[int] = (),
    ) -> None:
        """Take up the comparisons of a request, or of several; of an earlier pair left out.

        Parameters
        ----------
        pair : tuple of str
            Champion and candidate.
        scores : sequence of float
            The champion's.
        outcomes : sequence of ShadowOutcome
            The candidate's, of the same rows.
        sizes : sequence of int
            Rows of each request; one has them all when not given.
        """
        if pair != self._pair:
            return
        others = [math.nan if outcome.score is None else outcome.score for outcome in outcomes]
        self._rows.extend(zip(scores, others, strict=True))
        sizes, start = sizes or (len(others),), 0
        if not any(map(math.isnan, others)):
            self.breaker.record_good(len(sizes))
            return
        for size in sizes:
            self.breaker.record(failed=any(map(math.isnan, others[start : start + size])))
            start += size

    def took(self, ms_a_row: float) -> None:
        """Learn from one call what a row costs; the next calls forget a hiccup."""
        self.cost_ms += _WEIGHT * (ms_a_row - self.cost_ms)

    @property
    def readings(self) -> dict[str, float]:
        """For a scrape: metric families of one series."""
        _, found = self._agreement()
        return {
            "ml_shadow_match_rate": found.match_rate,
            "ml_shadow_rank_corr": found.rank_corr,
            "ml_shadow_breaker_state": STATES.index(self.breaker.state),
            "ml_shadow_breaker_opened_total": self.breaker.opened,
        }

    def problem(self, candidate: str | None) -> str:
        """``"breaker_open"`` while this candidate is not asked, or only tried; else empty."""
        is_left_alone = candidate == self._pair[1] and self.breaker.state != "closed"
        return "breaker_open" if is_left_alone else ""

    def report(self, *, dropped: int, skipped: int) -> ShadowReport:
        """For people.

        Parameters
        ----------
        dropped, skipped : int
            Rows not shown since the server started: too many waited, the breaker was open.
        """
        (rows, found), breaker = self._agreement(), self.breaker
        champion, candidate = self._pair
        return ShadowReport(
            champion=champion or None,
            candidate=candidate or None,
            window=self._settings.shadow_window,
            rows=rows,
            errors=rows - found.n,
            error_share=(rows - found.n) / rows if rows else None,
            matched=found.n_matched,
            match_rate=_known(found.match_rate),
            match_delta=self._settings.match_delta,
            mean_abs_delta=_known(found.mean_abs_delta),
            median_abs_delta=_known(found.median_abs_delta),
            p95_abs_delta=_known(found.p95_abs_delta),
            max_abs_delta=_known(found.max_abs_delta),
            rank_corr=_known(found.rank_corr),
            dropped=dropped,
            skipped=skipped,
            breaker=BreakerReport(
                breaker.state,
                breaker.opened,
                breaker.requests,
                breaker.failed,
                breaker.pause_left_s,
            ),
        )

    def _agreement(self) -> tuple[int, Agreement]:
        """Rows in the window and what they amount to, computed at most once a second."""
        now_s = self._clock.monotonic_s()
        if now_s - self._computed_s >= _FRESH_S:
            table = np.array(self._rows, dtype=np.float64).reshape(-1, 2)
            both = table[np.isfinite(table[:, 1])]
            found = agreement(both[:, 0], both[:, 1], match_delta=self._settings.match_delta)
            self._counted, self._computed_s = (len(table), found), now_s
        return self._counted


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
