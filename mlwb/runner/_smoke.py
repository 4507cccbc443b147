"""A server started, smoked and stopped: ``mlwb smoke``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlwb.canary import summarise
from mlwb.core.clock import Clock
from mlwb.core.home import Home
from mlwb.gates import holds
from mlwb.params import Policy, ReplayParams, RunParams
from mlwb.registry import Registry
from mlwb.runner._server import server_process
from mlwb.stages import replay
from mlwb.stages.common import match_delta_of

__all__ = ["smoke_run"]

_KEEPS_NOTHING = dict.fromkeys(
    ("MLWB_PREDICTION_LOG", "MLWB_DRIFT_DIR", "MLWB_OBSERVE_DIR", "MLWB_FEATURE_LOG"), "off"
)
LIMITS = ("perf.p95_ms", "perf.error_rate")


def smoke_run(
    home: Home, params: ReplayParams, *, policy: Policy, cold: bool, clock: Clock
) -> dict[str, Any]:
    """Send the smoke requests to a server of its own.

    Parameters
    ----------
    home : Home
        Whose `latest` is served.
    params : ReplayParams
        Market and number of requests.
    policy : Policy
        Holds the limits the result is compared with.
    cold : bool
        A new connection for every request.
    clock : Clock
        Stamps the result.

    Returns
    -------
    dict
        Counts, latencies in ms, and whether they are within the limits.
    """
    latest = Registry(home.models, clock=clock).latest() or ""
    where = RunParams(home=str(home.root), model_version=latest, policy=policy.name, token="")
    inputs = replay.load(replace(params, run=where))
    with server_process(home, environ=_KEEPS_NOTHING) as server:
        exchanges = replay.smoke(inputs, server.base_url, cold=cold)
        version = server.version
    found = summarise(replay.to_traffic(exchanges), match_delta=match_delta_of(policy))
    rate = found.n_errors / found.n_requests
    measured = {"perf.p95_ms": found.p95_ms, "perf.error_rate": rate}
    broken = [
        f"{name} = {measured[name]:.4g}, must be {limit.comparator} {limit.value}"
        for name, limit in ((name, policy.limit(name)) for name in LIMITS)
        if not holds(measured[name], limit.comparator, limit.value)
    ]
    return {
        "at": clock.now().isoformat(),
        "version": version,
        "cold": cold,
        "requests": found.n_requests,
        "errors": found.n_errors,
        "p50_ms": found.p50_ms,
        "p95_ms": found.p95_ms,
        "p99_ms": found.p99_ms,
        "max_ms": found.max_ms,
        "score_mismatches": sum(
            not replay.agrees(item) for item in exchanges if item.status == 200
        ),
        "pass": not broken,
        "reason": "; ".join(broken),
    }
