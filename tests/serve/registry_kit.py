"""Small versions in a real registry, with its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlwb.core.clock import Clock, SystemClock
from mlwb.registry import REQUIRED_FILES, Registry
from tests.inference.version_kit import WEIGHTS, write_version

__all__ = ["OTHER", "begin", "promote", "publish", "yes"]

OTHER = (0.9, -1.0, 0.2, 0.1)
"""Weights whose scores are far from the usual ones."""

_WRITTEN = ("model.onnx", "sidecar.json", "golden_predictions.json")


def publish(registry: Registry, version: str, weights: Sequence[float] = WEIGHTS) -> None:
    """Register a version; it becomes the candidate."""
    made = write_version(registry.models_dir.parent / "made", version, weights=weights)
    staging = registry.stage(version)
    for name in REQUIRED_FILES:
        data = (made / name).read_bytes() if name in _WRITTEN else b"content\n"
        (staging / name).write_bytes(data)
    registry.register(version, staging)


def yes(registry: Registry, version: str) -> dict[str, Any]:
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
