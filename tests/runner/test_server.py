"""A server process that lives exactly as long as its block."""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from mlwb.core.clock import SystemClock
from mlwb.core.errors import ServerStartError
from mlwb.core.home import Home
from mlwb.runner import _server, server_process
from mlwb.serve import KeyFile
from tests.inference.version_kit import point, write_version
from tests.runner.notebook_kit import is_alive

pytestmark = pytest.mark.server

_STUB = """
import argparse, http.server, json, os, pathlib, signal, sys
args = argparse.ArgumentParser()
args.add_argument("--port", type=int)
args.add_argument("--ready-file", type=pathlib.Path)
args.add_argument("--candidate", default="none")
told = args.parse_args()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["MLWB_HOME"].encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", told.port), Handler)
%s
told.ready_file.write_text('{"pid": ')
told.ready_file.write_text(json.dumps(
    {"pid": os.getpid(), "port": server.server_port, "version": f"v1+{told.candidate}"}))
server.serve_forever()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Directories of a workbench."""
    return Home(project=tmp_path, root=tmp_path / "root")


def _stub(extra: str = "") -> list[str]:
    return [sys.executable, "-c", _STUB % extra]


def test_server_answers_inside_the_block_and_is_gone_after(home: Home) -> None:
    """It is told its home and candidate, names its address, and ends with the block."""
    with server_process(home, candidate="v2", command=_stub()) as server:
        with urllib.request.urlopen(server.base_url, timeout=5) as answer:  # noqa: S310 - on loopback
            assert answer.read().decode() == str(home.root)
        assert server.version == "v1+v2"
        assert is_alive(server.pid)
    assert not is_alive(server.pid)


def test_server_is_ended_when_the_block_raises(home: Home) -> None:
    """An error in the block reaches the caller, and no server is left."""
    pids: list[int] = []

    def use_and_fail() -> None:
        with server_process(home, command=_stub()) as server:
            pids.append(server.pid)
            raise KeyError

    with pytest.raises(KeyError):
        use_and_fail()
    assert not is_alive(pids[0])


def test_server_deaf_to_sigterm_is_killed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking once is enough."""
    monkeypatch.setattr(_server, "_GRACE_S", 0.2)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    with server_process(home, command=_stub(deaf)) as server:
        pass
    assert not is_alive(server.pid)


def test_server_is_asked_before_it_is_killed(home: Home, tmp_path: Path) -> None:
    """It may drain: the signal it gets first is SIGTERM."""
    log = tmp_path / "signal"
    polite = (
        "def leave(number, _):\n"
        f"    pathlib.Path({str(log)!r}).write_text(str(number)); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, leave)"
    )
    with server_process(home, command=_stub(polite)):
        pass
    assert log.read_text(encoding="utf-8") == str(int(signal.SIGTERM))


def test_server_that_exits_is_told_with_its_last_line(home: Home) -> None:
    """The reason a server gives is the reason the user reads."""
    command = _stub("print('one'); sys.exit('no model in latest')")
    with (
        pytest.raises(ServerStartError, match=r"exit code 1; it said: no model in latest"),
        server_process(home, command=command),
    ):
        pytest.fail("the block must not run")


def test_server_that_never_gets_ready_is_ended(home: Home, tmp_path: Path) -> None:
    """The wait has an end, and so has the process; a half-written ready file is not ready."""
    marker = tmp_path / "pid"
    hang = (
        f"pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\n"
        "told.ready_file.write_text('{\"pid\": ')\n"
        "import time; time.sleep(600)"
    )
    began = time.monotonic()
    with (
        pytest.raises(ServerStartError, match=r"nothing within 1\.5 s; it said nothing"),
        server_process(home, command=_stub(hang), timeout_s=1.5),
    ):
        pytest.fail("the block must not run")
    assert time.monotonic() - began < 10
    assert not is_alive(int(marker.read_text(encoding="utf-8")))


def test_default_command_is_this_interpreter(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a command of its own it runs `mlwb serve` of this environment on a free port."""
    seen: list[list[str]] = []

    def refuse(command: list[str], **_: object) -> None:
        seen.append(command)
        raise json.JSONDecodeError("stop here", "", 0)

    monkeypatch.setattr("subprocess.Popen", refuse)
    with pytest.raises(json.JSONDecodeError), server_process(home, candidate="v2"):
        pytest.fail("the block must not run")
    (command,) = seen
    start = [sys.executable, "-m", "mlwb", "serve", "--with-parent", "--port", "0"]
    assert command[:7] == start
    assert command[-2:] == ["--candidate", "v2"]


def test_keys_of_the_home_are_not_asked_for(home: Home) -> None:
    """Who has made keys for the real server can still run the loop."""
    write_version(home.models, "v1.0.0")
    point(home.models, "latest", "v1.0.0")
    KeyFile(home.artifacts / "keys.json").add("bot", ["predict"], now=SystemClock().now(), days=1)
    with server_process(home) as server:
        answer = urllib.request.urlopen(f"{server.base_url}/ml/model/info", timeout=5)  # noqa: S310 - on loopback
        assert answer.status == 200
        answer.close()
