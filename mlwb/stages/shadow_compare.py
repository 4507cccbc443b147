"""Whenever one likes: what a server's shadow log says about the candidate.

It reads what the server wrote, across the files set aside, and never the server itself. Rows of
the day count as live; rows that were replayed into the server are told by their ids and left out,
and any log but the server's own counts as a replay.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from mlwb.canary import Summary, Traffic, shadow_traffic, summarise
from mlwb.core.clock import Clock, SystemClock, format_utc
from mlwb.core.errors import EvidenceMissingError
from mlwb.core.predictionlog import (
    REPLAYED,
    PredictionLine,
    ShadowOutcome,
    encode_line,
    read_all_predictions,
)
from mlwb.evidence import Input, Record, new_record
from mlwb.gates import Verdict
from mlwb.monitor import coverage
from mlwb.params import Policy, ShadowCompareParams
from mlwb.registry import Registry
from mlwb.stages._served_lines import shadow_log
from mlwb.stages._traffic_metrics import shadow_metrics
from mlwb.stages.common import (
    candidate_of,
    context,
    home_of,
    judge_gates,
    match_delta_of,
    policy_of,
    store_of,
    write_all,
)

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run", "to_record"]

GATES = ("shadow",)


@dataclass(frozen=True)
class Inputs:
    """The comparisons of one pair of versions.

    Parameters
    ----------
    params : ShadowCompareParams
        As loaded.
    champion, candidate : str
        Versions.
    lines : tuple of PredictionLine
        In the order written, each with the candidate's side.
    source : Input
        The log, with the digest of these lines.
    origin : str
        ``live`` or ``replay``.
    left_out : mapping of str to int
        Lines of the log that are not among them, by reason.
    """

    params: ShadowCompareParams
    champion: str
    candidate: str
    lines: tuple[PredictionLine, ...]
    source: Input
    origin: str
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Result:
    """What the comparisons amount to.

    Parameters
    ----------
    inputs : Inputs
        What was read.
    summary : Summary
        Counts, differences, latencies; client latencies are the champion's inside the server.
    traffic : Traffic
        The rows behind it.
    errors : mapping of str to int
        Rows the candidate did not score, by the word of the log.
    covered_s : float
        Length of the newest stretch in which the candidate was never silent for long.
    match_delta : float
        Difference of two scores that still counts as agreement, from the policy.
    """

    inputs: Inputs
    summary: Summary
    traffic: Traffic
    errors: Mapping[str, int]
    covered_s: float
    match_delta: float

    @property
    def champion(self) -> str:
        """Version that answered."""
        return self.inputs.champion

    @property
    def candidate(self) -> str:
        """Version that was compared."""
        return self.inputs.candidate


def load(params: ShadowCompareParams, clock: Clock) -> Inputs:
    """Read the log; what is older than evidence may be is left out.

    Raises
    ------
    EvidenceMissingError
        There is no candidate, or the log has no comparison with it.
    EvidenceSchemaError
        A line of the log cannot be read.
    """
    home = home_of(params.run)
    candidate = candidate_of(params.run, Registry(home.models, clock=SystemClock()))
    own = shadow_log(home)
    path = Path(params.shadow.log).resolve() if params.shadow.log else own
    is_live = path == own.resolve()
    limit = policy_of(params.run).limit("shadow.covered_h")
    oldest = clock.now() - timedelta(hours=limit.max_age_h)
    lines, left_out = _chosen(read_all_predictions(path), candidate, oldest if is_live else None)
    champion = params.shadow.champion or (lines[-1].model_version if lines else "")
    kept = tuple(line for line in lines if line.model_version == champion)
    left_out["another champion"] = len(lines) - len(kept)
    if not kept:
        raise EvidenceMissingError(
            f"no row was compared with {candidate}",
            expected=f"lines in {path}",
            got=", ".join(f"{n} {why}" for why, n in left_out.items() if n) or "none",
            todo="send requests to /ml/predict-with-shadow, or rows of a file: mlwb shadow run",
        )
    return Inputs(
        params=params,
        champion=champion,
        candidate=candidate,
        lines=kept,
        source=_source(path, kept),
        origin="live" if is_live else "replay",
        left_out={why: n for why, n in left_out.items() if n},
    )


def measure(inputs: Inputs) -> Result:
    """Count and measure; heartbeats are the rows the candidate scored."""
    policy = policy_of(inputs.params.run)
    traffic, delta = shadow_traffic(inputs.lines), match_delta_of(policy)
    sides = [(line, line.shadow) for line in inputs.lines if line.shadow is not None]
    beats = [line.ts.timestamp() for line, side in sides if side.score is not None]
    gap_s = float(str(policy.gates["shadow"].settings["max_gap_s"]))
    return Result(
        inputs=inputs,
        summary=summarise(traffic, match_delta=delta),
        traffic=traffic,
        errors=Counter(side.error or "no score" for _, side in sides if side.score is None),
        covered_s=_covered_s(beats, gap_s),
        match_delta=delta,
    )


def _covered_s(beats: Sequence[float], max_gap_s: float) -> int:
    """Length of the newest stretch, up to its last beat: a log says nothing of what follows it."""
    seconds = np.unique(np.array(beats, dtype=np.int64))
    if not len(seconds):
        return 0
    first, last = int(seconds[0]), int(seconds[-1])
    return coverage(seconds, first_s=first, last_s=last, max_gap_s=max_gap_s).covered_s


def to_record(result: Result, params: ShadowCompareParams, clock: Clock) -> Record:
    """The evidence of kind ``shadow``; nothing is written."""
    inputs = result.inputs
    shared = context(
        "shadow_compare",
        params,
        clock,
        version=inputs.candidate,
        origin=inputs.origin,
        inputs=[inputs.source],
    )
    details = {
        "champion": inputs.champion,
        "candidate": inputs.candidate,
        "errors": dict(result.errors),
        "left_out": dict(inputs.left_out),
    }
    metrics = shadow_metrics(result.summary, covered_s=result.covered_s)
    return new_record("shadow", metrics, shared, details=details)


def record(result: Result, params: ShadowCompareParams, clock: Clock) -> tuple[Record, ...]:
    """Write the evidence."""
    return write_all(store_of(params.run), [to_record(result, params, clock)])


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the gate shadow."""
    return judge_gates(GATES, records, policy, clock)


def run(params: ShadowCompareParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    return judge(record(measure(load(params, clock)), params, clock), policy, clock)


def _chosen(
    lines: Iterable[PredictionLine], candidate: str, oldest: datetime | None
) -> tuple[list[PredictionLine], dict[str, int]]:
    """Lines about a candidate, and how many others by reason; of a live log, rows of the time."""
    kept: list[PredictionLine] = []
    left_out = {"about another candidate": 0, "replayed": 0, "too old": 0}
    for line in lines:
        side = line.shadow or ShadowOutcome("")
        if side.version != candidate:
            left_out["about another candidate"] += 1
        elif oldest is not None and line.request_id.startswith(REPLAYED):
            left_out["replayed"] += 1
        elif oldest is not None and line.ts < oldest:
            left_out["too old"] += 1
        else:
            kept.append(line)
    return kept, left_out


def _source(path: Path, lines: Sequence[PredictionLine]) -> Input:
    """The log by the bytes of the lines that were compared: the file itself goes on growing."""
    digest, stamps = hashlib.sha256(), [line.ts for line in lines]
    for line in lines:
        digest.update(encode_line(line))
    return Input(
        role="shadow_log",
        uri=Path(*path.parts[-2:]).as_posix(),
        sha256=f"sha256:{digest.hexdigest()}",
        rows=len(lines),
        time_min=format_utc(min(stamps)),
        time_max=format_utc(max(stamps)),
    )
