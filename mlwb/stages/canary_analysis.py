"""Stage 04: what the traffic showed, from its log alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlwb.canary import (
    AbortLimits,
    Judgement,
    Summary,
    abort_reason,
    questions_of,
    summarise,
)
from mlwb.canary import judge as judge_traffic
from mlwb.core.arrays import Float1D
from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock, SystemClock, parse_utc
from mlwb.core.errors import EvidenceSchemaError
from mlwb.evidence import Context, Input, Metric, Record, new_record, rate
from mlwb.gates import Verdict
from mlwb.params import CanaryAnalysisParams, Policy
from mlwb.registry import Registry
from mlwb.stages._rollout_records import RolloutFacts, latency_metrics, rollout_record
from mlwb.stages._served import served_record
from mlwb.stages._served_result import Served
from mlwb.stages._traffic_limits import abort_limits, judge_limits
from mlwb.stages._traffic_log import (
    SHADOW,
    SMOKE,
    TrafficHeader,
    TrafficLog,
    agrees,
    read_log,
    to_traffic,
)
from mlwb.stages._traffic_metrics import shadow_metrics, share
from mlwb.stages.common import (
    candidate_of,
    context,
    home_of,
    judge_gates,
    match_delta_of,
    policy_of,
    store_of,
    traffic_path,
    write_all,
)

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run"]

GATES = ("perf", "shadow", "canary")


@dataclass(frozen=True)
class Inputs:
    """What the analysis reads.

    Parameters
    ----------
    params : CanaryAnalysisParams
        As loaded.
    version : str
        Candidate under judgement.
    log : TrafficLog
        The recorded traffic.
    source : Input
        The log file.
    """

    params: CanaryAnalysisParams
    version: str
    log: TrafficLog
    source: Input


@dataclass(frozen=True)
class Result:
    """What the traffic amounts to.

    Parameters
    ----------
    inputs : Inputs
        What was read.
    smoke, shadow : Summary
        The two tests before the canary.
    phases : mapping of str to Summary
        Each phase that was reached.
    versions : tuple of str
        Candidate versions seen in answers, which the version lock wants to be one: who answered
        the smoke test, and who answered in the shadow.
    smoke_versions : tuple of str
        Versions that answered the smoke test.
    score_mismatches : int
        Smoke answers that differ from the score computed offline.
    seconds : float
        Length of the traffic.
    match_delta : float
        Difference of two scores that still counts as agreement, from the policy.
    judgement : Judgement
        What the phases amount to, had one looked after every request.
    fixed : str
        Why plain numbers, looked at once at the end of each phase, would have stopped it; empty
        where they would not.
    """

    inputs: Inputs
    smoke: Summary
    shadow: Summary
    phases: dict[str, Summary]
    versions: tuple[str, ...]
    smoke_versions: tuple[str, ...]
    score_mismatches: int
    seconds: float
    match_delta: float
    judgement: Judgement
    fixed: str

    @property
    def latencies(self) -> dict[str, Float1D]:
        """Client latency of every test and phase, ms."""
        log = self.inputs.log
        return {name: log.traffic(name).latency_ms for name in (SMOKE, SHADOW, *self.phases)}

    @property
    def scores(self) -> tuple[Float1D, Float1D]:
        """Champion and candidate scores of every compared request."""
        found = to_traffic([item for item in self.inputs.log.exchanges if item.shadowed])
        both = np.isfinite(found.score) & np.isfinite(found.shadow_score)
        return found.score[both], found.shadow_score[both]


def load(params: CanaryAnalysisParams) -> Inputs:
    """Read the newest traffic log about the candidate.

    Raises
    ------
    EvidenceMissingError
        No candidate, or no traffic yet.
    EvidenceSchemaError
        The log is about another version, or was cut.
    """
    home = home_of(params.run)
    version = candidate_of(params.run, Registry(home.models, clock=SystemClock()))
    path = traffic_path(home, version)
    log = read_log(path)
    if log.header.candidate != version:
        raise EvidenceSchemaError(
            "the traffic is about another model", expected=version, got=log.header.candidate
        )
    source = Input(
        role="traffic",
        uri=Path(*path.parts[-2:]).as_posix(),
        sha256=digest_file(path),
        rows=len(log.exchanges),
        time_min=log.header.started,
        time_max=log.header.finished,
    )
    return Inputs(params, version, log, source)


def measure(inputs: Inputs) -> Result:
    """Count and measure every test and phase."""
    log, policy = inputs.log, policy_of(inputs.params.run)
    delta, limits = match_delta_of(policy), judge_limits(policy)
    rollout = to_traffic([item for name in log.header.phases for item in log.of(name)])
    phases = {
        name: summarise(log.traffic(name), match_delta=delta)
        for name in log.header.phases
        if log.of(name)
    }
    wrong = [item for item in log.of(SMOKE) if item.status == 200 and not agrees(item)]
    answered = {item.version for item in log.of(SMOKE)} - {""}
    started, finished = parse_utc(log.header.started), parse_utc(log.header.finished)
    return Result(
        inputs=inputs,
        smoke=summarise(log.traffic(SMOKE), match_delta=delta),
        shadow=summarise(log.traffic(SHADOW), match_delta=delta),
        phases=phases,
        versions=tuple(sorted(answered | {i.shadow_version for i in log.exchanges} - {""})),
        smoke_versions=tuple(sorted(answered)),
        score_mismatches=len(wrong),
        seconds=(finished - started).total_seconds(),
        match_delta=delta,
        judgement=judge_traffic(
            questions_of(rollout, limits, match_delta=delta), len(rollout), level=limits.level
        ),
        fixed=_fixed(phases, abort_limits(policy)),
    )


def _fixed(phases: Mapping[str, Summary], limits: AbortLimits) -> str:
    reasons = ((name, abort_reason(found, limits)) for name, found in phases.items())
    return next((f"{name}: {reason}" for name, reason in reasons if reason), "")


def record(result: Result, params: CanaryAnalysisParams, clock: Clock) -> tuple[Record, ...]:
    """Write smoke, shadow and canary run."""
    inputs, header = result.inputs, result.inputs.log.header
    shared = context(
        "canary_analysis",
        params,
        clock,
        version=inputs.version,
        origin=header.market_origin,
        inputs=[inputs.source],
    )
    details = smoke_details(header, result.smoke_versions)
    return write_all(
        store_of(params.run),
        [
            new_record(
                "smoke",
                smoke_metrics(result.smoke, result.score_mismatches),
                shared,
                details=details,
            ),
            new_record(
                "shadow",
                shadow_metrics(result.shadow, covered_s=result.seconds),
                shared,
                details=details,
            ),
            *_served(header.served, shared),
            _canary(result, shared),
        ],
    )


def _served(found: Served | None, shared: Context) -> list[Record]:
    """None where nothing could be compared: what is missing blocks, what says nothing might not."""
    return [served_record(found, shared)] if found and found.values else []


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the gates perf, shadow and canary."""
    return judge_gates(GATES, records, policy, clock)


def run(params: CanaryAnalysisParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    return judge(record(measure(load(params)), params, clock), policy, clock)


def smoke_details(header: TrafficHeader, versions: tuple[str, ...]) -> dict[str, Any]:
    """Who was asked, who answered, and whether each request had a connection of its own."""
    return {
        "champion": header.champion,
        "candidate": header.candidate,
        "smoke_answered_by": versions,
        "cold": header.cold,
    }


def smoke_metrics(found: Summary, score_mismatches: int) -> list[Metric]:
    """The numbers of a smoke test, whoever ran it."""
    n = found.n_requests
    return [
        Metric("requests", n),
        share("error_rate", found.n_errors, n),
        share("success_rate", n - found.n_errors, n),
        *latency_metrics(found),
        rate("score_mismatches", score_mismatches, n, definition="served against offline"),
    ]


def _canary(result: Result, shared: Context) -> Record:
    header = result.inputs.log.header
    found = RolloutFacts(
        mode="observe_only",
        champion=header.champion,
        candidate=header.candidate,
        planned=header.phases,
        aborted=header.aborted,
        phases=result.phases,
        versions=result.versions,
        judgement=result.judgement,
    )
    return rollout_record(found, shared)
