"""``mlwb smoke``: requests from held-out bars to a server, and its metrics before and after.

The record of the test is the one that stage 04 writes; beside it stands what the server's metrics
made of the same requests, so that a later test can be held against this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mlwb.canary import Summary, summarise
from mlwb.client import PredictClient
from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock, format_utc
from mlwb.core.home import Home
from mlwb.evidence import Input, Metric, Record, new_record
from mlwb.params import Policy, ReplayParams
from mlwb.stages import replay
from mlwb.stages._series import Snapshot, differences, parse_metrics
from mlwb.stages._traffic_log import SMOKE, Exchange, TrafficHeader, write_log
from mlwb.stages.canary_analysis import smoke_details, smoke_metrics
from mlwb.stages.common import context, home_of, match_delta_of, store_of, write_all
from mlwb.stages.market import market_origin

__all__ = ["BASELINE", "Result", "Target", "baseline_before", "changes", "measure", "record"]

BASELINE = "metrics_baseline"


@dataclass(frozen=True)
class Target:
    """Who is asked, and how.

    Parameters
    ----------
    base_url : str
        Address.
    api_key : str
        Of a caller who may predict and read; empty where none is asked for.
    is_cold : bool
        A new connection for every request.
    is_own : bool
        The server was started for this test alone.
    """

    base_url: str
    api_key: str = field(repr=False)
    is_cold: bool
    is_own: bool


@dataclass(frozen=True)
class Result:
    """What came back.

    Parameters
    ----------
    inputs : replay.Inputs
        What was sent.
    target : Target
        To whom.
    exchanges : tuple of Exchange
        Each request that counts; those that warm up do not.
    found : Summary
        Counts and latencies of them.
    metrics : Snapshot
        What the server's metrics have grown by, the warming up included.
    started, finished : str
        UTC.
    """

    inputs: replay.Inputs
    target: Target
    exchanges: tuple[Exchange, ...]
    found: Summary
    metrics: Snapshot
    started: str
    finished: str

    @property
    def score_mismatches(self) -> int:
        """Answers that differ from the score computed offline."""
        return sum(item.status == 200 and not replay.agrees(item) for item in self.exchanges)

    @property
    def versions(self) -> tuple[str, ...]:
        """Versions that answered."""
        return tuple(sorted({item.version for item in self.exchanges} - {""}))


def measure(
    inputs: replay.Inputs,
    target: Target,
    policy: Policy,
    clock: Clock,
    *,
    progress: replay.Progress | None = None,
) -> Result:
    """Read the metrics, send the requests, read the metrics again.

    Parameters
    ----------
    inputs : replay.Inputs
        What is sent.
    target : Target
        To whom.
    policy : Policy
        What counts as agreement.
    clock : Clock
        Stamps the result.
    progress : callable, optional
        Called with test, sent and planned requests.

    Raises
    ------
    ServeError
        The server does not show its metrics.
    EvidenceSchemaError
        What it shows are none.
    """
    timeout_s = inputs.params.traffic.timeout_ms / 1e3
    started = format_utc(clock.now())
    with PredictClient(target.base_url, api_key=target.api_key, timeout_s=timeout_s) as client:
        before = parse_metrics(client.metrics())
        exchanges = replay.smoke(
            inputs,
            target.base_url,
            cold=target.is_cold,
            api_key=target.api_key,
            progress=progress,
        )
        after = parse_metrics(client.metrics())
    return Result(
        inputs=inputs,
        target=target,
        exchanges=tuple(exchanges),
        found=summarise(replay.to_traffic(exchanges), match_delta=match_delta_of(policy)),
        metrics=after.since(before),
        started=started,
        finished=format_utc(clock.now()),
    )


def record(result: Result, params: ReplayParams, clock: Clock) -> tuple[Record, ...]:
    """Write the log of the requests, the smoke test and the metrics baseline."""
    inputs, header = result.inputs, _header(result)
    path = _log_path(home_of(params.run), inputs.candidate)
    write_log(path, header, result.exchanges)
    source = Input(
        role="traffic",
        uri=Path(*path.parts[-2:]).as_posix(),
        sha256=digest_file(path),
        rows=len(result.exchanges),
        time_min=header.started,
        time_max=header.finished,
    )
    shared = context(
        SMOKE,
        params,
        clock,
        version=inputs.candidate,
        origin=header.market_origin,
        inputs=[source],
    )
    smoke_test = new_record(
        SMOKE,
        smoke_metrics(result.found, result.score_mismatches),
        shared,
        details=smoke_details(header, result.versions),
    )
    counts = [
        Metric("series", len(result.metrics.values)),
        Metric("families", len(result.metrics.kinds)),
    ]
    how = {"cold": result.target.is_cold, "own_server": result.target.is_own}
    baseline = new_record(BASELINE, counts, shared, details={**how, **result.metrics.details()})
    return write_all(store_of(params.run), [smoke_test, baseline])


def baseline_before(params: ReplayParams, target: Target) -> Record | None:
    """The newest baseline of a test of the same kind: cold or warm, own server or running one."""
    store = store_of(params.run)
    for entry in reversed(store.index()):
        if entry.kind == BASELINE:
            found = store.read(entry.run_id)
            how = (found.details["cold"], found.details["own_server"])
            if how == (target.is_cold, target.is_own):
                return found
    return None


def changes(before: Record, result: Result, *, tolerance: float) -> list[str]:
    """What the server's metrics show otherwise than in an earlier baseline."""
    then = Snapshot.from_details(before.details)
    return differences(then, result.metrics, tolerance=tolerance)


def _header(result: Result) -> TrafficHeader:
    inputs = result.inputs
    return TrafficHeader(
        champion=inputs.champion,
        candidate=inputs.candidate,
        market=inputs.prepared.market.symbol,
        market_origin=market_origin(inputs.prepared),
        cold=result.target.is_cold,
        phases=(),
        aborted="",
        started=result.started,
        finished=result.finished,
    )


def _log_path(home: Home, version: str) -> Path:
    return home.artifacts / "traffic" / f"{version}.smoke.jsonl"
