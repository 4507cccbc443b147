"""A models directory with one version behind `latest`, and an application over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import point, write_version


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
