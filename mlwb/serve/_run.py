"""The application on uvicorn: its own socket, its own signals, a word when it is ready."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes
from mlwb.core.clock import SystemClock
from mlwb.core.errors import ArtifactNotFoundError, ParamsError, ServerStartError
from mlwb.core.leftovers import clear_leftovers
from mlwb.serve._connection import GuardedProtocol, sweep
from mlwb.serve._heads import Heads
from mlwb.serve._key_watch import KeyWatch
from mlwb.serve._memory import keep_little
from mlwb.serve._profile import check_profile
from mlwb.serve._settings import ServeSettings
from mlwb.serve._worker import InCommon
from mlwb.serve._workers import Crew, Word
from mlwb.serve.app import App, create_app

__all__ = ["ServerReady", "run_server"]

_LOOK_S = 0.02
_PARENT_S = 0.5
_SWEEP_S = 0.1
_LAST_REQUESTS_S = 5
_SWITCH_S = 0.0005
_ABSENT = ("", ArtifactNotFoundError.code)


@dataclass(frozen=True)
class ServerReady:
    """A server that answers.

    Parameters
    ----------
    pid : int
        Its process; with several workers the one that started them.
    host : str
        Address it listens on.
    port : int
        The bound port, also when 0 was asked for.
    version : str
        The model version that answers.
    """

    pid: int
    host: str
    port: int
    version: str


def run_server(
    settings: ServeSettings,
    *,
    wait_for_model: bool = False,
    with_parent: bool = False,
    ready_file: Path | None = None,
    on_ready: Callable[[ServerReady], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; returns after the last request was answered.

    On a signal readiness goes off at once, requests are still answered for
    ``settings.drain_s``, then the server stops. A second signal stops it without waiting.

    Parameters
    ----------
    settings : ServeSettings
        What to serve, where, and with how many workers.
    wait_for_model : bool, default=False
        Start without a model and become ready when one is promoted.
    with_parent : bool, default=False
        Stop when the process that started this one is gone, however it ended.
    ready_file : Path, optional
        Written in one step when predictions are answered: a JSON object of
        :class:`ServerReady`. Removed first when there is one from before.
    on_ready : callable, optional
        Called with the same.

    Raises
    ------
    ArtifactNotFoundError
        No usable `latest`, and not told to wait.
    ServerStartError
        The address cannot be bound, nobody can be told that the server is ready, or workers
        keep dying.
    ParamsError
        Several workers on a system that cannot fork.
    """
    if settings.workers > 1 and not hasattr(os, "fork"):
        raise ParamsError("several workers need a system that can fork", todo="set MLWB_WORKERS=1")
    check_profile(settings, KeyWatch(settings.keys_file).ring, SystemClock().now())
    keep_little()
    _forget(ready_file)
    clear_leftovers(settings.own_folders, SystemClock().now())
    listener = _bind(settings.host, settings.port)

    def announce(version: str) -> None:
        port = listener.getsockname()[1]
        ready = ServerReady(os.getpid(), settings.host, port, version)
        try:
            if ready_file is not None:
                fsops.write_atomic(ready_file, canonical_bytes(ready) + b"\n")
            if on_ready is not None:
                on_ready(ready)
        except OSError as error:
            raise _untold(error) from error

    parent = os.getppid() if with_parent else 0
    try:
        if settings.workers > 1:
            _run_workers(settings, listener, announce, wait=wait_for_model, parent=parent)
            return
        app = create_app(settings)
        _check_model(app, wait=wait_for_model)
        _serve(app, listener, announce, parent=parent)
    finally:
        listener.close()


def _check_model(app: App, *, wait: bool) -> None:
    champion = app.state.champion
    if champion.live is None and not wait:
        remedy = (
            "train one: mlwb run; promote one: mlwb registry promote"
            if champion.problem in _ABSENT
            else "roll back or restore one: mlwb registry doctor"
        )
        raise ArtifactNotFoundError(
            "there is no model to serve",
            expected=f"a verified version behind {app.state.settings.models_dir / 'latest'}",
            got=f"{champion.problem}: {champion.why}" if champion.why else champion.problem,
            todo=f"{remedy}; or start with --wait-for-model",
        )


def _serve(
    app: App, listener: socket.socket, announce: Callable[[str], None], *, parent: int
) -> None:
    # What was imported and loaded stays: a full collection need not walk through it for 30 ms.
    gc.collect()
    gc.freeze()
    # A thread that looks at files or writes a log may hold up requests for so long at a time.
    sys.setswitchinterval(_SWITCH_S)
    server = _Server(app, announce, parent=parent)
    server.run([listener])
    if server.failure is not None:
        raise server.failure


def _run_workers(
    settings: ServeSettings,
    listener: socket.socket,
    announce: Callable[[str], None],
    *,
    wait: bool,
    parent: int,
) -> None:
    common, crew_pid = InCommon(settings), os.getpid()

    def work(slot: int, is_substitute: bool, say: Callable[[Word], None]) -> None:  # noqa: FBT001 - the crew calls it by position
        clock = SystemClock()
        app = create_app(settings, clock=clock, worker=common.worker(slot, clock))
        if is_substitute:
            _await_model(app, crew_pid)
        else:
            _check_model(app, wait=wait)
        _serve(app, listener, lambda version: say(Word(slot, version)), parent=crew_pid)

    drain_s = settings.drain_s + 2 * _LAST_REQUESTS_S
    Crew(settings.workers, work, announce, drain_s=drain_s, parent=parent).run()


def _await_model(app: App, parent: int) -> None:
    """Take no connection from workers that have a model before there is one here too."""
    while app.state.champion.live is None and os.getppid() == parent:
        time.sleep(app.state.settings.reload_s)
        app.state.refresh()


class _Server(uvicorn.Server):
    """uvicorn that drains before it stops and tells when it is ready."""

    def __init__(self, app: App, announce: Callable[[str], None], *, parent: int = 0) -> None:
        self._app, self._announce, self._parent = app, announce, parent
        self._watching: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._telling: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None
        settings = app.state.settings
        protocol = partial(
            GuardedProtocol,
            settings=settings,
            metrics=app.state.metrics,
            direct=app.direct,
            heads=Heads(),
        )
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio" if sys.platform == "win32" else "uvloop",
                http=cast("type[asyncio.Protocol]", protocol),
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",  # a request that is no HTTP is counted, not told about
                timeout_keep_alive=math.ceil(settings.idle_s),
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_LAST_REQUESTS_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce as soon as a model answers."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._telling = self._loop.create_task(self._tell())
        self._telling.add_done_callback(self._told)
        self._sweeping = self._loop.create_task(self._sweep())
        if self._parent:
            self._watching = self._loop.create_task(self._watch_parent())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - of uvicorn
        """Drain on the first signal, stop on the second, drop what is open on the third."""
        state = self._app.state
        if self._loop is None or state.is_draining:
            self.force_exit = self.should_exit
            self.should_exit = True
            return
        self._app.drain()
        self._loop.call_soon_threadsafe(self._loop.call_later, state.settings.drain_s, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    async def _watch_parent(self) -> None:
        while os.getppid() == self._parent:
            await asyncio.sleep(_PARENT_S)
        self._stop()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            sweep(self.server_state.connections, asyncio.get_running_loop().time())

    async def _tell(self) -> None:
        while (live := self._app.state.champion.live) is None:
            await asyncio.sleep(_LOOK_S)
        self._announce(live.version)

    def _told(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()
            self.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = str(error.strerror or error).partition(" (while ")[0]  # which says the address again
        raise ServerStartError(
            f"cannot listen on {host}:{port}: {why}",
            todo="stop the other server, or choose another port (--port, MLWB_PORT)",
        ) from error


def _forget(ready_file: Path | None) -> None:
    try:
        if ready_file is not None:
            fsops.remove_file(ready_file)
    except OSError as error:
        raise _untold(error) from error


def _untold(error: BaseException) -> ServerStartError:
    return ServerStartError(
        "the server cannot say when it is ready",
        got=str(error),
        todo="choose another place for the ready file",
    )
