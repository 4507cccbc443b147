"""Killed at any step, the registry keeps one readable latest and finishes or forgets the change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.registry import Registry, VersionInfo
from mlwb.registry._version import is_intact

Decide = Callable[..., dict[str, Any]]
DieAt = Callable[[int, Callable[[], object]], bool]
Fill = Callable[[Path, str], Path]


def _every_step(
    home: Path, action: Callable[[Registry], object], *, die_at: DieAt, clock: ManualClock
) -> list[Registry]:
    """Copies of a registry, each killed one step later in an action, the last one not at all."""
    copies: list[Registry] = []
    was_killed = True
    while was_killed:
        copy = home.with_name(f"crash-{len(copies)}")
        shutil.copytree(home, copy, symlinks=True)
        registry = Registry(copy / "models", clock=clock)
        was_killed = die_at(len(copies) + 1, partial(action, registry))
        copies.append(registry)
    return copies


def _check_readable(registry: Registry, allowed: set[str]) -> None:
    """Before any repair a reader finds one whole version behind latest."""
    path = registry.resolve("latest")
    assert path.name in allowed
    assert registry.verify(path.name) == ()


def test_a_promotion_survives_a_crash_at_any_step(
    serving: Registry, yes: Decide, die_at: DieAt, clock: ManualClock
) -> None:
    """Latest is the old or the new version, whole; repair is idempotent; then work goes on."""
    decision = yes("v3")
    assert serving.backup() is not None, "taken here, so that the steps below are the promotion's"

    def promote(registry: Registry) -> None:
        registry.promote("v3", decision=decision, expect_current="v2", reason="better")

    home = serving.models_dir.parent
    copies = _every_step(home, promote, die_at=die_at, clock=clock)
    assert len(copies) > 12
    outcomes = []
    for registry in copies:
        _check_readable(registry, {"v2", "v3"})
        before = registry.latest()
        assert registry.recover() == ()
        state = registry.state()
        assert registry.latest() == state.latest == before
        assert registry.recover() == ()
        assert registry.state() == state
        outcomes.append(before)
        if before == "v2":
            promote(registry)
        assert registry.rollback(reason="check").latest == "v2"
        assert registry.doctor() == ()
    assert outcomes == sorted(outcomes, key=str)
    assert set(outcomes) == {"v2", "v3"}


def test_a_rollback_survives_a_crash_at_any_step(
    serving: Registry, die_at: DieAt, clock: ManualClock
) -> None:
    """As for a promotion, on the way back."""

    def rollback(registry: Registry) -> None:
        registry.rollback(reason="drift")

    home = serving.models_dir.parent
    for registry in _every_step(home, rollback, die_at=die_at, clock=clock):
        _check_readable(registry, {"v1", "v2"})
        before = registry.latest()
        assert registry.recover() == ()
        assert registry.latest() == registry.state().latest == before


@pytest.mark.slow
def test_publishing_survives_a_crash_at_any_step(
    serving: Registry, fill: Fill, die_at: DieAt, clock: ManualClock
) -> None:
    """A version is published whole or not at all; either way its name, or the next, can be used."""

    def register(registry: Registry) -> VersionInfo:
        return registry.register("v4", fill(registry.stage("v4"), "four"))

    home = serving.models_dir.parent
    for registry in _every_step(home, register, die_at=die_at, clock=clock):
        _check_readable(registry, {"v2"})
        assert registry.recover() == ()
        assert ("v4" in registry.versions()) == ("v4" in registry.state().registered)
        if "v4" not in registry.versions():
            register(registry)
        assert registry.candidate() == "v4"
        assert registry.verify("v4") == ()


@pytest.mark.slow
def test_a_crash_while_backing_up_leaves_nothing_half_copied(
    serving: Registry, die_at: DieAt, clock: ManualClock
) -> None:
    """A backup is there whole or not at all, and the registry is as it was."""
    home = serving.models_dir.parent
    for registry in _every_step(home, Registry.backup, die_at=die_at, clock=clock)[::3]:
        copies = sorted((registry.models_dir.parent / "backups").glob("*-v2/v2"))
        assert all(is_intact(copy, sha256=serving.show("v2").sha256) for copy in copies)
        assert registry.doctor() == ()


@pytest.mark.slow
def test_restoring_survives_a_crash_at_any_step(
    serving: Registry, die_at: DieAt, clock: ManualClock
) -> None:
    """A damaged version comes back whole, at once or after repair and another try."""
    damaged = serving.models_dir / "v1" / "model.onnx"
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged")

    def restore(registry: Registry) -> VersionInfo:
        return registry.restore("v1")

    home = serving.models_dir.parent
    for registry in _every_step(home, restore, die_at=die_at, clock=clock):
        _check_readable(registry, {"v2"})
        damaged_still = registry.recover()
        assert "v1" in registry.versions(), "set aside and not replaced"
        if damaged_still:
            restore(registry)
        assert registry.verify("v1") == ()
        assert registry.doctor() == ()


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_dangling_intent_is_closed_by_what_is_on_disk(
    version: str, serving: Registry, yes: Decide
) -> None:
    """Begun and not ended: committed when latest points there, aborted when not."""
    journal = serving._journal
    journal.begin("promote", "v3", manifest_sha256=serving.show("v3").sha256)
    link = serving.models_dir / "latest"
    link.unlink()
    link.symlink_to(version)
    assert "dangling" in {problem.kind for problem in serving.doctor()}
    assert serving.recover() == ()
    assert serving.state().latest == version
    if version == "v2":
        serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="again")
        assert serving.latest() == "v3"
