"""``mlwb monitor`` from outside: what it prints, how it ends, and a real server that it saves."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from mlwb.cli._app import app
from mlwb.client import PredictClient
from mlwb.core.chain import Chain
from mlwb.core.errors import ParamsError
from mlwb.core.home import find_project
from mlwb.registry import REQUIRED_FILES, Registry
from tests.inference.version_kit import WEIGHTS, logistic_onnx, write_version
from tests.serve.conftest import registry, registry_template
from tests.serve.registry_kit import promote
from tests.serve.server_kit import start, wait_ready

__all__ = ["registry", "registry_template"]

NOWHERE = "http://127.0.0.1:9"


def _run(home: Path, *arguments: str, **environ: str) -> Result:
    environ = {"MLWB_HOME": str(home), "COLUMNS": "200", **environ}
    return CliRunner().invoke(app, ["monitor", *arguments], env=environ)


def test_one_look_with_the_server_away(registry: Registry, tmp_path: Path) -> None:
    """Every trigger has a line, nothing is made up, and the way out is 0, then 1, then 5."""
    quiet = _run(tmp_path, "--json", "--url", NOWHERE)
    assert quiet.exit_code == 0, quiet.exception
    look = json.loads(quiet.stdout)
    states = {row["name"]: row["state"] for row in look["triggers"]}
    assert (states["error_rate"], states["unaudited"]) == ("not measured", "ok")
    would = _run(tmp_path, "--manual", "a drill", "--url", NOWHERE)
    assert would.exit_code == 1
    assert "would roll back to v1.0.0" in would.stdout.replace("\n", " ")
    assert "not measured" in would.stdout
    state = tmp_path / "artifacts" / "monitor" / "state.json"
    state.write_text("{")
    assert _run(tmp_path, "--url", NOWHERE).exit_code == 5
    assert registry.latest() == "v2.0.0"


def test_what_cannot_be_meant_is_refused(registry: Registry, tmp_path: Path) -> None:
    """Both ways to look, both ways to tell, a command that is no list, a webhook unsigned."""
    assert registry.latest() == "v2.0.0"

    def refused(*arguments: str, **environ: str) -> str:
        found = _run(tmp_path, *arguments, **environ)
        assert isinstance(found.exception, ParamsError)
        return str(found.exception)

    assert "not both" in refused("--once", "--every", "5")
    assert "a JSON list" in refused(MLWB_NOTIFY_COMMAND="rm -rf x")
    assert "not to both" in refused(MLWB_NOTIFY_COMMAND='["true"]', MLWB_NOTIFY_URL="https://a.org")
    assert "MLWB_NOTIFY_SECRET" in refused(MLWB_NOTIFY_URL="https://example.org")


def _flawed() -> bytes:
    """A model that scores its golden rows as in training, and far beyond 1 off their diagonal."""
    model = onnx.load_from_string(logistic_onnx(WEIGHTS))
    graph, make = model.graph, helper.make_node
    graph.initializer.extend([
        helper.make_tensor("d", TensorProto.DOUBLE, [4, 1], [0.0, 1.0, -0.02, 0.0]),
        helper.make_tensor("many", TensorProto.DOUBLE, [1], [1000.0]),
    ])  # fmt: skip
    score, reshape, cast = list(graph.node)[:3], graph.node[3], graph.node[4]
    reshape.input[0] = "sum"
    flaw = [make("MatMul", ["features", "d"], ["off"]), make("Relu", ["off"], ["over"]),
            make("Mul", ["over", "many"], ["far"]), make("Add", ["q", "far"], ["sum"])]  # fmt: skip
    nodes = [*score, *flaw, reshape, cast]
    graph.ClearField("node")
    graph.node.extend(nodes)
    return bytes(model.SerializeToString(deterministic=True))


def _promote_flawed(registry: Registry, folder: Path) -> None:
    made = write_version(folder, "v4.0.0", onnx=_flawed())
    staging = registry.stage("v4.0.0")
    for name in REQUIRED_FILES:
        path = made / name
        (staging / name).write_bytes(path.read_bytes() if path.is_file() else b"content\n")
    registry.register("v4.0.0", staging)
    promote(registry, "v4.0.0")


@contextlib.contextmanager
def _talkative(models: Path, folder: Path) -> Iterator[str]:
    """A server that may write to its error stream, which is read so that it never waits."""
    process = start(models, folder / "ready.json", {"MLWB_RELOAD_S": "0.05"})
    try:
        port = wait_ready(process, folder / "ready.json")["port"]
        reader = threading.Thread(target=process.communicate)
        reader.start()
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        reader.join(10)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0


@contextlib.contextmanager
def _asking(url: str) -> Iterator[None]:
    """Bots that ask all the time, a third of the rows where the flaw is."""
    done = threading.Event()

    def ask() -> None:
        with PredictClient(url, timeout_s=5.0) as client:
            while not done.wait(0.002):
                for first in (0.01, 0.01, 0.4):
                    body = json.dumps({"features": [1.0, first, 2.0, -0.5]}).encode()
                    client.post_raw("/ml/predict", body)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(10)


@pytest.mark.server
def test_a_version_that_fails_is_left_within_seconds(registry: Registry, tmp_path: Path) -> None:
    """A real server, real errors of a version that loads well: the champion answers again, once.

    Registry log, log of looks and message say why.
    """
    _promote_flawed(registry, tmp_path / "made")
    home, told = registry.models_dir.parents[1], tmp_path / "told"
    code = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    environ = {
        **os.environ, "MLWB_HOME": str(home),
        "MLWB_NOTIFY_COMMAND": json.dumps([sys.executable, "-c", code, str(told)]),
    }  # fmt: skip
    with (
        _talkative(registry.models_dir, tmp_path) as url,
        PredictClient(url, timeout_s=5.0) as client,
        _asking(url),
    ):
        assert client.health()["model_version"] == "v4.0.0"
        monitor = subprocess.Popen(
            [sys.executable, "-m", "mlwb", "monitor", "--every", "0.2", "--act", "--json",
             "--url", url],
            env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 20
            while client.health()["model_version"] != "v2.0.0":
                assert time.monotonic() < deadline, "nothing was rolled back"
                time.sleep(0.05)
            time.sleep(1.0)  # the looks after it must not move it again
            monitor.send_signal(signal.SIGTERM)
            out, errors = monitor.communicate(timeout=10)
        finally:
            monitor.kill()
        assert (monitor.returncode, errors) == (0, "")
        assert client.predict([1.0, 0.4, 2.0, -0.5]).model_version == "v2.0.0"
    looks = [json.loads(line) for line in out.splitlines()]
    assert [look["outcome"] for look in looks].count("acted") == 1
    assert (looks[-1]["outcome"], looks[-1]["version"]) == ("quiet", "v2.0.0")
    links = Chain(registry.models_dir.parent / "promotions.log").links()
    (why,) = [link.body["reason"] for link in links if link.body.get("action") == "rollback"]
    assert str(why).startswith("monitor: error_")
    notices = [json.loads(line) for line in told.read_bytes().splitlines()]
    assert [item["event"] for item in notices][-1] == "acted"
    assert str(why) in notices[-1]["text"]


def test_the_unit_says_only_what_it_would_do() -> None:
    """Shipped without leave to act; it runs this command in the home it may write to."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(find_project() / "ops" / "systemd" / "mlwb-monitor.service")
    command = unit["Service"]["ExecStart"].split()
    assert command[1:4] == ["monitor", "--every", "60"]
    assert "--act" not in command
    assert unit["Service"]["ReadWritePaths"] == "/var/lib/mlwb"
