"""File operations: what is there after each, and after each went wrong."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core import fsops


def _no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _names(path: Path) -> list[str]:
    return sorted(child.name for child in path.iterdir())


def test_write_new_never_replaces(tmp_path: Path) -> None:
    """A file that is there stays as it was."""
    fsops.write_new(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        fsops.write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When writing fails, new files are gone, replaced ones are as before."""
    fsops.write_atomic(tmp_path / "a", b"first")
    monkeypatch.setattr(os, "write", _no_space)
    with pytest.raises(OSError, match="space"):
        fsops.write_atomic(tmp_path / "a", b"second")
    with pytest.raises(OSError, match="space"):
        fsops.write_new(tmp_path / "b", b"new")
    assert _names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"first"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that takes one byte at a time still gets all of them."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1]))
    fsops.write_atomic(tmp_path / "a", b"all of it")
    fsops.append_line(tmp_path / "log", b"a line")
    assert (tmp_path / "a").read_bytes() == b"all of it"
    assert (tmp_path / "log").read_bytes() == b"a line\n"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=5),
    st.binary(max_size=9),
)
def test_last_line_agrees_with_split(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes
) -> None:
    """Oracle: splitting the whole file finds the same last line and the same torn rest."""
    torn = torn.replace(b"\n", b"")
    path = tmp_path_factory.mktemp("lines") / "log"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + torn)
    assert fsops.last_line(path) == (lines[-1] if lines else b"", len(torn))
    assert fsops.drop_torn_tail(path) == len(torn)
    assert path.read_bytes() == b"".join(line + b"\n" for line in lines)


def test_last_line_of_nothing(tmp_path: Path) -> None:
    """A missing file has no last line and nothing torn."""
    assert fsops.last_line(tmp_path / "none") == (b"", 0)
    assert fsops.drop_torn_tail(tmp_path / "none") == 0


def test_link_new_never_replaces(tmp_path: Path) -> None:
    """A second name is given once; a taken name stays as it was."""
    fsops.write_new(tmp_path / "a", b"first")
    fsops.link_new(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"first"
    fsops.write_new(tmp_path / "c", b"other")
    with pytest.raises(FileExistsError):
        fsops.link_new(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"other"


def test_link_new_copies_where_links_are_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without hard links gets a copy, and still never replaces."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    fsops.write_new(tmp_path / "a", b"first")
    fsops.link_new(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"first"
    with pytest.raises(FileExistsError):
        fsops.link_new(tmp_path / "a", tmp_path / "b")


def test_rename_dir_never_replaces(tmp_path: Path) -> None:
    """A taken name is refused, even an empty directory or a dangling link."""
    for name in ("a", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    for taken in ("empty", "dangling"):
        with pytest.raises(FileExistsError):
            fsops.rename_dir(tmp_path / "a", tmp_path / taken)
    fsops.rename_dir(tmp_path / "a", tmp_path / "new" / "b")
    assert (tmp_path / "new" / "b").is_dir()


def test_replace_link_points_and_repoints(tmp_path: Path) -> None:
    """A link is made, moved and read; nothing is left beside it."""
    assert fsops.read_link(tmp_path / "latest") is None
    for version in ("v1", "v2"):
        fsops.replace_link(tmp_path / "latest", version)
        assert fsops.read_link(tmp_path / "latest") == version
    assert _names(tmp_path) == ["latest"]


def test_pointer_file_where_links_are_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without symbolic links a small text file says the same."""

    def refuse(*_: object) -> None:
        raise PermissionError("a privilege is needed")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    fsops.replace_link(tmp_path / "latest", "v1")
    assert (tmp_path / "latest").read_bytes() == b"v1\n"
    assert fsops.read_link(tmp_path / "latest") == "v1"


def test_copy_tree_copies_files_and_refuses_links(tmp_path: Path) -> None:
    """Nested files come over byte for byte; a link is refused rather than followed."""
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "a").write_bytes(b"\x00data")
    fsops.copy_tree(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to" / "deep" / "a").read_bytes() == b"\x00data"
    (tmp_path / "from" / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="neither"):
        fsops.copy_tree(tmp_path / "from", tmp_path / "again")


def test_remove_tree_does_not_follow_links(tmp_path: Path) -> None:
    """What a link inside points at survives; so does removing what is not there."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_bytes(b"a")
    (tmp_path / "gone" / "deep").mkdir(parents=True)
    (tmp_path / "gone" / "deep" / "link").symlink_to(tmp_path / "kept")
    fsops.remove_tree(tmp_path / "gone")
    fsops.remove_tree(tmp_path / "gone")
    assert _names(tmp_path) == ["kept"]
    assert (tmp_path / "kept" / "a").exists()


def test_seal_tree_makes_files_read_only(tmp_path: Path) -> None:
    """Every file, also below, loses its write bits."""
    (tmp_path / "v" / "deep").mkdir(parents=True)
    for path in (tmp_path / "v" / "a", tmp_path / "v" / "deep" / "b"):
        path.write_bytes(b"x")
    fsops.seal_tree(tmp_path / "v")
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "v").rglob("*") if path.is_file()]
    assert modes == [0o444, 0o444]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux to name descriptors")
def test_durable_order_of_a_replacement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is synced before the rename, the directory after it."""
    seen: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(descriptor: int) -> None:
        kind = "dir" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"
        seen.append(f"fsync {kind}")
        fsync(descriptor)

    def record_replace(self: Path, target: Path) -> Path:
        seen.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    fsops.write_atomic(tmp_path / "a", b"x")
    assert seen == ["fsync file", "rename", "fsync dir"]
