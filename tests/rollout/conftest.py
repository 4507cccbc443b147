"""A home for rollouts that ask a scripted server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlwb.core.clock import SystemClock
from mlwb.registry import Registry
from tests.rollout.rollout_kit import Place, place


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Champion and candidate are the same model; only ever copied."""
    return place(tmp_path_factory.mktemp("place")).root


@pytest.fixture
def at(tmp_path: Path, template: Path, unsynced: object) -> Place:  # noqa: ARG001 - not on disk
    """A home of its own."""
    shutil.copytree(template, tmp_path / "home", symlinks=True)
    root = tmp_path / "home"
    return Place(root, Registry(root / "artifacts" / "models", clock=SystemClock()))
