"""Every file operation of registry and evidence, in one module.

Durability rule: file content is durable after :func:`fsync_file`, a directory entry only after
:func:`fsync_dir` of its parent. Publishing is: write beside the target, fsync, rename, fsync
the directory.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

__all__ = [
    "append_line",
    "fsync_dir",
    "fsync_file",
    "read_bytes",
    "read_link",
    "remove_tree",
    "rename_dir",
    "replace_link",
    "write_atomic",
    "write_new",
]


def read_bytes(path: Path) -> bytes:
    """All bytes of a file."""
    return path.read_bytes()


def fsync_file(path: Path) -> None:
    """Make the content of a written file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_dir(path: Path) -> bool:
    """Make the entries of a directory durable; False where the file system cannot."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except (PermissionError, NotADirectoryError):
        return False
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def _write(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Create a file that must not exist, durably.

    Raises
    ------
    FileExistsError
        ``path`` is already there; it is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(path, data, mode)
    except FileExistsError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file in one step: readers see the old bytes or the new, never a mixture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        _write(beside, data, mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Append one line and make it durable.

    Parameters
    ----------
    path : Path
        Created when missing.
    line : bytes
        Without a newline; must not hold one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    created = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        view = memoryview(line + b"\n")
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if created:
        fsync_dir(path.parent)


def rename_dir(source: Path, target: Path) -> None:
    """Publish a finished directory under its name, durably.

    Raises
    ------
    FileExistsError
        ``target`` is already there; nothing moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() or target.is_symlink():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        raise
    fsync_dir(target.parent)


def read_link(path: Path) -> str | None:
    """Target text of a symlink (or content of a pointer file), None when there is none."""
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL and path.is_file():
            return path.read_text(encoding="utf-8").strip()
        raise


def replace_link(path: Path, target: str) -> None:
    """Point ``path`` at ``target`` by rename: readers resolve the old or the new, never nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        beside.symlink_to(target)
    except (NotImplementedError, PermissionError):
        write_atomic(path, target.encode() + b"\n")
        return
    try:
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory and what it holds; a missing one is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    if not path.is_dir():
        return
    for child in path.iterdir():
        remove_tree(child)
    path.rmdir()
