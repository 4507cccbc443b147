"""A disk that can lose power: what may be left of it after any sequence of file operations.

The real code runs on a real directory while :class:`Recorder` takes down every system call that
changes the disk. :class:`Disk` plays the calls again on a model in which

- the content of a file is durable after its fsync; before, a crash leaves the old content, the
  new, the first half of what is new, or zeros in place of it;
- the entries of a directory are durable after its fsync; before, a crash keeps any subset of what
  was done to them, in order. A rename inside one directory is one change, between two directories
  it is two, each lost or kept on its own.

This is weaker than what any journalling file system promises.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tree = Mapping[str, bytes | str | None]
"""Relative path to content: bytes of a file, text of a link, None for a directory."""

Operation = tuple[Any, ...]

_NAMES = {
    "ftruncate": "truncate", "hardlink_to": "link", "open": "create", "replace": "rename",
    "rmdir": "remove", "symlink_to": "symlink", "unlink": "remove",
}  # fmt: skip

_FULL_POWER_SET, _FULL_PRODUCT = 4, 48


class Recorder:
    """Takes the place of ``fsops._do``: does each call but fsync, and takes it down.

    Parameters
    ----------
    root : Path
        Operations outside are not taken down.
    skip : callable, optional
        Calls for which ``skip(name, is_dir)`` is true are neither done nor taken down: a
        protocol that forgets them.
    """

    def __init__(
        self, root: Path, *, skip: Callable[[str, bool], bool] = lambda _name, _is_dir: False
    ) -> None:
        self.root, self.operations = root, list[Operation]()
        self._skip = skip

    def mark(self) -> None:
        """From here on the caller was told that the action succeeded."""
        self.operations.append(("acknowledged",))

    def __call__(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Do a call and take it down."""
        name, first = call.__name__, arguments[0]
        is_descriptor = isinstance(first, int)
        path = Path(os.readlink(f"/proc/self/fd/{first}")) if is_descriptor else Path(first)  # noqa: PTH115 - a link of /proc, as it stands there
        if is_descriptor and self._skip(name, path.is_dir()):
            return None
        was_there = path.is_symlink() or path.exists()
        result = None if name == "fsync" else call(*arguments, **named)
        if path.is_relative_to(self.root):
            self._take_down(name, path, arguments, result=result, was_there=was_there)
        return result

    def _take_down(
        self, name: str, path: Path, arguments: tuple[Any, ...], *, result: Any, was_there: bool
    ) -> None:
        is_idle = was_there if name in ("open", "mkdir") else name == "unlink" and not was_there
        if is_idle or name == "chmod":
            return
        more: tuple[Any, ...] = ()
        if name == "write":
            more = (bytes(arguments[1][:result]),)
        elif name in ("rename", "replace", "hardlink_to"):
            more = (self._relative(arguments[1]),)
        elif name in ("symlink_to", "ftruncate"):
            more = (arguments[1],)
        self.operations.append((_NAMES.get(name, name), self._relative(path), *more))

    def _relative(self, path: Path) -> str:
        return str(Path(path).relative_to(self.root))


@dataclass
class _Node:
    data: bytes | str | None = None  # of a file, of a link; None for a directory
    durable: bytes = b""
    entries: dict[str, int] = field(default_factory=dict)
    durable_entries: dict[str, int] = field(default_factory=dict)
    pending: list[dict[str, int | None]] = field(default_factory=list)


class Disk:
    """The model; begins as the durable copy of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._nodes = [_Node()]
        self.is_acknowledged = False
        for path in sorted(tree):
            content = tree[path]
            self._add(path, content)
        for node in self._nodes:
            node.durable = node.data if isinstance(node.data, bytes) else b""
            node.durable_entries, node.pending = dict(node.entries), []

    def apply(self, operation: Operation) -> None:
        """Do one operation, durable or not."""
        name, *rest = operation
        if name == "acknowledged":
            self.is_acknowledged = True
        elif name in ("create", "mkdir", "symlink"):
            content = {"create": b"", "mkdir": None}.get(name, rest[-1])
            self._add(rest[0], content)
        elif name == "rename":
            self._rename(*rest)
        elif name == "link":
            folder, last = self._parent(rest[0])
            self._change(folder, {last: self._find(rest[1])})
        elif name == "remove":
            folder, last = self._parent(rest[0])
            self._change(folder, {last: None})
        else:
            self._touch(name, self._nodes[self._find(rest[0])], *rest[1:])

    def now(self) -> Tree:
        """What a process sees without a crash."""
        return self._tree({}, {})

    def after_crash(self, *, is_coarse: bool = False) -> Iterator[Tree]:
        """What may be there after the power fails now, every state once.

        Coarse: only nothing or everything, each on its own where there are few.
        """
        span = slice(2 if is_coarse else None)
        folders = {
            number: [_applied(node.durable_entries, kept) for kept in _subsets(node.pending)[span]]
            for number, node in enumerate(self._nodes)
            if node.pending
        }
        files = {
            number: _torn(node.durable, node.data)[span]
            for number, node in enumerate(self._nodes)
            if isinstance(node.data, bytes) and node.data != node.durable
        }
        seen = set()
        for chosen in _choices({**folders, **files}, limit=4 if is_coarse else _FULL_PRODUCT):
            tree = self._tree(
                {number: chosen[number] for number in folders},
                {number: chosen[number] for number in files},
                is_crashed=True,
            )
            key = hash(frozenset(tree.items()))
            if key not in seen:
                seen.add(key)
                yield tree

    def _add(self, path: str, content: bytes | str | None) -> None:
        folder, last = self._parent(path)
        self._nodes.append(_Node(data=content))
        self._change(folder, {last: len(self._nodes) - 1})

    def _rename(self, source: str, target: str) -> None:
        number = self._find(source)
        (old, old_name), (new, new_name) = self._parent(source), self._parent(target)
        if old == new:
            self._change(old, {old_name: None, new_name: number})
            return
        self._change(new, {new_name: number})
        self._change(old, {old_name: None})

    def _change(self, folder: int, change: dict[str, int | None]) -> None:
        node = self._nodes[folder]
        node.pending.append(change)
        node.entries = _applied(node.entries, [change])

    def _touch(self, name: str, node: _Node, *rest: Any) -> None:
        if name == "fsync" and isinstance(node.data, bytes):
            node.durable = node.data
        elif name == "fsync":
            node.durable_entries, node.pending = dict(node.entries), []
        elif name == "write" and isinstance(node.data, bytes):
            node.data += rest[0]
        elif name == "truncate" and isinstance(node.data, bytes):
            node.data = node.data[: rest[0]]
        else:
            raise ValueError(name)

    def _parent(self, path: str) -> tuple[int, str]:
        parts = Path(path)
        return self._find(str(parts.parent)), parts.name

    def _find(self, path: str) -> int:
        number = 0
        for name in Path(path).parts:
            number = self._nodes[number].entries[name]
        return number

    def _tree(
        self, folders: Mapping[int, Any], files: Mapping[int, Any], *, is_crashed: bool = False
    ) -> dict[str, bytes | str | None]:
        found: dict[str, bytes | str | None] = {}

        def walk(number: int, prefix: str) -> None:
            node = self._nodes[number]
            settled = node.durable_entries if is_crashed else node.entries
            for name, child in folders.get(number, settled).items():
                data = self._nodes[child].data
                if isinstance(data, bytes) and is_crashed:
                    data = files.get(child, self._nodes[child].durable)
                found[prefix + name] = data
                if data is None:
                    walk(child, f"{prefix}{name}/")

        walk(0, "")
        return found


def _applied(
    entries: Mapping[str, int], changes: Iterable[Mapping[str, int | None]]
) -> dict[str, int]:
    found = dict(entries)
    for change in changes:
        for name, number in change.items():
            if number is None:
                found.pop(name, None)
            else:
                found[name] = number
    return found


def _subsets(changes: list[dict[str, int | None]]) -> list[list[dict[str, int | None]]]:
    """None, all, then every subset of few changes; of many the prefixes, each, all but each."""
    places = range(len(changes))
    if len(changes) <= _FULL_POWER_SET:
        some = [set(kept) for n in places for kept in itertools.combinations(places, n)]
    else:
        some = [set(range(end)) for end in places]
        some += [{place} for place in places] + [set(places) - {place} for place in places]
    kept = [set[int](), set(places), *some]
    return [[changes[place] for place in sorted(one)] for one in kept]


def _torn(durable: bytes, data: bytes) -> list[bytes]:
    shared = next(
        (one for one in (durable, data) if data.startswith(one) and durable.startswith(one)), b""
    )
    new = data[len(shared) :]
    return [durable, data, shared + new[: len(new) // 2], shared + bytes(len(new))]


def _choices(parts: Mapping[int, list[Any]], *, limit: int) -> Iterator[dict[int, Any]]:
    """Every combination of a few parts; of many, each part on its own beside all and beside none.

    The first option of a part is nothing kept, the second everything.
    """
    count = 1
    for options in parts.values():
        count *= len(options)
    if count <= limit:
        for some in itertools.product(*parts.values()):
            yield dict(zip(parts, some, strict=True))
        return
    none = {number: options[0] for number, options in parts.items()}
    every = {number: options[1] for number, options in parts.items()}
    yield none
    yield every
    if limit < _FULL_PRODUCT:
        return
    for number, options in parts.items():
        for option in options:
            yield {**none, number: option}
            yield {**every, number: option}


def read_tree(root: Path) -> Tree:
    """The files, links and directories below a root, lock files left out."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(root.rglob("*")):
        name, mode = str(path.relative_to(root)), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[name] = str(path.readlink())
        elif stat.S_ISDIR(mode):
            found[name] = None
        elif path.suffix != ".lock":
            found[name] = path.read_bytes()
    return found


def write_tree(tree: Tree, root: Path) -> Path:
    """Make a tree real."""
    root.mkdir()
    for name in sorted(tree):
        content = tree[name]
        if content is None:
            (root / name).mkdir()
        elif isinstance(content, str):
            (root / name).symlink_to(content)
        else:
            (root / name).write_bytes(content)
    return root
