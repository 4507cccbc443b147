"""A predict server of our own for the length of a ``with`` block."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlwb.core.canonical import parse_json
from mlwb.core.clock import SystemClock
from mlwb.core.errors import EvidenceSchemaError, ServerStartError
from mlwb.core.home import Home

__all__ = ["RunningServer", "inherited", "server_process"]

_POLL_S = 0.02
# A server of the run's own, on a free loopback port: the keys of the home are for the real one.
_OPEN = {"MLWB_KEYS_FILE": "off"}
_GRACE_S = 10.0  # from SIGTERM to SIGKILL; a draining server needs less


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Parameters
    ----------
    base_url : str
        ``http://127.0.0.1:<port>``, no slash at the end.
    pid : int
    version : str
        Model version it serves.
    """

    base_url: str
    pid: int
    version: str


@contextmanager
def server_process(
    home: Home,
    *,
    candidate: str = "",
    environ: Mapping[str, str] | None = None,
    timeout_s: float = 20.0,
    command: Sequence[str] = (),
) -> Iterator[RunningServer]:
    """Start ``mlwb serve`` on a free loopback port; end it when the block ends, however it ends.

    Parameters
    ----------
    home : Home
        Whose ``latest`` is served.
    candidate : str, default=""
        Version that shadows.
    environ : mapping, optional
        Laid over the environment of this process, from which settings of a server
        (``MLWB_*``, ``SERVE_*``, ``CANARY_*``) are taken out: what a run measures does not depend
        on the shell it was started from. ``MLWB_HOME`` is always ``home.root``.
    timeout_s : float, default=20
        Until the server says that it is ready.
    command : sequence of str, optional
        In place of ``<this Python> -m mlwb serve``; is given the same options.

    Yields
    ------
    RunningServer

    Raises
    ------
    ServerStartError
        It exited or was not ready in time; with the last line it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="mlwb-serve-") as scratch:
        ready, log = Path(scratch) / "ready.json", Path(scratch) / "server.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and options
                _command(command, ready, candidate),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=home.project,
                env={**inherited(), **_OPEN, **(environ or {}), "MLWB_HOME": str(home.root)},
            )
        try:
            yield _when_ready(process, ready, log, timeout_s=timeout_s)
        finally:
            _end(process)


def inherited() -> dict[str, str]:
    """Variables of this process without those that would change what is measured."""
    own = ("MLWB_", "SERVE_", "CANARY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def _command(command: Sequence[str], ready: Path, candidate: str) -> list[str]:
    base = list(command) or [sys.executable, "-m", "mlwb", "serve", "--with-parent"]
    shadow = ["--candidate", candidate] if candidate else []
    return [*base, "--port", "0", "--ready-file", str(ready), *shadow]


def _when_ready(
    process: subprocess.Popen[bytes], ready: Path, log: Path, *, timeout_s: float
) -> RunningServer:
    clock = SystemClock()
    give_up_s = clock.monotonic_s() + timeout_s
    while True:
        told = _read_ready(ready)
        if told is not None:
            return told
        try:
            code = process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if clock.monotonic_s() < give_up_s:
                continue
            raise _not_started(f"nothing within {timeout_s:g} s", log) from None
        raise _not_started(f"exit code {code}", log)


def _read_ready(ready: Path) -> RunningServer | None:
    try:
        told = parse_json(ready.read_bytes())
        port, pid, version = int(told["port"]), int(told["pid"]), str(told["version"])
    except (FileNotFoundError, EvidenceSchemaError):
        return None  # not there yet, or half written
    return RunningServer(base_url=f"http://127.0.0.1:{port}", pid=pid, version=version)


def _not_started(got: str, log: Path) -> ServerStartError:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    spoken = [line.strip() for line in lines if line.strip()]
    said = f"it said: {spoken[-1][:300]}" if spoken else "it said nothing"
    return ServerStartError(
        "the predict server did not come up", expected="a ready file", got=got, todo=said
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
