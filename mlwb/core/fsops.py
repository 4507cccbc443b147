"""Every file operation of registry and evidence, in one module.

Durability rule: file content is durable after :func:`fsync_file`, a directory entry only after
:func:`fsync_dir` of its parent. Publishing is: write beside the target, fsync, rename, fsync
the directory.

Every system call that changes the disk, or makes a change durable, goes through :func:`_do`: tests
record, count, refuse and interrupt them there.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

__all__ = [
    "append_line",
    "can_append",
    "copy_tree",
    "drop_torn_tail",
    "fsync_dir",
    "fsync_file",
    "last_line",
    "link_new",
    "make_dirs",
    "read_bytes",
    "read_link",
    "remove_file",
    "remove_tree",
    "rename_dir",
    "replace_link",
    "seal_tree",
    "temporary",
    "write_atomic",
    "write_new",
]


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _do(call: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    return call(*arguments, **named)


def read_bytes(path: Path) -> bytes:
    """All bytes of a file."""
    return path.read_bytes()


def fsync_file(path: Path) -> None:
    """Make the content of a written file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _do(os.fsync, descriptor)
    finally:
        os.close(descriptor)


def fsync_dir(path: Path) -> bool:
    """Make the entries of a directory durable; False where the file system cannot."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except (PermissionError, NotADirectoryError):
        return False
    try:
        _do(os.fsync, descriptor)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def make_dirs(path: Path) -> None:
    """Create a directory and those above it that are missing, durably; one that is there is fine.

    Raises
    ------
    FileExistsError
        ``path`` is something else than a directory.
    """
    if path.is_dir():
        return
    make_dirs(path.parent)
    _do(Path.mkdir, path, exist_ok=True)
    fsync_dir(path.parent)


def _write(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = _do(os.open, path, flags, mode)
    try:
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[_do(os.write, descriptor, view) :]
    _do(os.fsync, descriptor)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Create a file that must not exist, durably.

    Raises
    ------
    FileExistsError
        ``path`` is already there; it is left as it was.
    """
    make_dirs(path.parent)
    try:
        _write(path, data, mode)
    except FileExistsError:
        raise
    except BaseException:
        _discard(path)
        raise
    fsync_dir(path.parent)


def temporary(path: Path) -> Path:
    """Where a file is written before it takes another's place: ``.<name>.<process>-<random>.tmp``.

    What stays there after a kill is found by :mod:`mlwb.core.leftovers`.
    """
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file in one step: readers see the old bytes or the new, never a mixture."""
    make_dirs(path.parent)
    beside = temporary(path)
    try:
        _write(beside, data, mode)
        _do(Path.replace, beside, path)
    except BaseException:
        _discard(beside)
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
    make_dirs(path.parent)
    created = not path.exists()
    descriptor = _do(os.open, path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        _write_all(descriptor, line + b"\n")
    finally:
        os.close(descriptor)
    if created:
        fsync_dir(path.parent)


def can_append(path: Path, size: int) -> bool:
    """Whether so many bytes can be added to a file now; it is as before when this returns.

    Asked of the disk by writing: what a disk says is free is not always given. A crash in between
    leaves a torn tail. The caller holds whatever lock keeps other writers away.

    Parameters
    ----------
    path : Path
        Need not exist; its directory must.
    size : int
        Bytes.
    """
    was_there = path.exists()
    try:
        descriptor = _do(os.open, path, os.O_WRONLY | os.O_CREAT, 0o644)
    except OSError:
        return False
    try:
        before = os.fstat(descriptor).st_size
        try:
            written = _do(os.pwrite, descriptor, bytes(size), before)
        finally:
            _do(os.ftruncate, descriptor, before)
    except OSError:
        return False
    finally:
        os.close(descriptor)
        if not was_there:
            _discard(path)
    return written == size


_TAIL = 65_536


def last_line(path: Path) -> tuple[bytes, int]:
    """The last complete line of a file and how many bytes stand after it.

    Returns
    -------
    bytes, int
        The line without its newline (empty when there is none), and the length of the torn
        rest: 0 unless a writer died in the middle of a line.
    """
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            span, tail = 0, b""
            while span < size and tail.count(b"\n", 0, -1) < 2:
                span = min(size, max(_TAIL, span * 2))
                handle.seek(size - span)
                tail = handle.read(span)
    except FileNotFoundError:
        return b"", 0
    complete, _, torn = tail.rpartition(b"\n")
    return complete.rpartition(b"\n")[2], len(torn)


def drop_torn_tail(path: Path) -> int:
    """Cut what stands after the last newline, durably; the number of bytes cut."""
    torn = last_line(path)[1]
    if torn:
        descriptor = _do(os.open, path, os.O_WRONLY)
        try:
            _do(os.ftruncate, descriptor, path.stat().st_size - torn)
            _do(os.fsync, descriptor)
        finally:
            os.close(descriptor)
    return torn


def link_new(source: Path, target: Path) -> None:
    """Give a finished file a second name that must not exist, durably.

    Raises
    ------
    FileExistsError
        ``target`` is already there; it is left as it was.
    """
    try:
        _do(Path.hardlink_to, target, source)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV):
            raise
        write_new(target, source.read_bytes())
        return
    fsync_dir(target.parent)


def remove_file(path: Path) -> None:
    """Remove one file; a missing one is fine."""
    _do(Path.unlink, path, missing_ok=True)
    fsync_dir(path.parent)


def _discard(path: Path) -> None:
    """Remove what was not finished, if the disk lets us; the first error is the one to tell."""
    with suppress(OSError):
        _do(Path.unlink, path, missing_ok=True)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory of plain files, durably; links and special files are refused.

    Raises
    ------
    FileExistsError
        ``target`` is already there.
    OSError
        ``source`` holds something that is neither a file nor a directory.
    """
    make_dirs(target.parent)
    _do(Path.mkdir, target)
    fsync_dir(target.parent)
    for child in sorted(source.iterdir()):
        if child.is_symlink() or not (child.is_file() or child.is_dir()):
            raise OSError(errno.EINVAL, "neither file nor directory", str(child))
        if child.is_dir():
            copy_tree(child, target / child.name)
        else:
            _write(target / child.name, child.read_bytes(), 0o644)
    fsync_dir(target)


def seal_tree(path: Path) -> None:
    """Make every file of a finished directory read-only and durable, then the directory."""
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            seal_tree(child)
        elif not child.is_symlink():
            _do(Path.chmod, child, 0o444)
            fsync_file(child)
    fsync_dir(path)


def rename_dir(source: Path, target: Path) -> None:
    """Give a finished directory another name, durably.

    Raises
    ------
    FileExistsError
        ``target`` is already there; nothing moved.
    """
    make_dirs(target.parent)
    if target.exists() or target.is_symlink():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        _do(Path.rename, source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        raise
    fsync_dir(target.parent)
    if source.parent != target.parent:  # else it may stand under both names after a crash
        fsync_dir(source.parent)


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
    make_dirs(path.parent)
    beside = temporary(path)
    try:
        _do(Path.symlink_to, beside, target)
    except (NotImplementedError, PermissionError):  # no symlinks here: a file that names the target
        write_atomic(path, target.encode() + b"\n")
        return
    try:
        _do(Path.replace, beside, path)
    except BaseException:
        _discard(beside)
        raise
    fsync_dir(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory and what it holds; a missing one is fine."""
    if path.is_symlink() or not path.is_dir():
        _do(Path.unlink, path, missing_ok=True)
        return
    for child in path.iterdir():
        remove_tree(child)
    _do(Path.rmdir, path)
