"""Small versions in a real registry, with its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlwb.core.clock import Clock, SystemClock
from mlwb.inference import Sidecar
from mlwb.registry import REQUIRED_FILES, Registry, RemoteRegistry
from tests.inference.version_kit import WEIGHTS, add_reference, write_version

__all__ = ["OTHER", "begin", "promote", "publish", "yes"]

OTHER = (0.9, -1.0, 0.2, 0.1)
"""Weights whose scores are far from the usual ones."""


def publish(
    registry: Registry,
    version: str,
    weights: Sequence[float] = WEIGHTS,
    *,
    sidecar: Sidecar | None = None,
    reference_days: int = 0,
) -> None:
    """Register a version; it becomes the candidate. With days, it has a drift reference of them."""
    folder = registry.models_dir.parent / "made"
    made = write_version(folder, version, weights=weights, sidecar=sidecar)
    if reference_days:
        add_reference(made, weights, days=reference_days)
    staging = registry.stage(version)
    for name in REQUIRED_FILES:
        path = made / name
        (staging / name).write_bytes(path.read_bytes() if path.is_file() else b"content\n")
    registry.register(version, staging)


def yes(registry: Registry | RemoteRegistry, version: str) -> dict[str, Any]:
    """A decision to promote a version, as no gate ever made it."""
    details = {
        "promote": True,
        "reasons": [],
        "model_version": version,
        "manifest_sha256": registry.show(version).sha256,
        "verdicts": [],
    }
    return {"kind": "decision", "run_id": f"decision-{version}", "details": details}


def promote(registry: Registry, version: str) -> None:
    """Make a published version `latest`."""
    registry.promote(
        version,
        decision=yes(registry, version),
        expect_current=registry.latest(),
        reason="a test",
    )


def begin(models: Path, clock: Clock | None = None) -> Registry:
    """A registry where `v1.0.0` was bootstrapped."""
    registry = Registry(models, clock=clock or SystemClock())
    publish(registry, "v1.0.0")
    registry.promote("v1.0.0", decision=None, expect_current=None, reason="first", bootstrap=True)
    return registry
