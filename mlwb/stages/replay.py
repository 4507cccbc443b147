"""Between 03 and 04: held-out bars sent to a running server over HTTP, every exchange logged.

It sends and writes down; what the traffic means is stage 04's work. The server is somebody else's
process: the only thing known about it is its address.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from mlwb.canary import (
    Phase,
    RolloutWatch,
    abort_reason,
    plan,
    summarise,
)
from mlwb.client import PredictClient
from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import EmptyWindowError, ServeError
from mlwb.core.featurelog import read_features
from mlwb.inference import Predictor, Sidecar
from mlwb.params import Policy, ReplayParams
from mlwb.stages._exchange import exchange
from mlwb.stages._served import OBSERVE, bar_bodies, compare
from mlwb.stages._served_result import Served
from mlwb.stages._traffic_limits import abort_limits, judge_limits
from mlwb.stages._traffic_log import (
    SHADOW,
    SMOKE,
    Exchange,
    TrafficHeader,
    agrees,
    to_traffic,
    write_log,
)
from mlwb.stages.common import (
    candidate_of,
    home_of,
    manifest_of,
    match_delta_of,
    registry_of,
    traffic_path,
)
from mlwb.stages.market import Prepared, check_unseen, market_origin, prepare

__all__ = [
    "Inputs",
    "Progress",
    "agrees",
    "load",
    "observe",
    "run",
    "served_of",
    "smoke",
    "to_traffic",
]

PREDICT, WITH_SHADOW = "/ml/predict", "/ml/predict-with-shadow?wait=1"
_WARM_UP = 50
"""Requests sent before any is counted."""
_OBSERVED = 300
"""Held-out bars that are sent one by one: a few thousand values to compare."""
REPLAYED = "REPLAYED"
"""Name the bars go by; a market's own may not be one that a server takes."""
_LOOK_EVERY = 100
"""Requests between two looks at the abort limits."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Inputs:
    """What is sent.

    Parameters
    ----------
    params : ReplayParams
        As loaded.
    champion, candidate : str
        Versions.
    rows : ndarray of shape (n_rows, n_features), float64
        Held-out rows, in the champion's feature order.
    expected, candidate_expected : ndarray of shape (n_rows,), float64
        The champion's and the candidate's scores, computed offline.
    prepared : Prepared
        The market, whose bars are sent too.
    sidecar : Sidecar
        Of the candidate.
    """

    params: ReplayParams
    champion: str
    candidate: str
    rows: Float2D
    expected: Float1D
    candidate_expected: Float1D
    prepared: Prepared
    sidecar: Sidecar


@dataclass
class _Sender:
    """Sends rows in turn, starting over at the end."""

    client: PredictClient
    inputs: Inputs
    expected: Float1D
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        encode = msgspec.json.Encoder().encode
        bodies = [encode({"features": row}) for row in self.inputs.rows.tolist()]
        self.turn = itertools.cycle(list(zip(bodies, self.expected.tolist(), strict=True)))

    def send(self, test: str, *, shadowed: bool) -> None:
        """Send the next row and keep what came back."""
        body, expected = next(self.turn)
        try:
            reply = self.client.post_raw(WITH_SHADOW if shadowed else PREDICT, body)
        except ServeError:
            reply = (0, b"", self.inputs.params.traffic.timeout_ms)
        self.exchanges.append(exchange(test, reply, expected, shadowed=shadowed))


def load(params: ReplayParams) -> Inputs:
    """Compute the held-out rows and what the champion makes of them.

    Raises
    ------
    EvidenceMissingError
        There is no candidate.
    EmptyWindowError
        The held-out window has no complete row.
    """
    registry = registry_of(params.run)
    candidate = candidate_of(params.run, registry)
    champion = params.champion or registry.latest() or candidate
    predictor = Predictor.load(registry.resolve(champion))
    judged = Predictor.load(registry.resolve(candidate))
    prepared = prepare(params.data, predictor.sidecar.names, params.window, params.features.modules)
    for version in (champion, candidate):
        check_unseen(prepared, manifest_of(registry, version))
    kept = prepared.complete & (prepared.ts >= prepared.windows.train_end)
    rows = prepared.X[kept]
    if len(rows) == 0:
        raise EmptyWindowError("the held-out window has no row with all features")
    return Inputs(
        params=params,
        champion=champion,
        candidate=candidate,
        rows=rows,
        expected=predictor.predict(rows),
        candidate_expected=judged.predict(rows),
        prepared=prepared,
        sidecar=judged.sidecar,
    )


def run(
    inputs: Inputs,
    base_url: str,
    policy: Policy,
    *,
    smoked: Sequence[Exchange],
    clock: Clock,
    served: Served | None = None,
    unserved: str = "",
    cold: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Send shadow and canary traffic; write the log, the smoke test first.

    Parameters
    ----------
    inputs : Inputs
        What is sent.
    base_url : str
        Address of a server that serves the champion and shadows the candidate.
    policy : Policy
        When the canary stops, and what counts as agreement.
    smoked : sequence of Exchange
        What :func:`smoke` brought back from a server of the candidate's own.
    served : Served, optional
        What became of the bars that :func:`observe` sent there.
    unserved : str, default=""
        What :func:`observe` said.
    clock : Clock
        Stamps the log.
    cold : bool, default=False
        A new connection for every smoke request.
    progress : callable, optional
        Called with test, sent and planned requests.

    Returns
    -------
    Path
        The log.
    """
    traffic = inputs.params.traffic
    started = format_utc(clock.now())
    timeout_s = traffic.timeout_ms / 1e3
    exchanges = list(smoked)
    phases = plan(traffic.phases, observed=traffic.observed_per_phase)
    with PredictClient(base_url, timeout_s=timeout_s) as client:
        sender = _Sender(client, inputs, inputs.expected, exchanges)
        for sent in range(traffic.shadow_requests):
            sender.send(SHADOW, shadowed=True)
            _tell(progress, SHADOW, sent, traffic.shadow_requests)
        aborted = _canary(sender, phases, policy, progress)
    header = TrafficHeader(
        champion=_seen(exchanges[len(smoked) :], "version") or inputs.champion,
        candidate=inputs.candidate,
        market=inputs.prepared.market.symbol,
        market_origin=market_origin(inputs.prepared),
        cold=cold,
        phases=tuple(phase.name for phase in phases),
        aborted=aborted,
        started=started,
        finished=format_utc(clock.now()),
        served=served,
        unserved=unserved,
    )
    path = traffic_path(home_of(inputs.params.run), inputs.candidate)
    write_log(path, header, exchanges)
    return path


def smoke(
    inputs: Inputs,
    base_url: str,
    *,
    cold: bool,
    api_key: str = "",
    progress: Progress | None = None,
) -> list[Exchange]:
    """Send the smoke requests to a server that answers from the candidate.

    On one warm connection, or each on a cold one.
    """
    n = inputs.params.traffic.smoke_requests
    timeout_s = inputs.params.traffic.timeout_ms / 1e3
    with PredictClient(
        base_url, api_key=api_key, timeout_s=timeout_s, keep_alive=not cold
    ) as client:
        sender = _Sender(client, inputs, inputs.candidate_expected)
        for _ in range(0 if cold else _WARM_UP):
            sender.send(SMOKE, shadowed=False)
        sender = _Sender(client, inputs, inputs.candidate_expected)
        for sent in range(n):
            sender.send(SMOKE, shadowed=False)
            _tell(progress, SMOKE, sent, n)
    return sender.exchanges


def observe(inputs: Inputs, base_url: str) -> str:
    """Send bars to a server that answers from the candidate and logs what it computes.

    First the bars of the longest look-back before the held-out window, then bars of that window
    one by one.

    Returns
    -------
    str
        Why the server took them not; empty when it took all.
    """
    prepared = inputs.prepared
    longest = max(spec.lookback_s for spec in prepared.specs)
    first, begin = np.searchsorted(
        prepared.ts, [prepared.windows.train_end - longest - INTERVAL_S, prepared.windows.train_end]
    )
    bars = prepared.bars[first : begin + _OBSERVED]
    with PredictClient(base_url, timeout_s=inputs.params.traffic.timeout_ms / 1e3) as client:
        for body in bar_bodies(REPLAYED, bars, len(bars) - int(begin - first)):
            try:
                status, answer, _ = client.post_raw(OBSERVE, body)
            except ServeError as error:
                return str(error)
            if status != 200:
                return answer[:500].decode(errors="replace")
    return ""


def served_of(inputs: Inputs, log: Path) -> Served:
    """What the server logged of :func:`observe`, held against the market's features."""
    lines = read_features(log)
    return compare(lines, inputs.prepared, symbol=REPLAYED, sidecar=inputs.sidecar)


def _canary(
    sender: _Sender, phases: Sequence[Phase], policy: Policy, progress: Progress | None
) -> str:
    """Send phase after phase; why it stopped, or an empty string."""
    delta, limits = match_delta_of(policy), abort_limits(policy)
    watch = RolloutWatch(judge_limits(policy), match_delta=delta)
    seen = len(sender.exchanges)
    for phase in phases:
        begin = len(sender.exchanges)
        for sent in range(phase.n_requests):
            sender.send(phase.name, shadowed=phase.shadows(sent))
            _tell(progress, phase.name, sent, phase.n_requests)
            if (sent + 1) % _LOOK_EVERY == 0 or sent + 1 == phase.n_requests:
                so_far = summarise(to_traffic(sender.exchanges[begin:]), match_delta=delta)
                against = watch.look(to_traffic(sender.exchanges[seen:]))
                seen = len(sender.exchanges)
                if reason := abort_reason(so_far, limits) or against:
                    return f"{phase.name}: {reason}"
    return ""


def _tell(progress: Progress | None, test: str, sent: int, planned: int) -> None:
    if progress is not None and ((sent + 1) % _LOOK_EVERY == 0 or sent + 1 == planned):
        progress(test, sent + 1, planned)


def _seen(exchanges: Sequence[Exchange], name: str) -> str:
    found = {getattr(item, name) for item in exchanges} - {""}
    return ",".join(sorted(found))
