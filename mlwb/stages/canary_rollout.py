"""Whenever one likes: a candidate takes its part of a running server's traffic, phase by phase.

The server says what it did in its logs and counters; this stage makes requests of them, decides
nothing itself and sends nothing. Everything is read again from the same lines after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

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
from mlwb.drift import SCORE
from mlwb.evidence import Input, Metric, Record
from mlwb.gates import Verdict
from mlwb.inference import load_reference
from mlwb.params import CanaryRolloutParams, Policy
from mlwb.stages._rollout_agreement import observed_before, with_agreement
from mlwb.stages._rollout_answers import Answers, Lock, Mode, Observed, failures, unscored
from mlwb.stages._rollout_records import RolloutFacts, rollout_record
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
