"""A published version: complete, sealed, and every byte accounted for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlwb.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    IncompleteVersionError,
    ParamsError,
)
from mlwb.registry import REQUIRED_FILES, Registry, VersionInfo

Publish = Callable[..., VersionInfo]
Fill = Callable[[Path, str], Path]


def test_a_version_is_published_whole(registry: Registry, publish: Publish) -> None:
    """All files, checksums and manifest are there, read-only, and it is the candidate."""
    info = publish("v1.8.1")
    names = {path.name for path in info.path.iterdir()}
    assert names == {*REQUIRED_FILES, "checksums.txt", "manifest.json"}
    assert {path.stat().st_mode & 0o777 for path in info.path.iterdir()} == {0o444}
    assert registry.versions() == ("v1.8.1",)
    assert registry.candidate() == "v1.8.1"
    assert registry.latest() is None
    assert registry.verify("v1.8.1") == ()
    assert registry.doctor() == ()


def test_the_manifest_names_every_byte(publish: Publish) -> None:
    """Oracle: hashlib over the files gives the manifest, and sha256sum's format the checksums."""
    info = publish("v1")
    manifest = json.loads((info.path / "manifest.json").read_bytes())
    assert manifest["schema"] == "mlwb.manifest/1"
    assert manifest["version"] == "v1"
    for name, entry in manifest["files"].items():
        data = (info.path / name).read_bytes()
        assert entry == {
            "sha256": "sha256:" + hashlib.sha256(data).hexdigest(),
            "size": len(data),
        }
    lines = (info.path / "checksums.txt").read_text().splitlines()
    assert {line[66:]: line[:64] for line in lines} == {
        name: entry["sha256"].removeprefix("sha256:")
        for name, entry in manifest["files"].items()
        if name != "checksums.txt"
    }
    assert info.size == sum(entry["size"] for entry in manifest["files"].values())


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_each_required_file_is_required(name: str, registry: Registry, fill: Fill) -> None:
    """A version without one of its files, or with an empty one, is not published."""
    staging = fill(registry.stage("v1"), "x")
    (staging / name).write_bytes(b"")
    with pytest.raises(IncompleteVersionError, match=name):
        registry.register("v1", staging)
    (staging / name).unlink()
    with pytest.raises(IncompleteVersionError, match=name):
        registry.register("v1", staging)
    assert registry.versions() == ()
    assert registry.doctor() == ()


def test_only_plain_files_are_published(registry: Registry, fill: Fill, tmp_path: Path) -> None:
    """A link, a directory, a pipe or a hard link to elsewhere is refused."""
    outside = tmp_path / "outside"
    outside.write_text("secret")
    makers: list[Callable[[Path], object]] = [
        lambda path: path.symlink_to(outside),
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.hardlink_to(outside),
    ]
    for number, make in enumerate(makers):
        staging = fill(registry.stage(f"v{number}"), "x")
        make(staging / "extra")
        with pytest.raises(IncompleteVersionError, match="extra"):
            registry.register(f"v{number}", staging)


def test_weights_outside_the_model_are_refused(registry: Registry, fill: Fill) -> None:
    """Oracle: onnx itself writes a model with external data; it is not published."""
    onnx = pytest.importorskip("onnx")
    import numpy as np

    weights = onnx.numpy_helper.from_array(np.ones((64, 64), dtype=np.float32), "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    shape = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [shape("x", onnx.TensorProto.FLOAT, [None, 64])],
        [shape("y", onnx.TensorProto.FLOAT, [None, 64])],
        [weights],
    )
    model = onnx.helper.make_model(graph)
    staging = fill(registry.stage("inside"), "x")
    (staging / "model.onnx").write_bytes(model.SerializeToString())
    registry.register("inside", staging)
    staging = fill(registry.stage("outside"), "x")
    onnx.save_model(
        model,
        staging / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    with pytest.raises(IncompleteVersionError, match="outside itself"):
        registry.register("outside", staging)


def test_a_version_never_changes(registry: Registry, publish: Publish, fill: Fill) -> None:
    """A name is used once, whatever its case, even after its directory is gone."""
    info = publish("v1")
    staging = registry.stage("v2")
    for name in ("v1", "V1"):
        with pytest.raises(ArtifactError, match="already published"):
            registry.stage(name)
        with pytest.raises(ArtifactError, match="already published"):
            registry.register(name, fill(staging, "y"))
    for path in info.path.iterdir():
        path.unlink()
    info.path.rmdir()
    with pytest.raises(ArtifactError, match="already published"):
        registry.stage("v1")


@pytest.mark.parametrize(
    "name",
    ["latest", "candidate", "previous", "", ".", "..", "../v1", "a/b", "v1\n", ".v1", "x" * 65],
)
def test_names_that_are_no_versions(name: str, registry: Registry) -> None:
    """Reserved names, paths and hidden names are refused before anything is made."""
    with pytest.raises(ParamsError):
        registry.stage(name)
    assert not registry.models_dir.exists()


def test_every_tampered_byte_is_found(registry: Registry, publish: Publish) -> None:
    """Flip any byte of any file of a version: verify and doctor name that file."""
    info = publish("v1")
    for path in sorted(info.path.iterdir()):
        data = path.read_bytes()
        path.chmod(0o644)
        for place in range(0, len(data), max(1, len(data) // 40)):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            assert path.name in " ".join(str(problem) for problem in registry.doctor())
        path.write_bytes(data)
    assert registry.doctor() == ()


def test_added_removed_and_swapped_files_are_found(registry: Registry, publish: Publish) -> None:
    """Extra, missing, linked and exchanged files are each named with what is wrong."""
    info = publish("v1")

    def found() -> list[tuple[str, str]]:
        return [(problem.kind, problem.where) for problem in registry.verify("v1")]

    (info.path / ".hidden").write_text("x")
    assert found() == [("extra", "v1/.hidden")]
    (info.path / ".hidden").unlink()
    (info.path / "bench.json").rename(info.path / "kept")
    assert found() == [("extra", "v1/kept"), ("missing", "v1/bench.json")]
    (info.path / "bench.json").symlink_to("kept")
    assert ("tampered", "v1/bench.json") in found()
    (info.path / "bench.json").unlink()
    (info.path / "kept").rename(info.path / "bench.json")
    assert found() == []


def test_a_rewritten_manifest_is_found(registry: Registry, publish: Publish) -> None:
    """A changed file with a manifest made to fit is found by the log's own digest."""
    info = publish("v1")
    path = info.path / "model.onnx"
    path.chmod(0o644)
    path.write_bytes(b"another model")
    manifest = json.loads((info.path / "manifest.json").read_bytes())
    manifest["files"]["model.onnx"] = {
        "sha256": "sha256:" + hashlib.sha256(b"another model").hexdigest(),
        "size": 13,
    }
    (info.path / "manifest.json").chmod(0o644)
    (info.path / "manifest.json").write_text(json.dumps(manifest, sort_keys=True))
    assert [problem.kind for problem in registry.verify("v1")] == ["tampered"]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"files":[]}', b"\xff", b'{"version":1}']
)
def test_an_unreadable_manifest_is_an_incomplete_version(
    data: bytes, registry: Registry, publish: Publish
) -> None:
    """Junk in place of the manifest is one clear error, and a problem for doctor."""
    info = publish("v1")
    (info.path / "manifest.json").chmod(0o644)
    (info.path / "manifest.json").write_bytes(data)
    with pytest.raises(IncompleteVersionError):
        registry.show("v1")
    assert [problem.kind for problem in registry.doctor()] == ["incomplete"]


def test_a_version_nobody_registered_is_named(registry: Registry, publish: Publish) -> None:
    """A directory copied in by hand is no version of this registry."""
    info = publish("v1")
    stranger = registry.models_dir / "v9"
    stranger.mkdir()
    for path in info.path.iterdir():
        (stranger / path.name).write_bytes(path.read_bytes())
    assert {problem.kind for problem in registry.verify("v9")} == {"tampered", "unlisted"}
    with pytest.raises(ArtifactError, match="never registered"):
        registry.promote("v9", decision={}, expect_current=None, reason="sneak in")


def test_absent_versions_are_named(registry: Registry, publish: Publish) -> None:
    """Asking for what is not there says so, and what there is."""
    with pytest.raises(ArtifactNotFoundError, match="latest"):
        registry.resolve("latest")
    publish("v1")
    with pytest.raises(ArtifactNotFoundError, match="v1"):
        registry.show("v2")
