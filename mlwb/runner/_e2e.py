"""The whole chain on a running server, with candidates that are bad on purpose.

Every order goes through the command a person types, as a process of its own: ``mlwb canary run``,
``mlwb gate decide``, ``mlwb registry promote`` and ``rollback``. What is checked afterwards is read
from elsewhere: the answers that callers got, the server's metrics, registry and audit log.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from mlwb.client import PredictClient
from mlwb.core.clock import Clock
from mlwb.core.errors import ParamsError, ServerStartError
from mlwb.core.home import Home
from mlwb.registry import Registry
from mlwb.runner._e2e_checks import Answers, Before, answers_of, problems_of
from mlwb.runner._e2e_models import publish_injected, traffic_rows
from mlwb.runner._e2e_orders import Orders, Told
from mlwb.runner._e2e_plan import SCENARIOS, Act, Found, Scenario
from mlwb.runner._e2e_traffic import Callers
from mlwb.runner._server import server_process

__all__ = ["E2eOptions", "e2e_run"]

_ROWS = 2_000
_TAKEN_UP_S = 30.0
_LOOK_S = 0.05
_BUDGET_MS = "250"
"""A machine that is busy with other things is no fault of a candidate."""
_PREFIX = "injected-"
_SHARED = ("live", "promote", "rollback")
"""Orders while which another version than `latest` may answer."""

Tell = Callable[[str, str, str], None]


@dataclass(frozen=True)
class E2eOptions:
    """How the chain is walked.

    Parameters
    ----------
    only : tuple of str, default=()
        Scenarios by name; all when empty.
    policy : str, default="policy.demo.yml"
        Policy of the run, the server and the canary.
    rollout : tuple of str, optional
        Overrides of ``canary_rollout.yml``: shorter phases.
    """

    only: tuple[str, ...] = ()
    policy: str = "policy.demo.yml"
    rollout: tuple[str, ...] = (
        "rollout.observed_per_phase=100",
        "rollout.least_s=0.2",
        "rollout.most_s=45",
        "rollout.poll_s=0.1",
        "rollout.settle_s=0.5",
        "rollout.patience_s=5",
    )

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Those to play, in order.

        Raises
        ------
        ParamsError
            There is none of a name.
        """
        known = [scenario.name for scenario in SCENARIOS]
        unknown = [name for name in self.only if name not in known]
        if unknown:
            raise ParamsError("no such scenario", expected=", ".join(known), got=", ".join(unknown))
        return tuple(item for item in SCENARIOS if not self.only or item.name in self.only)


@dataclass(frozen=True)
class _Place:
    """A server that answers over a home, and who gives orders there."""

    registry: Registry
    orders: Orders
    champion: str
    candidate: str

    def client(self) -> PredictClient:
        return PredictClient(self.orders.url, api_key=self.orders.key)


def e2e_run(
    home: Home, options: E2eOptions, *, clock: Clock, tell: Tell = lambda *_: None
) -> Iterator[Found]:
    """Walk the chain, and say of each act what came of it.

    Where the home has no champion yet, ``mlwb run`` makes one first, and a candidate.

    Parameters
    ----------
    home : Home
        Its registry, logs and evidence are written to: one of its own, not one that serves.
    options : E2eOptions
        What is played.
    clock : Clock
        The machine's.
    tell : callable, optional
        Told of scenario, act and how far it is.

    Yields
    ------
    Found
        One an act, as soon as it is known.

    Raises
    ------
    ParamsError
        No such scenario, or a home that was walked before.
    ServerStartError
        The server did not come up, or what comes before it did not.
    """
    scenarios = options.scenarios
    with _serving(home, options, clock, tell) as place:
        for scenario in scenarios:
            version = _published(place, scenario)
            for act in scenario.acts:
                yield _played(place, scenario, act, version=version, tell=tell)


@contextmanager
def _serving(home: Home, options: E2eOptions, clock: Clock, tell: Tell) -> Iterator[_Place]:
    registry = Registry(home.models, clock=clock)
    orders = Orders(home, options.policy, options.rollout)
    if registry.latest() is None:
        tell("", "run", "data, features, training, PSI, replay, gates")
        said = orders.run()
        if said.code:
            raise ServerStartError("the run before the chain broke", got=said.complaint)
    champion, candidate = registry.latest(), registry.candidate()
    if not champion or not candidate or any(v.startswith(_PREFIX) for v in registry.versions()):
        raise ParamsError(
            "the chain was walked in this home before, or it has no candidate",
            todo="name another home, or none",
        )
    key = orders.make_key()
    environ = {
        "MLWB_KEYS_FILE": str(home.artifacts / "keys.json"),
        "MLWB_POLICY": str(home.policy(options.policy)),
        "MLWB_RATE_LIMIT": "0",
        "MLWB_SHADOW_BUDGET_MS": _BUDGET_MS,
    }
    tell("", "serve", "starting")
    with server_process(home, environ=environ) as server:
        yield _Place(registry, replace(orders, url=server.base_url, key=key), champion, candidate)


def _published(place: _Place, scenario: Scenario) -> str:
    """The version a scenario is about, known to the server."""
    if scenario.injected is None:
        return place.candidate
    version = f"{_PREFIX}{scenario.name}"
    source = place.champion if scenario.source == "champion" else place.candidate
    publish_injected(place.registry, source, version, scenario.injected)
    give_up_s = time.monotonic() + _TAKEN_UP_S
    with place.client() as client:
        while time.monotonic() < give_up_s:
            health = client.health()
            is_refused = any(reason.startswith("candidate:") for reason in health["reasons"])
            if health["candidate_version"] == version or is_refused:
                return version
            time.sleep(_LOOK_S)
    raise ServerStartError(f"the server never looked at {version}")


def _played(place: _Place, scenario: Scenario, act: Act, *, version: str, tell: Tell) -> Found:
    registry = place.registry
    rows = traffic_rows(registry.resolve(place.champion), _ROWS)
    before = Before.of(place.orders.home, registry)
    orders = replace(place.orders, tell=lambda text: tell(scenario.name, act.order, text))
    orders.tell("")
    start_s = time.monotonic()
    callers = Callers(orders.url, orders.key, rows, scenario.n_callers)
    with callers if act.order != "measure" else nullcontext():
        told = orders.give(act.order, version)
    seconds = time.monotonic() - start_s
    answers = answers_of(callers.asked, rows, registry)
    with place.client() as client:
        problems = problems_of(
            orders.home,
            registry,
            client,
            before=before,
            told=told,
            version=version,
            answers=answers,
            others={place.champion, version} if act.order in _SHARED else set(),
        )
    problems = [*_unexpected(act, told), *problems]
    return _found(
        scenario,
        act,
        version,
        told,
        answers=answers,
        problems=problems,
        seconds=seconds,
        latest=registry.latest() or "",
    )


def _unexpected(act: Act, told: Told) -> list[str]:
    if told.decision != act.expected:
        return [f"{told.decision}, not {act.expected}"]
    if not re.search(act.reason, told.reason):
        return [f"not for {act.reason!r}"]
    return []


def _found(
    scenario: Scenario,
    act: Act,
    version: str,
    told: Told,
    *,
    answers: Answers,
    problems: list[str],
    seconds: float,
    latest: str,
) -> Found:
    return Found(
        scenario=scenario.name,
        about=scenario.about,
        version=version,
        is_injected=scenario.injected is not None,
        order=act.order,
        expected=str(act.expected),
        expected_reason=act.reason,
        decision=str(told.decision),
        reason=told.reason,
        is_right=not problems,
        problems=tuple(problems),
        requests=told.requests,
        asked=told.asked,
        seconds=seconds,
        back_ms=told.back_ms,
        answers=sum(answers.n_by_version.values()),
        wrong=answers.n_wrong,
        latest=latest,
    )
