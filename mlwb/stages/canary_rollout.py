"""Whenever one likes: a candidate takes its part of a running server's traffic, phase by phase.

The server says what it did in its logs and counters; this stage makes requests of them, decides
nothing itself and sends nothing. Everything is read again from the same lines after a restart.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from mlwb.canary import (
    SCORE_PSI,
    ScoreLimit,
    Summary,
    Traffic,
    questions_of,
    score_path,
    score_psi,
    summarise,
)
from mlwb.canary import judge as judge_traffic
from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock
from mlwb.core.errors import ArtifactError
from mlwb.core.logtail import LogTail
from mlwb.core.predictionlog import REPLAYED, PredictionLine, parse_line
from mlwb.drift import SCORE
from mlwb.evidence import Input, Metric, Record
from mlwb.gates import Verdict
from mlwb.inference import load_reference
from mlwb.params import CanaryRolloutParams, Policy
from mlwb.stages._rollout_agreement import observed_before, with_agreement
from mlwb.stages._rollout_records import RolloutFacts, rollout_record
from mlwb.stages._served_lines import prediction_log, shadow_log
from mlwb.stages._traffic_limits import abort_limits, judge_limits, lease_s_of
from mlwb.stages._traffic_log import Exchange, TrafficHeader, to_traffic, write_log
from mlwb.stages.common import (
    context,
    home_of,
    judge_gates,
    match_delta_of,
    null,
    policy_of,
    store_of,
    write_all,
)

__all__ = [
    "Answers",
    "Exchange",
    "Lock",
    "Mode",
    "Observed",
    "Ran",
    "abort_limits",
    "failures",
    "judge",
    "judge_limits",
    "lease_s_of",
    "measure",
    "phase_names",
    "record",
    "score_limit",
    "traffic_of",
    "unscored",
]

Mode = Literal["observe_only", "live"]
_NOT_ASKED = ("dropped", "no_candidate")
"""Words of the shadow log for rows that say nothing about the candidate."""
_FALLBACK = "fallback"
"""Word for a request of a live candidate's share that the champion had to answer."""


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


_FAILED = Exchange("", 500, 0.0, None, None, "", False, None, None, "")  # noqa: FBT003 - a row


def traffic_of(items: Sequence[Exchange], mode: Mode) -> Traffic:
    """Requests as arrays, in order."""
    return replace(to_traffic(items), is_split=mode == "live")


@dataclass(frozen=True)
class Ran:
    """A rollout that has ended.

    Parameters
    ----------
    params : CanaryRolloutParams
        How it was made.
    mode : {"observe_only", "live"}
        Whether the candidate answered.
    lock : Lock
        What it was about.
    exchanges : tuple of Exchange
        All requests, each with its phase for a test.
    aborted : str
        Why it stopped early, with the phase; empty when it did not.
    started, finished : str
        UTC.
    foreign : str
        Versions seen that had no part in it.
    more : mapping
        Further details of its record.
    """

    params: CanaryRolloutParams
    mode: Mode
    lock: Lock
    exchanges: tuple[Exchange, ...]
    aborted: str
    started: str
    finished: str
    foreign: str
    more: Mapping[str, Any]

    @property
    def planned(self) -> tuple[str, ...]:
        """Names of the phases."""
        return phase_names(self.params)


def phase_names(params: CanaryRolloutParams) -> tuple[str, ...]:
    """``"5%"`` and so on."""
    return tuple(f"{percent:g}%" for percent in params.rollout.phases)


def measure(ran: Ran) -> RolloutFacts:
    """Count and measure every phase, and judge from the first request on."""
    policy = policy_of(ran.params.run)
    delta, limits = match_delta_of(policy), judge_limits(policy)
    phases: dict[str, Summary] = {}
    for name in ran.planned:
        items = [item for item in ran.exchanges if item.test == name]
        if items:
            phases[name] = summarise(traffic_of(items, ran.mode), match_delta=delta)
    whole = traffic_of(ran.exchanges, ran.mode)
    questions = questions_of(whole, limits, match_delta=delta)
    scores = None if ran.mode == "live" else score_limit(ran.params, ran.lock, policy)
    versions = {item.shadow_version for item in ran.exchanges} - {""}
    if ran.foreign:
        versions |= {ran.lock.candidate, *ran.foreign.split(", ")}
    return RolloutFacts(
        mode=ran.mode,
        champion=ran.lock.champion,
        candidate=ran.lock.candidate,
        planned=ran.planned,
        aborted=ran.aborted,
        phases=phases,
        versions=tuple(sorted(versions)),
        judgement=judge_traffic(
            questions,
            len(whole),
            level=limits.level,
            beside={SCORE_PSI: score_path(whole, scores)} if scores else {},
        ),
        scores=_psi_metric(whole, scores),
        more={
            "lock": asdict(ran.lock),
            "latency": "inside the server",
            "unscored": unscored(ran.exchanges),
            **ran.more,
        },
    )


def score_limit(params: CanaryRolloutParams, lock: Lock, policy: Policy) -> ScoreLimit | None:
    """The champion's frozen score bins and the policy's PSI; None for one without a reference."""
    folder = home_of(params.run).models / lock.champion
    try:
        bins = load_reference(folder).features[SCORE].bins
    except (ArtifactError, KeyError):
        return None
    return ScoreLimit(bins.edges, float(policy.limit("canary_abort.prediction_psi").value))


def _psi_metric(traffic: Traffic, limit: ScoreLimit | None) -> Metric:
    if limit is None:
        return null("prediction_psi", "a split has no two scores, or the champion no reference")
    value, n_rows = score_psi(traffic, limit)
    if not n_rows:
        return null("prediction_psi", "nothing was compared")
    said = "the candidate's scores beside the champion's on the same rows, its bins"
    return Metric("prediction_psi", value, n=n_rows, definition=said)


def record(facts: RolloutFacts, ran: Ran, clock: Clock) -> tuple[Record, ...]:
    """Keep the requests beside other traffic, and write the evidence about them.

    A live rollout takes its agreement from the observing one before it, where there is one about
    the same digests that is no older than evidence of agreement may be.
    """
    path = _write_traffic(ran)
    source = Input(
        role="traffic",
        uri=Path(*path.parts[-2:]).as_posix(),
        sha256=digest_file(path),
        rows=len(ran.exchanges),
        time_min=ran.started,
        time_max=ran.finished,
    )
    shared = context(
        "canary_rollout",
        ran.params,
        clock,
        version=ran.lock.candidate,
        origin="live",
        inputs=[source],
    )
    store, made = store_of(ran.params.run), rollout_record(facts, shared)
    if ran.mode == "live":
        policy = policy_of(ran.params.run)
        oldest = clock.now() - timedelta(hours=policy.limit("canary.match_rate").max_age_h)
        before = observed_before(store.records("canary_run"), asdict(ran.lock), oldest=oldest)
        if before is not None:
            e_value = float(policy.limit("canary.e_value").value)
            made = with_agreement(made, before, e_value=e_value)
    return write_all(store, [made])


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the gate canary."""
    return judge_gates(("canary",), records, policy, clock)


def _write_traffic(ran: Ran) -> Path:
    stamp = ran.started[:19].replace("-", "").replace(":", "")
    folder = home_of(ran.params.run).artifacts / "traffic"
    path = folder / f"{ran.lock.candidate}.live.{stamp}Z.jsonl"
    header = TrafficHeader(
        champion=ran.lock.champion,
        candidate=ran.lock.candidate,
        market="",
        market_origin="live",
        cold=False,
        phases=ran.planned,
        aborted=ran.aborted,
        started=ran.started,
        finished=ran.finished,
    )
    write_log(path, header, ran.exchanges)
    return path
