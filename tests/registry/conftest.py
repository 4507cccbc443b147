"""Versions to publish, decisions to promote them, and a way to die at every step."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.registry import REQUIRED_FILES, Registry, VersionInfo
from tests.registry.s3_kit import s3_server

Publish = Callable[..., VersionInfo]
Decide = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """Tests of a registry do not wait for the disk."""


@pytest.fixture
def registry(tmp_path: Path, clock: ManualClock) -> Registry:
    """An empty registry."""
    return Registry(tmp_path / "artifacts" / "models", clock=clock)


@pytest.fixture
def fill() -> Callable[[Path, str], Path]:
    """Write the files of a version into a directory."""

    def write(staging: Path, content: str) -> Path:
        for name in REQUIRED_FILES:
            (staging / name).write_text(f"{name} {content}\n")
        return staging

    return write


@pytest.fixture
def publish(registry: Registry, fill: Callable[[Path, str], Path]) -> Publish:
    """Publish a version with content of its own."""

    def run(version: str) -> VersionInfo:
        return registry.register(version, fill(registry.stage(version), version))

    return run


@pytest.fixture
def yes(registry: Registry) -> Decide:
    """A decision to promote a published version; keywords replace its details."""

    def decide(version: str, **changes: Any) -> dict[str, Any]:
        details = {
            "promote": True,
            "reasons": [],
            "model_version": version,
            "manifest_sha256": registry.show(version).sha256,
            "verdicts": [{"gate": "confirmation", "evidence": [{"run_id": f"yes-{version}"}]}],
            **changes,
        }
        return {"kind": "decision", "run_id": f"decision-{version}", "details": details}

    return decide


@pytest.fixture
def serving(registry: Registry, publish: Publish, yes: Decide) -> Registry:
    """A registry where v1 was bootstrapped, v2 promoted over it and v3 is the candidate."""
    publish("v1")
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    publish("v2")
    registry.promote("v2", decision=yes("v2"), expect_current="v1", reason="better")
    publish("v3")
    return registry


@pytest.fixture
def memory_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where the machine has one: many small files, soon removed."""
    shared = Path("/dev/shm")  # noqa: S108 - memory
    if not (shared.is_dir() and os.access(shared, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def s3_environ(peers_python: str) -> Iterator[dict[str, str]]:
    """One such server for all tests."""
    with s3_server(peers_python) as (_, environ):
        yield environ


@pytest.fixture
def s3_url(s3_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of its own on that server; the environment leads there."""
    for name, value in s3_environ.items():
        monkeypatch.setenv(name, value)
    return f"s3://models/{secrets.token_hex(8)}"
