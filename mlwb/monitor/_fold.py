"""Lines of a server's logs, one at a time, into the numbers of a window."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mlwb.core.predictionlog import REPLAYED, PredictionLine
from mlwb.monitor._binned import DELTA_EDGES, LATENCY_EDGES_MS, SCORE_EDGES, Binned
from mlwb.monitor._coverage import Beats
from mlwb.monitor._pairs import PairSample
from mlwb.stats import agreement

__all__ = ["Answers", "Comparisons", "Fold"]


class Answers:
    """Rows that versions answered.

    Parameters
    ----------
    edges : sequence of float, optional
        Score edges of a frozen reference; thousandths otherwise.
    """

    __slots__ = ("latency_ms", "score", "versions")

    def __init__(self, edges: Sequence[float] = SCORE_EDGES) -> None:
        self.versions: Counter[str] = Counter()
        self.score = Binned(edges)
        self.latency_ms = Binned(LATENCY_EDGES_MS)

    @property
    def n(self) -> int:
        """Rows."""
        return self.versions.total()


class Comparisons:
    """Rows that one candidate was shown beside the champion.

    Parameters
    ----------
    match_delta : float
        Largest difference of two scores that is a match.
    edges : sequence of float, optional
        Score edges of a frozen reference; thousandths otherwise.
    """

    __slots__ = ("abs_delta", "asked", "errors", "latency_ms", "match_delta", "matched", "pairs",
                 "score")  # fmt: skip

    def __init__(self, match_delta: float, edges: Sequence[float] = SCORE_EDGES) -> None:
        self.match_delta = match_delta
        self.asked = self.matched = 0
        self.errors: Counter[str] = Counter()
        self.score = Binned(edges)
        self.latency_ms = Binned(LATENCY_EDGES_MS)
        self.abs_delta = Binned(DELTA_EDGES)
        self.pairs = PairSample()

    def add(self, line: PredictionLine) -> None:
        """Count a line that has a candidate's side."""
        side = line.shadow
        if side is None:
            return
        self.asked += 1
        if side.score is None:
            self.errors[side.error or "no score"] += 1
            return
        delta = abs(side.score - line.score)
        self.matched += delta <= self.match_delta
        self.score.add(side.score)
        self.abs_delta.add(delta)
        self.pairs.add(line.request_id, line.row, line.score, side.score)
        if side.latency_ms is not None:
            self.latency_ms.add(side.latency_ms)

    @property
    def compared(self) -> int:
        """Rows both have scored."""
        return self.pairs.n

    @property
    def failed(self) -> int:
        """Rows the candidate did not score."""
        return self.errors.total()

    def rank_corr(self) -> float:
        """Spearman's, over the sample of pairs; NaN where one side is constant."""
        first, second = self.pairs.sides()
        return agreement(first, second, match_delta=self.match_delta).rank_corr


class Fold:
    """Live rows of a window; rows replayed into the server are counted apart and not measured.

    Parameters
    ----------
    first_s, last_s : int
        Seconds since 1970; ``last_s`` is outside.
    match_delta : float
        Largest difference of two scores that is a match.
    version : str, default=""
        Only rows this version scored, as the answer or beside it; empty: all.
    edges : sequence of float, optional
        Score edges of that version's reference.

    Notes
    -----
    Every row is counted by its own stamp, seconds since 1970 UTC: the order of the lines, the file
    they stand in, and the time zone they are written in do not matter. Memory does not grow with
    the number of rows.
    """

    __slots__ = ("_edges", "_match_delta", "_version", "answers", "beats", "candidates", "first_s",
                 "last_s", "replayed", "shadow_beats")  # fmt: skip

    def __init__(
        self,
        first_s: int,
        last_s: int,
        *,
        match_delta: float,
        version: str = "",
        edges: Sequence[float] = SCORE_EDGES,
    ) -> None:
        self.first_s, self.last_s = first_s, last_s
        self._match_delta, self._version, self._edges = match_delta, version, edges
        self.answers = Answers(edges)
        self.candidates: dict[str, Comparisons] = {}
        self.beats, self.shadow_beats = Beats(first_s, last_s), Beats(first_s, last_s)
        self.replayed = 0

    def answer(self, line: PredictionLine) -> None:
        """Take a line of the prediction log."""
        ts = line.ts.timestamp()
        if self._is_wanted(line, ts, line.model_version):
            answers = self.answers
            answers.versions[line.model_version] += 1
            answers.score.add(line.score)
            answers.latency_ms.add(line.latency_ms)
            self.beats.add(ts)

    def comparison(self, line: PredictionLine) -> None:
        """Take a line of the shadow log; heartbeats are the rows the candidate scored."""
        side, ts = line.shadow, line.ts.timestamp()
        if side is None or not side.version or not self._is_wanted(line, ts, side.version):
            return
        found = self.of(side.version)
        self.candidates[side.version] = found
        found.add(line)
        if side.score is not None:
            self.shadow_beats.add(ts)

    def of(self, candidate: str) -> Comparisons:
        """What came of one candidate; nothing where it was never shown a row."""
        return self.candidates.get(candidate) or Comparisons(self._match_delta, self._edges)

    @property
    def candidate(self) -> str:
        """The version that was shown most rows; empty where there is none."""
        asked = {name: found.asked for name, found in self.candidates.items()}
        return max(asked, key=lambda name: (asked[name], name), default="")

    def _is_wanted(self, line: PredictionLine, ts: float, version: str) -> bool:
        if not self.first_s <= ts < self.last_s or not math.isfinite(line.score):
            return False
        if self._version and version != self._version:
            return False
        if line.request_id.startswith(REPLAYED):
            self.replayed += 1
            return False
        return True
