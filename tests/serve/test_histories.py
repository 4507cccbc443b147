"""Whatever happens to versions, links and log: only what is announced and intact is taken up."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.clock import SystemClock
from mlwb.core.errors import MlwbError
from mlwb.registry import Registry
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import WEIGHTS, logistic, point
from tests.serve.asgi_kit import call
from tests.serve.registry_kit import OTHER, begin, promote, publish

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
VERSIONS = {"v1.0.0": WEIGHTS, "v2.0.0": OTHER, "v3.0.0": (0.2, 0.3, -0.1, 0.4)}
SCORES = {name: float(logistic(np.array(ROW), weights)) for name, weights in VERSIONS.items()}

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["promote", "rollback", "point", "damage", "mend", "unlink", "cut log", "mend log"]
        ),
        st.sampled_from(sorted(VERSIONS)),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A registry where `v1.0.0` was bootstrapped and the others wait; only ever copied."""
    with tempfile.TemporaryDirectory() as folder:
        registry = begin(Path(folder) / "artifacts" / "models")
        for version in ("v2.0.0", "v3.0.0"):
            publish(registry, version, VERSIONS[version])
        yield registry.models_dir.parent


class _World:
    """A registry that things happen to, and what a reader of its files knows to be true."""

    def __init__(self, artifacts: Path) -> None:
        self.models, self.log = artifacts / "models", artifacts / "promotions.log"
        self.registry = Registry(self.models, clock=SystemClock())
        self.damaged: dict[str, bytes] = {}
        self.whole: bytes | None = None

    def do(self, what: str, version: str) -> None:
        """One step; what the registry refuses did not happen."""
        steps: dict[str, Callable[[], object]] = {
            "promote": lambda: promote(self.registry, version),
            "rollback": lambda: self.registry.rollback(version, reason="a step"),
            "point": lambda: point(self.models, "latest", version),
            "damage": lambda: self._damage(version),
            "mend": lambda: self._mend(version),
            "unlink": lambda: (self.models / "latest").unlink(missing_ok=True),
            "cut log": self._cut,
            "mend log": self._mend_log,
        }
        with contextlib.suppress(MlwbError):
            steps[what]()

    @property
    def wanted(self) -> str | None:
        """What a server is to take up: announced by a whole log, linked to, and intact."""
        link = self.models / "latest"
        linked = link.readlink().name if link.is_symlink() else None
        try:
            announced = self.registry.state().latest
        except MlwbError:
            announced = None
        return linked if linked == announced and linked not in self.damaged else None

    def _damage(self, version: str) -> None:
        path = self.models / version / "model.onnx"
        data = path.read_bytes()
        self.damaged.setdefault(version, data)
        path.chmod(0o644)
        path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
        if path.read_bytes() == self.damaged[version]:
            del self.damaged[version]  # the same byte flipped twice

    def _mend(self, version: str) -> None:
        if version in self.damaged:
            (self.models / version / "model.onnx").write_bytes(self.damaged.pop(version))

    def _cut(self) -> None:
        self.whole = self.whole or self.log.read_bytes()
        lines = self.log.read_bytes().splitlines(keepends=True)
        self.log.write_bytes(b"".join(lines[:-2]))

    def _mend_log(self) -> None:
        if self.whole is not None:
            self.log.write_bytes(self.whole)
            self.whole = None


def _answered(app: App) -> str:
    """Which version answers; its score is its own, and the server is ready."""
    reply = call(app, "/ml/predict", BODY)
    assert reply.status == 200
    said = reply.json()
    assert said["score"] == pytest.approx(SCORES[said["model_version"]], abs=1e-12)
    assert call(app, "/ml/health/ready").status == 200
    return str(said["model_version"])


@pytest.mark.slow
@settings(max_examples=25)
@given(steps=STEPS)
def test_only_what_is_announced_and_intact_is_taken_up(
    template: Path, steps: list[tuple[str, str]]
) -> None:
    """Else the last good version goes on; no request fails, and health says whether all is well."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(template, Path(folder) / "artifacts", symlinks=True)
        world = _World(Path(folder) / "artifacts")
        app = create_app(ServeSettings(world.models, unaudited="refuse"))
        served = _answered(app)
        assert served == "v1.0.0"
        for what, version in steps:
            world.do(what, version)
            app.state.refresh()
            served = world.wanted or served
            assert _answered(app) == served, (what, version)
            is_well = call(app, "/ml/health").json()["reasons"] == []
            assert is_well or world.wanted is None or app.state.candidate.problem
