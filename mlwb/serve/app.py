"""The application: hot routes by hand, the rest by Starlette."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from mlwb.core.clock import Clock, SystemClock
from mlwb.serve._about import about_endpoints
from mlwb.serve._canary_routes import canary_endpoints
from mlwb.serve._catalogue import catalogue_endpoints
from mlwb.serve._control import control_endpoints
from mlwb.serve._detail import detail_endpoints
from mlwb.serve._edge import Edge, direct
from mlwb.serve._endpoints import Endpoint, Permission
from mlwb.serve._guard import Guard
from mlwb.serve._health import health_endpoints
from mlwb.serve._http import Receive, Scope, Send
from mlwb.serve._infer import InferRoute, infer_endpoints
from mlwb.serve._interface import interface_endpoints
from mlwb.serve._observe import ObserveRoute, observe_endpoints
from mlwb.serve._predict import PREDICT_ENDPOINTS, PredictRoute, predict_routes
from mlwb.serve._profile import check_profile
from mlwb.serve._protocol import protocol_endpoints
from mlwb.serve._releases import release_endpoints
from mlwb.serve._routes import rest_app
from mlwb.serve._settings import ServeSettings
from mlwb.serve._shadow import Shadow
from mlwb.serve._state import State
from mlwb.serve._stats import stats_endpoints
from mlwb.serve._worker import Worker

__all__ = ["App", "create_app"]


Work: TypeAlias = Callable[[], Awaitable[None]]
_LOG = logging.getLogger("mlwb.serve")
_PAUSE_S = 1.0
_INFER = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer\Z")


class App:
    """One server as an ASGI application; made by :func:`create_app`.

    Parameters
    ----------
    settings : ServeSettings
        What to serve and within which limits.
    clock : Clock
        Stamps and durations.
    worker : Worker, optional
        Where this is one of several.

    Attributes
    ----------
    state : State
        What answers and what was counted.
    endpoints : tuple of Endpoint
        Everything the application answers.
    direct : mapping of bytes to callable
        By target, the routes that a connection may ask without ASGI.
    """

    def __init__(self, settings: ServeSettings, clock: Clock, worker: Worker | None = None) -> None:
        self.state = State(settings, clock, worker)
        state = self.state
        check_profile(settings, state.keys.ring, clock.now())
        self._shadow = Shadow(
            settings, state.metrics, clock, watch=state.shadow, log=state.shadow_log
        )
        state.gathered.append(self._shadow.waiting)
        guard = Guard(state)
        self._infer = InferRoute(state, guard)
        observe = observe_endpoints(state)
        described: tuple[Endpoint, ...] = (
            *PREDICT_ENDPOINTS,
            *observe,
            *infer_endpoints(),
            *protocol_endpoints(state),
            *health_endpoints(state),
            *detail_endpoints(state),
            *about_endpoints(state),
            *stats_endpoints(state),
            *catalogue_endpoints(state),
            *release_endpoints(state),
            *control_endpoints(state),
            *canary_endpoints(state),
        )
        self.endpoints = (*described, *interface_endpoints(state, described))
        self._rest = rest_app(self.endpoints, guard, state.audit, body_limit=settings.body_limit)
        predict = predict_routes(state, guard, self._shadow)
        # Pages of other origins and the access log are the edge's.
        is_bare = not settings.cors_origins and settings.access_log is None
        self.direct = {path.encode(): direct(route) for path, route in predict.items() if is_bare}
        self._hot: dict[str, PredictRoute | ObserveRoute] = {
            **predict,
            observe[0].path: ObserveRoute(state, guard, observe[0], self._rest),
        }
        always = (e.path for e in self.endpoints if e.permission is Permission.OPEN)
        self._edge = Edge(state, self._answer, always)

    def drain(self) -> None:
        """Answer on, with readiness off, and let every connection end with its next answer."""
        self.state.is_draining = True
        self.direct.clear()  # how a connection ends, and what stands behind it, is ASGI's to know

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through one lifespan."""
        if scope["type"] == "http":
            await self._edge(scope, receive, send)
        else:
            await self._lifespan(receive, send)

    def _answer(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if (hot := self._hot.get(scope["path"])) is not None:
            return hot(scope, receive, send)
        if _INFER.match(scope["path"]):
            return self._infer(scope, receive, send)
        return self._rest(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.state.audit.start()
        for log in self.state.logs:
            log.start()
        works: list[Work] = [
            self.state.watch,
            self.state.canary.run,
            self.state.drift.run,
            self.state.observer.run,
        ]
        if self.state.replicas is not None:
            works.append(self.state.replicas.run)
        if self.state.tally is not None:
            works.append(partial(self.state.tally.run, self.state.write_tally))
        tasks = [asyncio.create_task(_lasting(work)) for work in works]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.state.settle()
        self._shadow.close()
        self.state.drift.close()
        self.state.observer.close()
        for log in self.state.logs:
            log.close()
        self.state.audit.close()
        self.state.write_tally()
        await send({"type": "lifespan.shutdown.complete"})


async def _lasting(work: Work) -> None:
    """Work beside the requests: whatever it meets, it begins again, and stopping is not its end."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - the log says what it was
            _LOG.exception("work beside the requests failed; it begins again")
            await asyncio.sleep(_PAUSE_S)
        else:
            return


def create_app(
    settings: ServeSettings, *, clock: Clock | None = None, worker: Worker | None = None
) -> App:
    """The predict server.

    `latest` and `candidate` are loaded here. A missing or refused version does not raise: the
    application starts unready, says why, and takes up a good version as soon as there is one.

    Parameters
    ----------
    settings : ServeSettings
        What to serve and within which limits.
    clock : Clock, optional
        The machine's when not given.
    worker : Worker, optional
        Where this is one of several.

    Returns
    -------
    App
        An ASGI application; routes in ``docs/serve.md``.
    """
    return App(settings, clock or SystemClock(), worker)
