"""A real server over a small registry, with somebody who asks it all the time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from msgspec import structs

from mlwb.canary import Traffic
from mlwb.client import PredictClient
from mlwb.core.clock import ManualClock, SystemClock, format_utc
from mlwb.core.errors import ServeError
from mlwb.core.home import Home, find_project
from mlwb.core.predictionlog import PredictionLine, ShadowOutcome, encode_line
from mlwb.params import CanaryRolloutParams, load_params, load_policy
from mlwb.registry import Registry
from mlwb.rollout import RolloutEnd, RolloutOptions, rollout_run
from mlwb.rollout._server import Counters, LeaseAsked, ServerCanary, ServerLease
from mlwb.stages.canary_preflight import lock_of
from mlwb.stages.common import home_of
from tests.inference.version_kit import WEIGHTS
from tests.serve.registry_kit import begin, publish
from tests.serve.server_kit import Server, server

__all__ = [
    "PARAMS",
    "QUICK",
    "Asking",
    "Hook",
    "Place",
    "ScriptedServer",
    "leading",
    "made_traffic",
    "place",
    "serving",
]

PARAMS = find_project() / "params"
QUICK: dict[str, Any] = {
    "rollout.phases": [50.0, 100.0],
    "rollout.observed_per_phase": 60,
    "rollout.least_s": 0.1,
    "rollout.most_s": 20.0,
    "rollout.poll_s": 0.05,
    "rollout.settle_s": 0.4,
    "rollout.patience_s": 0.5,
}


@dataclass(frozen=True)
class Place:
    """A home with a champion and a candidate."""

    root: Path
    registry: Registry

    def params(self, **overrides: Any) -> CanaryRolloutParams:
        """Phases of a second."""
        found: CanaryRolloutParams = load_params(
            "canary_rollout", PARAMS, overrides={**QUICK, **overrides}
        )
        return replace(found, run=replace(found.run, home=str(self.root)))

    @property
    def home(self) -> Home:
        """Its folders."""
        return home_of(self.params().run)


def place(root: Path, weights: Sequence[float] = WEIGHTS) -> Place:
    """`v1.0.0` serves, `v2.0.0` is the candidate."""
    registry = begin(root / "artifacts" / "models")
    publish(registry, "v2.0.0", weights)
    return Place(root, Registry(registry.models_dir, clock=SystemClock()))


@contextlib.contextmanager
def serving(at: Place, **environ: str) -> Iterator[Server]:
    """A server over it that is asked as fast as one client can."""
    artifacts = at.root / "artifacts"
    settings = {
        "MLWB_HOME": str(at.root),
        "MLWB_POLICY": str(PARAMS / "policy.yml"),
        "MLWB_PREDICTION_LOG": str(artifacts / "predictions.jsonl"),
        "MLWB_SHADOW_LOG": str(artifacts / "shadow" / "predictions.jsonl"),
        "MLWB_CANARY_FILE": str(artifacts / "canary.json"),
        "MLWB_RELOAD_S": "0.05",
        **environ,
    }
    with server(artifacts / "models", at.root, **settings) as started, Asking(started.url):
        yield started


class ScriptedServer:
    """Answers what a server would, on a clock that somebody moves; writes the same logs.

    Parameters
    ----------
    at : Place
        Where the logs go.
    clock : ManualClock
        The time.
    answer : callable
        Score of the candidate, its time and its word, for a champion's score.
    """

    base_url = "http://127.0.0.1:1"

    def __init__(
        self,
        at: Place,
        clock: ManualClock,
        *,
        answer: Callable[[float], ShadowOutcome] | None = None,
        error: float = 0.0,
    ) -> None:
        self._artifacts, self._clock, self._error = at.home.artifacts, clock, error
        self._answer = answer or (lambda score: ShadowOutcome("v2.0.0", score, 0.0, True, 0.1))
        self._rng = np.random.default_rng(1)
        self._n = 0
        self.lock = asdict(lock_of(at.params(), load_policy(PARAMS / "policy.yml")))
        self.shown = ServerCanary("off", 0.0)
        self.errors, self.is_away, self.orders = 0.0, False, list[str]()
        self.champion = "v1.0.0"
        self.every = 1  # how many ticks go by for a request

    def show(self) -> ServerCanary:
        """What is open."""
        self._reach()
        return self.shown

    def open(
        self, mode: str, percent: float, *, lock: object, reason: str, lease: LeaseAsked
    ) -> ServerCanary:
        """Take the order."""
        self._reach()
        if asdict(lock) != self.lock:  # type: ignore[call-overload]  # a Lock
            raise ServeError("another", status=409, problem="stale_state")
        self.orders.append(f"{mode} {percent:g}")
        said = "live" if mode == "live" else "observe"
        held = ServerLease(lease.holder, lease.ttl_s, lease.ttl_s)
        self.shown = ServerCanary(said, percent, self.lock, reason, "runner", lease=held)
        self._until_s = self._clock.monotonic_s() + lease.ttl_s
        return self.shown

    def renew(self, lock: object, holder: str) -> ServerCanary:  # noqa: ARG002 - tests change it
        """Begin the lease anew."""
        self._reach()
        if self.shown.lease is None or self.shown.lease.holder != holder:
            raise ServeError("not held", status=409, problem="lease_lost")
        self._until_s = self._clock.monotonic_s() + self.shown.lease.ttl_s
        return self.shown

    def expire(self) -> None:
        """As a server does that nobody told to go on, or that starts anew."""
        since = format_utc(self._clock.now())
        self.shown = ServerCanary("off", 0.0, by="server", since=since, ended="lease_expired")

    def close(self, reason: str) -> ServerCanary:
        """End it."""
        self._reach()
        self.orders.append("off")
        self.shown = ServerCanary("off", 0.0, None, reason, "runner")
        return self.shown

    def counters(self) -> Counters:
        """Errors."""
        self._reach()
        return Counters(self.errors, 0.0)

    def sleep(self, seconds: float) -> None:
        """Let time pass, with 200 requests a second, or fewer."""
        for tick in range(round(200 * seconds)):
            self._clock.advance(0.005)
            if self.shown.lease and self._clock.monotonic_s() >= self._until_s:
                self.expire()
            if not self.is_away and tick % self.every == 0:
                self._serve()

    def _reach(self) -> None:
        if self.is_away:
            raise ServeError("nobody answers", status=503)

    def _serve(self) -> None:
        self._n += 1
        if self._rng.random() < self._error:
            self.errors += 1
            return
        score, share = float(self._rng.random()), self.shown.percent / 100.0
        is_asked = self._rng.random() < share
        line = PredictionLine(
            self._clock.now(), f"r{self._n}", "/ml/predict", self.champion, "00000000", score, 1.0
        )
        artifacts = self._artifacts
        if is_asked and self.shown.mode == "observe":
            side = structs.replace(line, shadow=self._answer(score))
            _append(artifacts / "shadow" / "predictions.jsonl", side)
        elif is_asked and self.shown.mode == "live":
            said = self._answer(score)
            line = structs.replace(
                line, model_version="v2.0.0", score=said.score, latency_ms=said.latency_ms
            )
        _append(artifacts / "predictions.jsonl", line)


Hook = Callable[[ScriptedServer], None]


def leading(
    at: Place,
    server: ScriptedServer,
    clock: ManualClock,
    *,
    mode: Any = "observe_only",
    hook: Hook | None = None,
    is_resumed: bool = False,
    **overrides: Any,
) -> RolloutEnd:
    """Run it; `hook` is called before each wait."""

    def sleep(seconds: float) -> None:
        if hook is not None:
            hook(server)
        server.sleep(seconds)

    return rollout_run(
        at.home,
        at.params(**{"rollout.poll_s": 0.25, **overrides}),
        RolloutOptions(mode, "somebody" if mode == "live" else "", is_resumed),
        policy=load_policy(PARAMS / "policy.yml"),
        clock=clock,
        server=server,  # type: ignore[arg-type]  # it says what the real one says
        sleep=sleep,
    )


def _append(path: Path, line: PredictionLine) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        handle.write(encode_line(line))


@dataclass
class Asking:
    """Asks for predictions on a thread until it is left."""

    url: str

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        rng = np.random.default_rng(0)
        with PredictClient(self.url, timeout_s=2.0) as client:
            while not self._stop.is_set():
                row = [1.0, *(rng.uniform((-0.4, 1.0, -1.5), (0.4, 9.0, 1.5)).tolist())]
                with contextlib.suppress(ServeError):
                    client.post_raw("/ml/predict", msgspec.json.encode({"features": row}))
                self._stop.wait(0.0005)


def made_traffic(rng: np.random.Generator, n: int, *, share: float, error: float) -> Traffic:
    """Requests as a healthy pair of versions answers them."""
    score, shadowed = rng.random(n), rng.random(n) < share
    missing = ~shadowed | (rng.random(n) < error)
    return Traffic(
        status=np.where(rng.random(n) < error, 500, 200),
        latency_ms=rng.lognormal(0.0, 0.3, n),
        score=score,
        shadowed=shadowed,
        shadow_score=np.where(missing, np.nan, score + rng.normal(0.0, 0.01, n)),
        shadow_ms=np.where(missing, np.nan, rng.lognormal(-2.0, 0.3, n)),
    )
