"""One UTC day of served scores, traded on paper by the rule of their label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np

from mlwb.backtest import (
    Activity,
    Ledger,
    Risk,
    Tape,
    Trips,
    activity,
    against_constant,
    backtest,
    risk,
    round_trips,
)
from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import INTERVAL_S, MID
from mlwb.core.clock import DAY_S
from mlwb.core.predictionlog import REPLAYED, PredictionLine
from mlwb.params import TrainingParams
from mlwb.stages._paper import MEANINGS, RULES, caps_of, one_way_cost, targets_of
from mlwb.stages.market import Prepared

__all__ = ["Answers", "PaperDay", "Traded", "day_start", "paper_day", "take_answers", "traded"]


@dataclass
class Answers:
    """The newest score of each version in each minute, as answered.

    Parameters
    ----------
    by_version : dict of str to dict of int to (float, float)
        Version to minute since 1970 to time of the answer and score.
    left_out : dict of str to int
        Rows that nobody trades one market by, by the reason.
    """

    by_version: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=lambda: {"replayed": 0, "in a batch": 0})

    def versions(self, day: date) -> list[str]:
        """Those that answered on a UTC day."""
        first = day_start(day) // 60
        return sorted(
            version
            for version, minutes in self.by_version.items()
            if any(first <= minute < first + DAY_S // 60 for minute in minutes)
        )

    def of(self, version: str, day: date) -> dict[int, float]:
        """Scores of a version on a UTC day, by minute."""
        first = day_start(day) // 60
        known = self.by_version.get(version, {})
        return {
            minute: known[minute][1]
            for minute in range(first, first + DAY_S // 60)
            if minute in known
        }


@dataclass(frozen=True)
class Traded:
    """The market scores are traded on.

    Parameters
    ----------
    prepared : Prepared
        Its bars.
    cost : ndarray of shape (n_bars,), float64
        One way, as a fraction of the amount.
    is_live : bool
        Whether it was recorded from a market.
    """

    prepared: Prepared
    cost: Float1D
    is_live: bool

    @property
    def from_s(self) -> int:
        """Close of the first bar."""
        return int(self.prepared.ts[0]) + INTERVAL_S

    @property
    def until_s(self) -> int:
        """Close of the last bar."""
        return int(self.prepared.ts[-1]) + INTERVAL_S


@dataclass(frozen=True)
class PaperDay:
    """What a version's scores earned on one UTC day.

    Parameters
    ----------
    day : date
        UTC.
    version, label, rule, meaning : str
        What was traded, and what its returns mean.
    ledger : Ledger
        Step by step, flat before and sold after; of exposure that is timed, the difference to the
        same exposure held all day.
    trips : Trips
        Round trips of it.
    risk : Risk
        Of the day.
    activity : Activity
        Of the rule itself.
    n_scores : int
        Minutes with a score.
    """

    day: date
    version: str
    label: str
    rule: str
    meaning: str
    ledger: Ledger
    trips: Trips
    risk: Risk
    activity: Activity
    n_scores: int

    @property
    def is_bet(self) -> bool:
        """Whether the rule bets on the sign of a return."""
        return self.label != "volatility"


def day_start(day: date) -> int:
    """Seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def traded(prepared: Prepared, params: TrainingParams, *, is_live: bool) -> Traded:
    """A market with what trading on it costs."""
    return Traded(prepared, one_way_cost(prepared, params), is_live)


def take_answers(lines: Iterable[PredictionLine], first_s: int, last_s: int) -> Answers:
    """The newest live score of every version and minute.

    Parameters
    ----------
    lines : iterable of PredictionLine
        Of a prediction log; the rows of a request follow each other.
    first_s, last_s : int
        The window, seconds since 1970; ``last_s`` is outside.

    Returns
    -------
    Answers
        Rows replayed into a server and requests of several rows are left out: the first were not
        for the market of now, and of the second a log does not say which row was.
    """
    found = Answers()
    kept: PredictionLine | None = None
    for line in lines:
        ts = line.ts.timestamp()
        if not first_s <= ts < last_s:
            continue
        if line.request_id.startswith(REPLAYED):
            found.left_out["replayed"] += 1
            continue
        if line.row:
            is_of_kept = kept is not None and kept.request_id == line.request_id
            found.left_out["in a batch"] += 1 + is_of_kept
            kept = None if is_of_kept else kept
            continue
        _keep(found, kept)
        kept = line
    _keep(found, kept)
    return found


def _keep(found: Answers, line: PredictionLine | None) -> None:
    if line is None:
        return
    ts = line.ts.timestamp()
    minutes = found.by_version.setdefault(line.model_version, {})
    before = minutes.get(int(ts) // 60)
    if before is None or ts >= before[0]:
        minutes[int(ts) // 60] = (ts, line.score)


def paper_day(
    market: Traded, scores: Mapping[int, float], day: date, *, version: str, params: TrainingParams
) -> PaperDay | None:
    """Trade the scores a version gave on one UTC day.

    Parameters
    ----------
    market : Traded
        With bars of the day until the horizon of its last score.
    scores : mapping of int to float
        By minute since 1970: what was known before the bar of that minute closed.
    day : date
        UTC.
    version : str
        That gave the scores.
    params : TrainingParams
        Label of the version, rule, caps and costs.

    Returns
    -------
    PaperDay or None
        None where the market has no two bars with a price on that day.

    Notes
    -----
    A score answered within a minute is a decision at the close of the bar before it, and is filled
    ``latency_bars`` bars later, one at least: never at a price that was known when it was given.
    Each day is a book of its own, flat when it begins and sold when it ends.
    """
    rows = _rows_of(market.prepared, day)
    if len(rows) < 2:
        return None
    closes = market.prepared.ts[rows] + INTERVAL_S
    probability = np.array([scores.get(minute, np.nan) for minute in (closes // 60).tolist()])
    tape = Tape(closes, market.prepared.bars[rows, MID], market.cost[rows])
    until = closes
    if params.label.kind == "triple_barrier":
        until = market.prepared.labels(params.label).t1[rows]
    target, _ = targets_of(probability, closes, until, params)
    latency, caps = max(params.backtest.latency_bars, 1), caps_of(params)
    book = backtest(target, tape, caps, latency_bars=latency)
    ledger = book.ledger
    if params.label.kind == "volatility":
        ledger = against_constant(book, tape, caps, latency_bars=latency).overlay
    return PaperDay(
        day=day,
        version=version,
        label=params.label.kind,
        rule=RULES[params.label.kind],
        meaning=MEANINGS[params.label.kind],
        ledger=ledger,
        trips=round_trips(ledger),
        risk=risk(ledger.net, book.ts),
        activity=activity(book.ledger, book.ts),
        n_scores=int(np.isfinite(probability).sum()),
    )


def _rows_of(prepared: Prepared, day: date) -> Int1D:
    """Bars that close on a UTC day or with it, from the first with a price."""
    first_s = day_start(day)
    closes = prepared.ts + INTERVAL_S
    rows = np.flatnonzero((closes >= first_s) & (closes <= first_s + DAY_S))
    mid = prepared.bars[rows, MID]
    priced = np.flatnonzero(np.isfinite(mid) & (mid > 0.0))
    return rows[priced[0] :] if len(priced) else rows[:0]
