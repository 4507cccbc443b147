"""A rollout rehearsed: what would be ordered, when, and how long the traffic takes for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from mlwb.core.clock import Clock
from mlwb.core.logtail import LogTail
from mlwb.core.predictionlog import REPLAYED, parse_line
from mlwb.evidence import Metric, Record, new_record
from mlwb.params import CanaryRolloutParams
from mlwb.stages._served_lines import prediction_log
from mlwb.stages.canary_rollout import Lock, Mode, phase_names
from mlwb.stages.common import context, home_of, store_of, write_all

__all__ = ["Rehearsed", "Walked", "measure", "record"]

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Walked:
    """One phase as it would be.

    Parameters
    ----------
    name : str
        ``"5%"``.
    percent : float
        Share that would be ordered.
    expected_s : float
        How long it would last at the rate of the last hour, seconds.
    expected : int
        Requests that the candidate would be asked by then.
    ends : str
        ``evidence``, ``time`` or, where too little comes in time, ``abort``.
    """

    name: str
    percent: float
    expected_s: float
    expected: int
    ends: str


@dataclass(frozen=True)
class Rehearsed:
    """A rehearsal.

    Parameters
    ----------
    mode : {"observe_only", "live"}
        Of the rollout that was rehearsed.
    lock : Lock
        What it would be about.
    n_requests : int
        Rows that the server answered in the last hour.
    phases : tuple of Walked
        In order.
    """

    mode: Mode
    lock: Lock
    n_requests: int
    phases: tuple[Walked, ...]


def measure(params: CanaryRolloutParams, lock: Lock, mode: Mode, *, clock: Clock) -> Rehearsed:
    """Walk through the phases with the traffic of the last hour; nothing is ordered.

    Parameters
    ----------
    params : CanaryRolloutParams
        Phases and times.
    lock : Lock
        What a rollout would be about.
    mode : {"observe_only", "live"}
        Whether the candidate would answer.
    clock : Clock
        Says which hour is the last.
    """
    rollout, since = params.rollout, clock.now() - _HOUR
    usual = prediction_log(home_of(params.run))
    path = Path(rollout.prediction_log) if rollout.prediction_log else usual
    n = sum(
        line.ts >= since and not line.request_id.startswith(REPLAYED)
        for line in LogTail(path, parse_line).new()
    )
    rate = n / _HOUR.total_seconds()
    names = phase_names(params)
    walked = tuple(
        _walk(name, percent, rate, params)
        for name, percent in zip(names, rollout.phases, strict=True)
    )
    return Rehearsed(mode, lock, n, walked)


def _walk(name: str, percent: float, rate: float, params: CanaryRolloutParams) -> Walked:
    rollout = params.rollout
    asked_s = rate * percent / 100.0
    if rollout.by == "duration":
        return Walked(name, percent, rollout.least_s, int(asked_s * rollout.least_s), "time")
    wanted_s = rollout.observed_per_phase / asked_s if asked_s else math.inf
    lasts_s = min(max(wanted_s, rollout.least_s), rollout.most_s)
    ends = "abort" if wanted_s > rollout.most_s else "evidence"
    return Walked(name, percent, lasts_s, int(asked_s * lasts_s), ends)


def record(found: Rehearsed, params: CanaryRolloutParams, clock: Clock) -> tuple[Record, ...]:
    """Write the evidence of kind ``canary_dryrun``; it says nothing about the candidate."""
    shared = context("canary_rollout", params, clock, version=found.lock.candidate, origin="live")
    metrics = [Metric("requests_1h", found.n_requests, deterministic=False)]
    metrics += [
        Metric("expected_s", phase.expected_s, unit="s", segment=phase.name, deterministic=False)
        for phase in found.phases
    ]
    details = {
        "mode": "dry_run",
        "rehearsed": found.mode,
        "lock": asdict(found.lock),
        "phases": _plain(found.phases),
    }
    return write_all(
        store_of(params.run), [new_record("canary_dryrun", metrics, shared, details=details)]
    )


def _plain(phases: Sequence[Walked]) -> list[dict[str, object]]:
    return [
        {"name": item.name, "percent": item.percent, "expected": item.expected, "ends": item.ends}
        for item in phases
    ]
