"""A real server process on a free port."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Server", "server", "start", "wait_ready"]

_CODE = """
import os, sys
from pathlib import Path
from mlwb.core.errors import MlwbError
from mlwb.serve import ServeSettings, run_server
try:
    settings = ServeSettings.from_env(os.environ)
    run_server(settings, ready_file=Path(sys.argv[1]), wait_for_model=sys.argv[2] == "wait")
except MlwbError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


class Server(NamedTuple):
    """A started process and where it listens."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def url(self) -> str:
        """Base of all routes."""
        return f"http://127.0.0.1:{self.ready['port']}"


def start(
    models: Path, ready_file: Path, environ: Mapping[str, str], *, wait: bool = False
) -> subprocess.Popen[str]:
    """Start without waiting."""
    settings = {"MLWB_MODELS_DIR": str(models), "MLWB_PORT": "0", "MLWB_DRAIN_S": "0.05"}
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, str(ready_file), "wait" if wait else "now"],
        env={**os.environ, **settings, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def server(models: Path, tmp_path: Path, **environ: str) -> Iterator[Server]:
    """A server that answers; stopped and checked for a clean end afterwards."""
    ready_file = tmp_path / "ready.json"
    process = start(models, ready_file, environ)
    try:
        yield Server(process, wait_ready(process, ready_file))
        process.terminate()
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.communicate()


def wait_ready(process: subprocess.Popen[str], ready_file: Path) -> dict[str, Any]:
    """What the ready file says, once there is one."""
    deadline = time.monotonic() + 15
    while not ready_file.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the server did not become ready"
        time.sleep(0.01)
    found: dict[str, Any] = json.loads(ready_file.read_bytes())
    return found
