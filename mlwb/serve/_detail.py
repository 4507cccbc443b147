"""The route for whoever is on call: everything a server knows about its own condition."""

from __future__ import annotations

import os
import platform
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec
from starlette.responses import Response

from mlwb import __version__
from mlwb.core.clock import format_utc
from mlwb.core.host_clock import HostClock, host_clock
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._fresh import Fresh
from mlwb.serve._models import Live
from mlwb.serve._state import State

__all__ = ["detail_endpoints"]


class FileState(msgspec.Struct):
    """A file or folder the server uses; bytes and age are null where it is not there."""

    name: str
    path: str
    exists: bool
    is_writable: bool
    bytes: int | None = None
    age_s: float | None = None


class DiskState(msgspec.Struct):
    """The disk below the models; null where it cannot be read."""

    free_bytes: int | None
    total_bytes: int | None


class QueueState(msgspec.Struct):
    """Lines or jobs that wait, how many may, and how many were lost because too many did."""

    name: str
    waiting: int
    capacity: int
    lost: int


class VersionState(msgspec.Struct):
    """A loaded version; it was verified and scored before it answered."""

    version: str
    sha256: str
    is_warm: bool
    loaded_at: str
    row_ms: float


class ReloadState(msgspec.Struct):
    """What the last look that brought news came to."""

    at: str
    link: str
    result: str
    version: str | None
    problem: str


class ProcessState(msgspec.Struct):
    """The process; memory and open files are null where the system does not say."""

    pid: int
    software: str
    python: str
    started_at: str
    uptime_s: float
    memory_bytes: int | None
    threads: int
    open_files: int | None


class DetailedHealth(msgspec.Struct, kw_only=True):
    """The condition of one worker."""

    ready: bool
    reasons: list[str]
    degraded: list[str]
    mode: str
    killed: bool
    draining: bool
    champion: VersionState | None
    candidate: VersionState | None
    kept: list[str]
    last_reload: ReloadState | None
    process: ProcessState
    disk: DiskState
    files: list[FileState]
    queues: list[QueueState]
    clock: HostClock | None


class _Outside(msgspec.Struct):
    """What has to be asked of the system."""

    disk: DiskState
    files: list[FileState]
    clock: HostClock | None
    memory_bytes: int | None
    open_files: int | None


def detail_endpoints(state: State) -> tuple[Endpoint, ...]:
    """Health in detail.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Detail(state)
    return (
        Endpoint(
            method="GET",
            path="/ml/health/detailed",
            permission=Permission.OPS,
            summary="Versions, reload, disk, files, queues, memory, clock, and what is degraded",
            answer=DetailedHealth,
            handler=routes.detailed,
        ),
    )


class _Detail:
    def __init__(self, state: State) -> None:
        self._state = state
        self._started_at, self._start_s = state.clock.now(), state.clock.monotonic_s()
        self._outside = Fresh(self._look, state.clock)

    async def detailed(self, _call: Call) -> Response:
        outside, state = await self._outside.get(), self._state
        detail = DetailedHealth(
            ready=not state.reasons,
            reasons=list(state.reasons),
            degraded=list(state.troubles),
            mode=state.switches.mode.mode,
            killed=state.is_killed,
            draining=state.is_draining,
            champion=_version(state.champion.live),
            candidate=_version(state.candidate.live),
            kept=list(state.versions.shelf.versions),
            last_reload=self._reload(),
            process=self._process(outside),
            disk=outside.disk,
            files=outside.files,
            queues=list(self._queues()),
            clock=outside.clock,
        )
        return json_response(detail)

    def _process(self, outside: _Outside) -> ProcessState:
        return ProcessState(
            pid=os.getpid(),
            software=__version__,
            python=platform.python_version(),
            started_at=format_utc(self._started_at),
            uptime_s=self._state.clock.monotonic_s() - self._start_s,
            memory_bytes=outside.memory_bytes,
            threads=threading.active_count(),
            open_files=outside.open_files,
        )

    def _reload(self) -> ReloadState | None:
        last = self._state.versions.last_reload
        if last is None:
            return None
        return ReloadState(format_utc(last.at), last.link, last.result, last.version, last.problem)

    def _queues(self) -> Iterable[QueueState]:
        state = self._state
        for name, log in (("prediction_log", state.log), ("shadow_log", state.shadow_log)):
            if log is not None:
                yield QueueState(name, log.waiting, log.capacity, log.dropped)
        audit = state.audit
        yield QueueState("audit_log", audit.waiting, audit.capacity, audit.lost)

    def _look(self) -> _Outside:
        models_dir = self._state.settings.models_dir
        try:
            usage = shutil.disk_usage(models_dir)
            disk = DiskState(usage.free, usage.total)
        except OSError:
            disk = DiskState(None, None)
        now_s = self._state.clock.now().timestamp()
        files = [_file(name, path, now_s) for name, path in self._paths()]
        return _Outside(disk, files, host_clock(), _memory_bytes(), _open_files())

    def _paths(self) -> Iterable[tuple[str, Path]]:
        settings = self._state.settings
        named = {
            "models": settings.models_dir,
            "promotions_log": settings.models_dir.parent / "promotions.log",
            "prediction_log": settings.prediction_log,
            "shadow_log": settings.shadow_log,
            "audit_log": settings.audit_log,
            "drift_counts": settings.drift_dir,
            "keys": settings.keys_file,
            "mode": settings.mode_file,
            "kill": settings.kill_file,
        }
        return ((name, path) for name, path in named.items() if path is not None)


def _version(live: Live | None) -> VersionState | None:
    if live is None:
        return None
    loaded_at = format_utc(live.loaded_at)
    return VersionState(live.version, live.sha256, live.cost_ms > 0.0, loaded_at, live.cost_ms)


def _file(name: str, path: Path, now_s: float) -> FileState:
    try:
        found = path.stat()
    except OSError:
        parent = next((item for item in path.parents if item.exists()), path)
        return FileState(name, str(path), exists=False, is_writable=os.access(parent, os.W_OK))
    return FileState(
        name,
        str(path),
        exists=True,
        is_writable=os.access(path, os.W_OK),
        bytes=None if path.is_dir() else found.st_size,
        age_s=max(0.0, now_s - found.st_mtime),
    )


def _memory_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    except OSError:
        return None
