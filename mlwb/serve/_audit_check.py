"""Whether an audit log stands as it was written: its files, and the lines known from elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mlwb.core.chain import Chain, Head, Problem, parse_link
from mlwb.core.errors import BrokenChainError

__all__ = ["audit_problems", "last_line_with", "lost_heads", "parts_of", "segment", "segments"]


def segment(path: Path, number: int) -> Path:
    """Where a file is set aside, from 1."""
    return path.with_name(f"{path.name}.{number}")


def segments(path: Path) -> list[Path]:
    """The files set aside, oldest first."""
    parts = (segment(path, number) for number in itertools.count(1))
    return list(itertools.takewhile(Path.exists, parts))


def audit_problems(path: Path, heads: Iterable[Head] = ()) -> tuple[Problem, ...]:
    """Everything wrong with an audit log and the files set aside before it.

    Parameters
    ----------
    path : Path
        ``audit.log``; need not exist.
    heads : iterable of Head
        Lines known from elsewhere that must still be there, in any of the files.
    """
    wanted = tuple(dict.fromkeys(heads))
    while True:
        parts = parts_of(path)
        found = list(_problems(parts, path, wanted))
        if parts == parts_of(path):  # else a file was set aside meanwhile
            return tuple(found)


def _problems(parts: Sequence[Path], path: Path, heads: Iterable[Head]) -> Iterator[Problem]:
    before: str | None = ""  # None is not known
    there = set[str]()
    for part in parts:
        chain = Chain(part)
        problems = chain.problems()
        yield from problems
        if problems:
            before = None
            there |= _digests(part)
            continue
        links = chain.links()
        if links and before not in (None, links[0].body.get("after", "")):
            yield Problem("missing", part.name, "a file before this one is gone")
        elif not links and part != path:
            yield Problem("missing", part.name, "its lines are gone")
        before = links[-1].sha256 if links else None
        there |= {link.sha256 for link in links}
    yield from (_lost(head, path) for head in heads if head.sha256 not in there)


def lost_heads(path: Path, heads: Iterable[Head]) -> tuple[Problem, ...]:
    """Lines known from elsewhere that are in none of the files; nothing else is looked at.

    Parameters
    ----------
    path : Path
        ``audit.log``; need not exist.
    heads : iterable of Head
        Lines known from elsewhere.
    """
    wanted = {f'"sha256":"{head.sha256}"'.encode(): head for head in heads}
    for part in reversed(parts_of(path)):
        if wanted and part.exists():
            data = part.read_bytes()
            wanted = {mark: head for mark, head in wanted.items() if mark not in data}
    return tuple(_lost(head, path) for head in wanted.values())


def _lost(head: Head, path: Path) -> Problem:
    line = f"line {head.seq}" if head.seq else "a line"
    what = f"{line} that {head.kept_by} remembers is gone: cut, or chained anew"
    return Problem("truncated", path.name, what)


def last_line_with(path: Path, field: str) -> dict[str, Any] | None:
    """The newest whole line that has a field of text; None without one.

    Looked for in the file that is written and in the last one set aside: what has to be known of
    older ones is carried on by the first line of each.

    Parameters
    ----------
    path : Path
        ``audit.log``; need not exist.
    field : str
        Name of the field. Text in a line cannot pass for it: its quotes are escaped.
    """
    mark = f'"{field}":"'.encode()
    for part in reversed(parts_of(path)[-2:]):
        try:
            data = part.read_bytes()
        except FileNotFoundError:
            continue
        at = data.rfind(mark)
        while at >= 0:
            line = data[data.rfind(b"\n", 0, at) + 1 :].partition(b"\n")[0]
            try:
                return dict(parse_link(line, part.name).body)
            except BrokenChainError:
                at = data.rfind(mark, 0, at)
    return None


def parts_of(path: Path) -> list[Path]:
    """The files of a log, oldest first, the one that is written last.

    Parameters
    ----------
    path : Path
        ``audit.log``; need not exist.
    """
    parts = [*segments(path), path]
    if len(parts) > 1 and path.exists() and path.samefile(parts[-2]):
        del parts[-2]  # killed while it set the file aside: one file by two names
    return parts


def _digests(part: Path) -> set[str]:
    """Of the whole lines of a file in which others are not."""
    found = set()
    for line in part.read_bytes().split(b"\n"):
        try:
            found.add(parse_link(line, part.name).sha256)
        except BrokenChainError:
            continue
    return found
