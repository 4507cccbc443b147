"""Directories of versions, with and without a registry, and an application over one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlwb.core.clock import SystemClock
from mlwb.registry import Registry
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import point, write_version
from tests.serve.registry_kit import OTHER, begin, promote, publish


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """`v1.0.0` behind `latest`."""
    folder = tmp_path / "artifacts" / "models"
    write_version(folder, "v1.0.0")
    point(folder, "latest", "v1.0.0")
    return folder


@pytest.fixture
def app(models: Path) -> App:
    """A server over `models`, without logs."""
    return create_app(ServeSettings(models))


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`artifacts/` of :func:`registry`; only ever copied."""
    artifacts = tmp_path_factory.mktemp("registry") / "artifacts"
    found = begin(artifacts / "models")
    publish(found, "v2.0.0", OTHER)
    promote(found, "v2.0.0")
    publish(found, "v3.0.0")
    return artifacts


@pytest.fixture
def registry(registry_template: Path, tmp_path: Path) -> Registry:
    """`v1.0.0` was bootstrapped, `v2.0.0` promoted over it, `v3.0.0` waits."""
    artifacts = tmp_path / "artifacts"
    shutil.copytree(registry_template, artifacts, symlinks=True)
    return Registry(artifacts / "models", clock=SystemClock())
