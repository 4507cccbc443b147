"""Versions that go: nothing needed is removed, nothing damaged stays in the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.errors import ArtifactError, ArtifactNotFoundError, IncompleteVersionError
from mlwb.registry import Registry, VersionInfo

Publish = Callable[..., VersionInfo]
Decide = Callable[..., dict[str, Any]]


@pytest.fixture
def crowded(serving: Registry, publish: Publish) -> Registry:
    """v1 and v2 were in production, v3 to v8 were only published."""
    for number in range(4, 9):
        publish(f"v{number}")
    return serving


def _lose(registry: Registry, version: str) -> None:
    """Damage a version and every copy of it."""
    fsops.remove_tree(registry.models_dir.parent / "backups")
    model = registry.models_dir / version / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(b"?")


def test_garbage_is_old_never_served_and_not_cited(crowded: Registry) -> None:
    """Kept: the last three, whatever was latest, what a decision cites."""
    assert crowded.garbage() == ("v3", "v4", "v5")
    assert crowded.garbage(cited={"v4"}) == ("v3", "v5")


def test_looking_at_garbage_removes_nothing(crowded: Registry) -> None:
    """Naming it is the dry run."""
    before = crowded.versions()
    crowded.garbage()
    assert crowded.versions() == before


def test_collecting_removes_exactly_the_garbage(crowded: Registry) -> None:
    """It is gone, the rest is whole, and a second time there is nothing to do."""
    assert crowded.collect(cited={"v4"}) == ("v3", "v5")
    assert crowded.versions() == ("v1", "v2", "v4", "v6", "v7", "v8")
    assert crowded.doctor() == ()
    assert crowded.collect(cited={"v4"}) == ()


@pytest.mark.parametrize("name", ["v3", "V3"])
def test_a_collected_name_stays_taken(name: str, crowded: Registry) -> None:
    """A name never comes to mean other bytes."""
    crowded.collect()
    with pytest.raises(ArtifactError, match="already published"):
        crowded.stage(name)


def test_a_small_registry_has_no_garbage(serving: Registry) -> None:
    """Three versions are three kept."""
    assert serving.collect() == ()


def test_a_lost_champion_is_set_aside_for_the_one_before(serving: Registry) -> None:
    """No backup, damaged: after quarantine the version before serves."""
    _lose(serving, "v2")
    with pytest.raises(ArtifactNotFoundError, match="mlwb registry quarantine v2"):
        serving.restore("v2")
    assert serving.quarantine("v2", reason="disk error").latest == "v1"
    assert (serving.latest(), serving.previous()) == ("v1", None)
    assert serving.doctor() == ()
    assert "v2" not in serving.versions()


def test_the_only_champion_lost_makes_room_for_a_first_one(
    registry: Registry, publish: Publish
) -> None:
    """With nothing before it the registry has no latest, and can be bootstrapped again."""
    publish("v1")
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    _lose(registry, "v1")
    assert registry.quarantine("v1", reason="disk error").latest is None
    assert registry.latest() is None
    assert registry.doctor() == ()
    publish("v2")
    registry.promote("v2", decision=None, expect_current=None, reason="again", bootstrap=True)
    assert registry.doctor() == ()
    assert registry.latest() == "v2"


def test_a_version_that_is_gone_is_quarantined_too(serving: Registry) -> None:
    """The directory removed by hand leaves only the log to put right."""
    fsops.remove_tree(serving.models_dir / "v3")
    serving.quarantine("v3", reason="removed by hand")
    assert serving.doctor() == ()
    assert serving.candidate() is None


def test_what_is_in_order_is_not_set_aside(serving: Registry) -> None:
    """Quarantine is for damage; so is no way to go round a decision."""
    with pytest.raises(ArtifactError, match="in order"):
        serving.quarantine("v2", reason="x")
    with pytest.raises(ArtifactNotFoundError, match="not registered"):
        serving.quarantine("v9", reason="x")


def test_versions_are_compared_by_record_and_files(registry: Registry) -> None:
    """Each differing key of the training record and each differing file, and nothing else."""
    from mlwb.registry import REQUIRED_FILES

    for version, auc in (("v1", "0.6"), ("v2", "0.7")):
        staging = registry.stage(version)
        for name in REQUIRED_FILES:
            (staging / name).write_text("same\n")
        record = f'{{"offline_metrics": {{"auc": {auc}}}, "features": ["a"]}}'
        (staging / "training_manifest.json").write_text(record)
        registry.register(version, staging)
    found = registry.compare("v1", "v2")
    assert [(d.where, d.name) for d in found] == [
        ("training", "offline_metrics.auc"),
        ("files", "checksums.txt"),
        ("files", "training_manifest.json"),
    ]
    assert (found[0].before, found[0].after) == (0.6, 0.7)
    assert registry.compare("v1", "v1") == ()


def test_a_record_that_cannot_be_read_is_not_compared(serving: Registry) -> None:
    """No JSON is an error that names the file."""
    with pytest.raises(IncompleteVersionError, match=r"training_manifest\.json"):
        serving.compare("v1", "v2")
