"""Copies of latest, and the way back from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.errors import ArtifactError, ArtifactNotFoundError, IncompleteVersionError
from mlwb.registry import Registry, VersionInfo

Publish = Callable[..., VersionInfo]
Decide = Callable[..., dict[str, Any]]


def test_each_promotion_leaves_a_copy_and_three_are_kept(
    serving: Registry, publish: Publish, yes: Decide
) -> None:
    """A version is copied when it is published; old copies go."""
    for number in range(3, 8):
        version = f"v{number}"
        if number > 3:
            publish(version)
        serving.promote(
            version, decision=yes(version), expect_current=f"v{number - 1}", reason="next"
        )
    shelf = serving.models_dir.parent / "backups"
    assert [path.name[9:] for path in sorted(shelf.iterdir())] == ["v5", "v6", "v7"]


def test_a_backup_holds_the_bytes_and_the_log(serving: Registry) -> None:
    """The copy is latest, file by file, with the log as it was."""
    copy = serving.backup()
    assert copy is not None
    for path in serving.resolve("latest").iterdir():
        assert (copy / "v2" / path.name).read_bytes() == path.read_bytes()
    log = serving.models_dir.parent / "promotions.log"
    assert (copy / "promotions.log").read_bytes() == log.read_bytes()
    assert serving.backup() == copy


def test_there_is_nothing_to_back_up_before_the_first_version(registry: Registry) -> None:
    """An empty registry gives no copy and no error."""
    assert registry.backup() is None


@pytest.mark.parametrize("loss", ["tampered", "file removed", "all removed"])
def test_a_lost_version_is_restored(loss: str, serving: Registry) -> None:
    """Damaged or gone, latest comes back byte for byte; the damaged one is set aside."""
    serving.backup()
    path, before = serving.resolve("latest"), serving.show("latest")
    model = path / "model.onnx"
    if loss == "tampered":
        model.chmod(0o644)
        model.write_bytes(b"?")
    elif loss == "file removed":
        model.unlink()
    else:
        fsops.remove_tree(path)
    assert serving.doctor()
    assert serving.restore("v2") == before
    assert serving.doctor() == ()
    quarantine = serving.models_dir.parent / "quarantine"
    assert quarantine.exists() == (loss != "all removed")


def test_a_damaged_copy_is_not_restored(serving: Registry) -> None:
    """A copy is checked like a version: a damaged one is passed over for an older intact one."""
    serving.backup()
    copies = sorted((serving.models_dir.parent / "backups").glob("*-v2/v2/model.onnx"))
    fsops.remove_tree(serving.resolve("v2"))
    for copy in copies:
        copy.chmod(0o644)
        copy.write_bytes(b"?")
    with pytest.raises(IncompleteVersionError, match="no backup of v2 is intact"):
        serving.restore("v2")


def test_what_needs_no_restoring_is_left_alone(serving: Registry) -> None:
    """An intact version is not touched, an unknown one not invented."""
    with pytest.raises(ArtifactError, match="in order"):
        serving.restore("v1")
    with pytest.raises(ArtifactNotFoundError, match="never registered"):
        serving.restore("v9")
    fsops.remove_tree(serving.models_dir / "v3")
    fsops.remove_tree(serving.models_dir.parent / "backups")
    with pytest.raises(ArtifactNotFoundError, match="no backup"):
        serving.restore("v3")


def test_the_first_version_has_a_copy_too(registry: Registry, publish: Publish) -> None:
    """A champion with nothing before it comes back by one command when its bytes go bad."""
    publish("v1")
    registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
    model = registry.models_dir / "v1" / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(b"?")
    assert registry.doctor()
    registry.restore("v1")
    assert registry.doctor() == ()


def test_copies_of_what_serves_outlive_newer_ones(serving: Registry, publish: Publish) -> None:
    """However many candidates are published, latest and previous keep a copy."""
    for number in range(4, 9):
        publish(f"v{number}")
    shelf = serving.models_dir.parent / "backups"
    assert [path.name[9:] for path in sorted(shelf.iterdir())] == ["v1", "v2", "v6", "v7", "v8"]


def test_a_promotion_makes_the_copy_that_is_missing(serving: Registry, yes: Decide) -> None:
    """A version published before copies were made has one before it serves."""
    fsops.remove_tree(serving.models_dir.parent / "backups")
    serving.promote("v3", decision=yes("v3"), expect_current="v2", reason="better")
    fsops.remove_tree(serving.models_dir / "v3")
    serving.restore("v3")
    assert serving.doctor() == ()
