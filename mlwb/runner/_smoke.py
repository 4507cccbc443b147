"""A server smoked, one started for it or one that runs: ``mlwb smoke``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from mlwb.client import PredictClient
from mlwb.core.clock import Clock
from mlwb.core.errors import ArtifactNotFoundError
from mlwb.core.home import Home
from mlwb.gates import holds
from mlwb.params import Policy, ReplayParams
from mlwb.registry import Registry
from mlwb.runner._server import server_process
from mlwb.stages import replay, smoke
from mlwb.stages.smoke import Result, Target

__all__ = ["SmokeOptions", "smoke_run"]

# The files of the home are those of the server that runs for real.
_KEEPS_NOTHING = dict.fromkeys(
    ("MLWB_PREDICTION_LOG", "MLWB_DRIFT_DIR", "MLWB_OBSERVE_DIR", "MLWB_FEATURE_LOG"), "off"
)
LIMITS = ("perf.p95_ms", "perf.error_rate")


@dataclass(frozen=True)
class SmokeOptions:
    """Who is smoked, and how.

    Parameters
    ----------
    cold : bool, default=False
        A new connection for every request.
    version : str, default=""
        What a server of its own serves; empty is `latest`.
    url : str, default=""
        A server that runs; empty starts one of its own.
    api_key : str, default=""
        For a server that asks for one.
    keeps : bool, default=True
        Write the evidence.
    tolerance : float, default=0.01
        Difference of a counter, per request, that is none.
    """

    cold: bool = False
    version: str = ""
    url: str = ""
    api_key: str = field(default="", repr=False)
    keeps: bool = True
    tolerance: float = 0.01


def smoke_run(
    home: Home,
    params: ReplayParams,
    options: SmokeOptions,
    *,
    policy: Policy,
    clock: Clock,
    progress: replay.Progress | None = None,
) -> dict[str, Any]:
    """Send the smoke requests, record what came back, compare it with the test before.

    Parameters
    ----------
    home : Home
        Whose versions are known and served.
    params : ReplayParams
        Market and number of requests.
    options : SmokeOptions
        Who is smoked, and how.
    policy : Policy
        Holds the limits the result is compared with.
    clock : Clock
        Stamps the result.
    progress : callable, optional
        Called with test, sent and planned requests.

    Returns
    -------
    dict
        Counts, latencies in ms, whether they are within the limits, the records written, and what
        the server's metrics show otherwise than at the test before.

    Raises
    ------
    ArtifactNotFoundError
        The registry has no `latest`, or not the version that answers: nothing to compare with.
    ServerStartError
        The server did not come up.
    ServeError
        The one that runs does not answer.
    """
    registry = Registry(home.models, clock=clock)
    with _server(home, options) as (target, version):
        if version not in registry.versions():
            raise ArtifactNotFoundError(
                "the version that answers is not in this registry", got=version or "none"
            )
        where = replace(params.run, home=str(home.root), model_version=version)
        given = replace(params, run=where)
        result = smoke.measure(replay.load(given), target, policy, clock, progress=progress)
    before = smoke.baseline_before(given, target)
    written = smoke.record(result, given, clock) if options.keeps else ()
    return {
        **_summary(result, policy),
        "at": clock.now().isoformat(),
        "version": version,
        "records": [record.run_id for record in written],
        "baseline": None if before is None else before.run_id,
        "differences": []
        if before is None
        else smoke.changes(before, result, tolerance=options.tolerance),
    }


@contextmanager
def _server(home: Home, options: SmokeOptions) -> Iterator[tuple[Target, str]]:
    """Whom to ask, and the version that answers."""
    if options.url:
        with PredictClient(options.url, api_key=options.api_key, timeout_s=5.0) as client:
            version = str(client.model_info().get("model_version", ""))
        yield Target(options.url, options.api_key, options.cold, is_own=False), version
        return
    champion = {"MLWB_CHAMPION": options.version} if options.version else {}
    with server_process(home, environ={**_KEEPS_NOTHING, **champion}) as server:
        yield Target(server.base_url, "", options.cold, is_own=True), server.version


def _summary(result: Result, policy: Policy) -> dict[str, Any]:
    found = result.found
    rate = found.n_errors / found.n_requests
    measured = {"perf.p95_ms": found.p95_ms, "perf.error_rate": rate}
    broken = [
        f"{name} = {measured[name]:.4g}, must be {limit.comparator} {limit.value}"
        for name, limit in ((name, policy.limit(name)) for name in LIMITS)
        if not holds(measured[name], limit.comparator, limit.value)
    ]
    return {
        "cold": result.target.is_cold,
        "requests": found.n_requests,
        "errors": found.n_errors,
        "p50_ms": found.p50_ms,
        "p95_ms": found.p95_ms,
        "p99_ms": found.p99_ms,
        "max_ms": found.max_ms,
        "score_mismatches": result.score_mismatches,
        "series": len(result.metrics.values),
        "pass": not broken,
        "reason": "; ".join(broken),
    }
