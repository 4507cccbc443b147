"""The requests of a rollout, made of the lines of a server's logs and of what its counters say."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from mlwb.core.logtail import LogTail
from mlwb.core.predictionlog import REPLAYED, PredictionLine, parse_line
from mlwb.params import CanaryRolloutParams
from mlwb.stages._served_lines import prediction_log, shadow_log
from mlwb.stages._traffic_log import Exchange
from mlwb.stages.common import home_of

__all__ = ["Answers", "Lock", "Mode", "Observed", "failures", "unscored"]

Mode = Literal["observe_only", "live"]
_NOT_ASKED = ("dropped", "no_candidate")
"""Words of the shadow log for rows that say nothing about the candidate."""
_FALLBACK = "fallback"
"""Word for a request of a live candidate's share that the champion had to answer."""
_FAILED = Exchange("", 500, 0.0, None, None, "", False, None, None, "")  # noqa: FBT003 - a row
"""A request that was answered with a server's error; no log has a line of it."""


@dataclass(frozen=True)
class Lock:
    """What a rollout is about; another of any of these is another rollout.

    Parameters
    ----------
    champion, candidate : str
        Versions.
    champion_sha256, candidate_sha256 : str
        Digests of their manifests.
    policy_sha256 : str
        Digest of the policy.
    """

    champion: str
    champion_sha256: str
    candidate: str
    candidate_sha256: str
    policy_sha256: str

    def differences(self, seen: Mapping[str, Any]) -> str:
        """What a server is about that this is not; empty where it is the same."""
        wrong = [
            f"{name} is {seen.get(name) or 'none'}, not {value}"
            for name, value in asdict(self).items()
            if seen.get(name) != value
        ]
        return "; ".join(wrong)


@dataclass(frozen=True)
class Observed:
    """Requests that came to stand in the logs, and what is wrong with them.

    Parameters
    ----------
    exchanges : tuple of (datetime, Exchange)
        When each was answered; its test is empty.
    foreign : str
        A version that has no part in this rollout; empty where there is none.
    """

    exchanges: tuple[tuple[datetime, Exchange], ...]
    foreign: str


class Answers:
    """A server's prediction log and shadow log, read on and joined by request.

    Parameters
    ----------
    params : CanaryRolloutParams
        Where they stand, and how late lines may be.
    lock : Lock
        The versions that may stand there.
    mode : {"observe_only", "live"}
        What a line of the candidate means.
    since : datetime
        Older lines are passed over.
    """

    def __init__(
        self, params: CanaryRolloutParams, lock: Lock, mode: Mode, *, since: datetime
    ) -> None:
        rollout, home = params.rollout, home_of(params.run)
        own = prediction_log(home), shadow_log(home)
        paths = [
            Path(said) if said else usual
            for said, usual in zip((rollout.prediction_log, rollout.shadow_log), own, strict=True)
        ]
        self._served, self._compared = (LogTail(path, parse_line) for path in paths)
        self._lock, self._mode, self._since = lock, mode, since
        self._settle = timedelta(seconds=rollout.settle_s)
        self._waiting: list[PredictionLine] = []
        self._sides: dict[tuple[str, int], deque[PredictionLine]] = {}

    def skip(self) -> None:
        """Pass over what stands in the logs now."""
        self._served.skip()
        self._compared.skip()

    def take(self, now: datetime) -> Observed:
        """Requests whose lines have had the time to come.

        Raises
        ------
        EvidenceSchemaError
            A line of a log cannot be read.
        """
        self._waiting += filter(self._counts, self._served.new())
        for line in filter(self._counts, self._compared.new()):
            self._sides.setdefault((line.request_id, line.row), deque()).append(line)
        settled = [line for line in self._waiting if line.ts <= now - self._settle]
        self._waiting = [line for line in self._waiting if line.ts > now - self._settle]
        settled.sort(key=lambda line: line.ts)
        pairs = [(line, self._side(line)) for line in settled]
        self._forget(now - 4 * self._settle)
        found = tuple((line.ts, self._exchange(line, side)) for line, side in pairs)
        return Observed(found, self._foreign([item for _, item in found]))

    def _counts(self, line: PredictionLine) -> bool:
        return line.ts >= self._since and not line.request_id.startswith(REPLAYED)

    def _side(self, line: PredictionLine) -> PredictionLine | None:
        sides = self._sides.get((line.request_id, line.row))
        if not sides:
            return None
        side = sides.popleft()
        if not sides:
            del self._sides[line.request_id, line.row]
        return side

    def _forget(self, before: datetime) -> None:
        """Comparisons whose request never came to stand in the log: it was full."""
        stale = [key for key, sides in self._sides.items() if sides[-1].ts < before]
        for key in stale:
            del self._sides[key]

    def _exchange(self, line: PredictionLine, compared: PredictionLine | None) -> Exchange:
        answered = Exchange(
            test="",
            status=200,
            ms=line.latency_ms,
            score=line.score,
            expected=None,
            version=line.model_version,
            shadowed=False,
            shadow_score=None,
            shadow_ms=None,
            shadow_version="",
        )
        if self._mode == "live":
            if line.model_version != self._lock.candidate:
                return answered
            return replace(
                answered,
                score=None,
                shadowed=True,
                shadow_score=line.score,
                shadow_ms=line.latency_ms,
                shadow_version=line.model_version,
            )
        side = compared.shadow if compared else None
        if side is None or side.error in _NOT_ASKED:
            return answered
        return replace(
            answered,
            shadowed=True,
            shadow_score=side.score,
            shadow_ms=side.latency_ms,
            shadow_version=side.version,
            shadow_error=side.error,
        )

    def _foreign(self, items: Sequence[Exchange]) -> str:
        lock, is_live = self._lock, self._mode == "live"
        known = {lock.champion, lock.candidate} if is_live else {lock.champion}
        answered = {item.version for item in items} - known
        shadowed = {item.shadow_version for item in items} - {"", lock.candidate}
        return ", ".join(sorted(answered | shadowed))


def failures(n_errors: int, n_fallbacks: int, items: Sequence[Exchange]) -> list[Exchange]:
    """Requests with those that only the counters know of.

    Parameters
    ----------
    n_errors : int
        Requests that were answered with a server's error; no log has a line of them.
    n_fallbacks : int
        Requests of a candidate's share that the champion had to answer.
    items : sequence of Exchange
        Those that stand in the logs.
    """
    found, left = [], n_fallbacks
    for item in items:
        is_fallback = left > 0 and not item.shadowed
        left -= is_fallback
        found.append(replace(item, shadowed=True, shadow_error=_FALLBACK) if is_fallback else item)
    return found + [_FAILED] * n_errors


def unscored(items: Iterable[Exchange]) -> dict[str, int]:
    """Requests that the candidate was asked and did not score, by why; most first.

    Parameters
    ----------
    items : iterable of Exchange
        Of a rollout. Reasons are the words of the shadow log, and ``"fallback"`` where the champion
        answered in the candidate's place.

    Examples
    --------
    >>> unscored([])
    {}
    """
    words = (item.shadow_error for item in items if item.shadowed and item.shadow_score is None)
    return dict(Counter(words).most_common())
