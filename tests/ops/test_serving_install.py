"""An environment made by ``ops/install`` as the image's is: the image's own commands, run in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from mlwb.cli._extras import RESEARCH
from mlwb.client import PredictClient
from mlwb.core.clock import SystemClock
from mlwb.serve import KeyFile
from tests.ops.prometheus_kit import OPS
from tests.ops.ship_kit import ROOT, image, services
from tests.serve.registry_kit import OTHER, begin, promote, publish

pytestmark = [pytest.mark.slow, pytest.mark.server]

SERVING = Path(sys.prefix) / "serving"
ROW = [1.0, 0.1, 2.0, 0.5]
FOR_RESEARCH = (
    "run", "train", "psi", "nightly", "smoke", "data quality x.csv", "features study",
    "drift check", "shadow run --csv rows.csv", "report daily", "report weekly", "report pnl",
    "e2e",
)  # fmt: skip
LED_HERE = ("canary preflight", "canary run --dry-run", "shadow compare", "report validation")
FOR_STORES = ("registry follow --at s3://bucket/prefix",)
WALK = """
import contextlib, io, json, sys
from mlwb.cli import main
found = {}
for line in sys.argv[1:]:
    sys.argv = ["mlwb", *line.split()]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        found[line] = (main(), said.getvalue())
print(json.dumps(found))
"""


class Container(NamedTuple):
    """What a container would be: the image's environment, and a home on a volume."""

    environ: dict[str, str]
    port: int

    def words(self, command: list[str]) -> list[str]:
        """A command of the image, with its paths where they are here."""
        return [
            word.replace("/srv/mlwb/.venv", str(SERVING))
            .replace("/srv/mlwb", str(ROOT))
            .replace("http://serve:4010", f"http://127.0.0.1:{self.port}")
            for word in command
        ]

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        return subprocess.run(
            self.words(command), env=self.environ, cwd=ROOT,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Start one."""
        return subprocess.Popen(
            self.words(command), env=self.environ, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """A home with two versions, `v2.0.0` serving; skips where the environment is not made."""
    if not (SERVING / "bin" / "mlwb").exists():
        pytest.skip("the serving environment is not installed; `make test` sets it up")
    home = tmp_path / "home"
    models = begin(home / "artifacts" / "models")
    publish(models, "v2.0.0", OTHER)
    promote(models, "v2.0.0")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    here = {"MLWB_HOME": str(home), "MLWB_PORT": str(port), "MLWB_HOST": "127.0.0.1"}
    return Container({**kept, **image().environ, **here}, port)


def _with_key(container: Container) -> None:
    keys = KeyFile(Path(container.environ["MLWB_HOME"]) / "artifacts" / "keys.json")
    keys.add("bot", ["predict"], now=SystemClock().now(), days=1)


@contextlib.contextmanager
def _running(container: Container) -> Iterator[subprocess.Popen[str]]:
    """What the image starts, once its own health check is content."""
    process = container.start(image().start)
    try:
        deadline = time.monotonic() + 30
        while container.run(image().health).returncode:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "it does not become healthy"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_has_what_the_lock_says_and_nothing_else(container: Container) -> None:
    """To the version; each is needed, by name, by the base install; nothing is missing."""
    assert container.environ
    (site,) = SERVING.glob("lib/python3*/site-packages")
    installed = {
        canonicalize_name(found.name): found for found in metadata.distributions(path=[str(site)])
    }
    pins = re.findall(
        r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$", (OPS / "serving.lock").read_text(), re.MULTILINE
    )
    pinned = {name: version for name, version, marker in pins
              if not marker or Marker(marker).evaluate()}  # fmt: skip
    builds = {"flit-core"}
    assert {name: it.version for name, it in installed.items() if name != "mlwb"} == {
        name: version for name, version in pinned.items() if name not in builds
    }
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(SERVING / "bin" / "python"), "check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_nothing_of_research_can_be_imported(container: Container) -> None:
    """Neither pandas nor anything else that mlwb takes from the extra."""
    code = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    python = str(SERVING / "bin" / "python")
    assert container.run([python, "-c", code, *sorted(RESEARCH), "pip"]).stdout.strip() == "[]"


def test_a_command_it_cannot_run_names_the_extra(container: Container) -> None:
    """One line and exit code 2, as for any other call that cannot be; never a traceback."""
    archive = " ".join(services()["archive"]["command"])
    works = [archive, "registry status", "gate progress", "canary status"]
    calls = [*FOR_RESEARCH, *FOR_STORES, *LED_HERE, *works]
    done = container.run([str(SERVING / "bin" / "python"), "-c", WALK, *calls])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for extra, lines in (("research", FOR_RESEARCH), ("s3", FOR_STORES)):
        for line in lines:
            code, said = found.pop(line)
            assert (line, code) == (line, 2), said
            assert f"pip install 'mlwb[{extra}]'" in said, line
            assert said.count("\n") == 1, said
    for line in LED_HERE:  # they want a real candidate, and nothing of research
        code, said = found.pop(line)
        assert code in {5, 6}, (line, said)
    assert {code for code, _ in found.values()} == {0}, found


def test_a_copied_home_proves_itself(container: Container, tmp_path: Path) -> None:
    """A backup, unpacked elsewhere: the commands of the page find every byte and every link."""
    home = tmp_path / "restored"
    _with_key(container)
    shutil.copytree(container.environ["MLWB_HOME"], home, symlinks=True)
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    calls = re.findall(
        r"bin/mlwb ([a-z ]+?) *(?:#.*)?$", page.partition("## Backup")[2], re.MULTILINE
    )
    assert calls == ["registry recover", "registry doctor", "registry verify", "evidence verify",
                     "keys audit"]  # fmt: skip
    restored = Container({**container.environ, "MLWB_HOME": str(home)}, container.port)
    done = restored.run([str(SERVING / "bin" / "python"), "-c", WALK, *calls])
    assert {code for code, _ in json.loads(done.stdout).values()} == {0}, done.stdout


def test_the_image_serves(container: Container) -> None:
    """From a volume without a key to an answer, an unready but living server, and a clean end."""
    mlwb = image().start[0]
    refused = container.run(image().start)
    assert (refused.returncode, "mlwb keys add" in refused.stderr) == (2, True)
    said = container.run([mlwb, "keys", "add", "bot", "--role", "predict", "--json"])
    key = json.loads(said.stdout)["key"]
    home = Path(container.environ["MLWB_HOME"])
    with _running(container) as process:
        with PredictClient(f"http://127.0.0.1:{container.port}", api_key=key) as client:
            assert client.predict(ROW).model_version == "v2.0.0"
            checked = container.run([mlwb, "doctor", "--url", "http://serve:4010"])
            assert checked.returncode == 0, checked.stdout
            rolled = container.run([mlwb, "registry", "rollback", "--reason", "a test"])
            assert rolled.returncode == 0, rolled.stderr
            deadline = time.monotonic() + 5
            while client.predict(ROW).model_version != "v1.0.0":
                assert time.monotonic() < deadline
            (home / "artifacts" / "serve.kill").touch()
            assert client.health()["reasons"] == ["killed"]
            assert container.run(image().health).returncode == 0
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
    assert container.run(image().health).returncode == 1


def test_what_stands_beside_it_runs(container: Container) -> None:
    """Companions of the compose file, in its own words, beside a server; told to stop, they do."""
    home = Path(container.environ["MLWB_HOME"])
    _with_key(container)
    left = {
        "monitor": home / "artifacts" / "monitor" / "looks.jsonl",
        "scrape": home / "artifacts" / "metrics",
    }
    with _running(container):
        started = {
            name: container.start([image().start[0], *services()[name]["command"]]) for name in left
        }
        deadline = time.monotonic() + 30
        while not all(path.exists() for path in left.values()):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
        for name, process in started.items():
            process.terminate()
            _, errors = process.communicate(timeout=10)
            assert (process.returncode, errors) == (0, ""), name
