"""Append-only JSON lines, each naming the digest of the line before it.

An edited, removed, reordered or inserted line breaks the chain. A cut tail does not, and neither
does a file chained anew from some line on: whoever needs to know keeps heads elsewhere (signed, in
the promotion log, in a decision) and hands them to :meth:`Chain.problems`. Order is the sequence
number, never the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.canonical import JsonValue, canonical_bytes, digest_bytes, parse_json
from mlwb.core.errors import BrokenChainError, EvidenceSchemaError

__all__ = [
    "GENESIS",
    "Chain",
    "Head",
    "Link",
    "Problem",
    "next_link",
    "out_of_place",
    "parse_link",
]

GENESIS = "sha256:" + "0" * 64
"""What the first line names as the line before it."""

_OWN = ("seq", "prev", "sha256")


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be.

    Parameters
    ----------
    kind : str
        Stable word: ``"edited"``, ``"missing"``, ``"reordered"``, ``"truncated"``, ...
    where : str
        File, run id or line it was found at.
    what : str
        Sentence for people.
    """

    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} [{self.kind}]"


@dataclass(frozen=True)
class Head:
    """A line of a chain as somebody else remembers it.

    Parameters
    ----------
    seq : int
        Number of the line, from 1; 0 where only its digest is remembered.
    sha256 : str
        Its digest.
    kept_by : str, default=""
        Who remembers it, for people.
    """

    seq: int
    sha256: str
    kept_by: str = ""


@dataclass(frozen=True)
class Link:
    """One line of a chain.

    Parameters
    ----------
    seq : int
        1 for the first line.
    prev : str
        Digest of the line before, :data:`GENESIS` for the first.
    sha256 : str
        Digest of this line: of its canonical bytes without this key.
    body : mapping
        What the line says.
    """

    seq: int
    prev: str
    sha256: str
    body: Mapping[str, JsonValue]

    @property
    def as_head(self) -> Head:
        """What to remember of the line."""
        return Head(self.seq, self.sha256)

    @property
    def line(self) -> bytes:
        """Its canonical bytes, without a newline."""
        own = {"seq": self.seq, "prev": self.prev, "sha256": self.sha256}
        return canonical_bytes({**self.body, **own})


class Chain:
    """One chained file. Appending needs a lock held by the caller.

    Parameters
    ----------
    path : Path
        ``ledger.jsonl`` or ``promotions.log``; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def head(self) -> Link | None:
        """The last complete line, None for an empty chain.

        Raises
        ------
        BrokenChainError
            The line is not a whole, unedited link.
        """
        line, _ = fsops.last_line(self.path)
        return parse_link(line, self.path.name) if line else None

    def append(self, body: Mapping[str, JsonValue]) -> Link:
        """Add one line, durably; a tail torn by a crash is cut first.

        Raises
        ------
        BrokenChainError
            The last line is damaged: nothing may be added behind it.
        """
        fsops.drop_torn_tail(self.path)
        head = self.head()
        link = next_link(body, head)
        fsops.append_line(self.path, link.line)
        return link

    def links(self) -> tuple[Link, ...]:
        """All links, in order, a torn tail left out.

        Raises
        ------
        BrokenChainError
            A line is damaged or out of place; the message names it.
        """
        found = []
        for item in self._walk():
            if isinstance(item, Problem):
                raise BrokenChainError(str(item), todo="restore the file from a copy")
            found.append(item)
        return tuple(found)

    def problems(self, heads: Iterable[Head] = ()) -> tuple[Problem, ...]:
        """Everything wrong with the file; empty when it is whole.

        Parameters
        ----------
        heads : iterable of Head
            Lines known from elsewhere that must still be there.
        """
        items = list(self._walk())
        found = [item for item in items if isinstance(item, Problem)]
        torn = fsops.last_line(self.path)[1]
        if torn:
            found.append(Problem("torn", self.path.name, f"{torn} bytes after the last line"))
        there = {item.seq: item.sha256 for item in items if isinstance(item, Link)}
        digests = set(there.values())
        found += [
            self._lost(head, there)
            for head in heads
            if (head.sha256 not in digests if head.seq == 0 else there.get(head.seq) != head.sha256)
        ]
        return tuple(found)

    def _lost(self, head: Head, there: Mapping[int, str]) -> Problem:
        by = f" that {head.kept_by} names" if head.kept_by else ""
        if head.seq == 0:
            what = f"the line{by} is gone: cut, or chained anew"
            return Problem("truncated", self.path.name, what)
        if head.seq not in there:
            return Problem("truncated", self.path.name, f"line {head.seq}{by} is gone")
        what = f"line {head.seq} is not the one{by or ' that was remembered'}: chained anew"
        return Problem("rechained", self.path.name, what)

    def _walk(self) -> Iterator[Link | Problem]:
        try:
            lines = fsops.read_bytes(self.path).split(b"\n")[:-1]
        except FileNotFoundError:
            return
        before: Link | None = None
        for number, line in enumerate(lines, start=1):
            where = f"{self.path.name} line {number}"
            try:
                link = parse_link(line, where)
            except BrokenChainError as error:
                yield Problem("edited", where, error.what)
                before = None
                continue
            misplaced = out_of_place(link, before, number)
            if misplaced:
                yield Problem("reordered", where, misplaced)
            yield link
            before = link


def out_of_place(link: Link, before: Link | None, number: int) -> str:
    """What is wrong with the place of a link, empty when it follows the one before.

    Parameters
    ----------
    link : Link
        The line that was read.
    before : Link or None
        The line before it; None for the first, and where the line before is damaged.
    number : int
        Where it stands, from 1.
    """
    if before is None and number > 1:
        return ""  # the line before is damaged and already reported
    seq, prev = (before.seq + 1, before.sha256) if before else (1, GENESIS)
    if (link.seq, link.prev) == (seq, prev):
        return ""
    return f"line {link.seq} stands where line {seq} belongs: lines were removed or moved"


def next_link(body: Mapping[str, JsonValue], head: Link | None) -> Link:
    """The line that says something, behind a head (None: as the first).

    Raises
    ------
    EvidenceSchemaError
        The body brings its own place.
    """
    taken = [key for key in _OWN if key in body]
    if taken:
        raise EvidenceSchemaError("a chained line may not bring its own place", got=str(taken))
    seq, prev = (head.seq + 1, head.sha256) if head else (1, GENESIS)
    unsigned = {**body, "seq": seq, "prev": prev}
    return Link(seq=seq, prev=prev, sha256=digest_bytes(canonical_bytes(unsigned)), body=body)


def parse_link(line: bytes, where: str) -> Link:
    """The link of one line.

    Parameters
    ----------
    line : bytes
        Without a newline; anything may come from a file.
    where : str
        For the message.

    Raises
    ------
    BrokenChainError
        The line is no whole, unedited link.
    """
    try:
        value = parse_json(line)
        if not isinstance(value, dict) or not all(key in value for key in _OWN):
            raise BrokenChainError(f"{where} is not a chained line")
        named = value.pop("sha256")
        unsigned = canonical_bytes(value)
        is_canonical = _is_with(line, unsigned, named) or line == canonical_bytes(
            {**value, "sha256": named}
        )
    except EvidenceSchemaError as error:
        raise BrokenChainError(f"{where} is not a chained line") from error
    if not is_canonical:
        raise BrokenChainError(f"{where} is not a chained line")
    if digest_bytes(unsigned) != named:
        raise BrokenChainError(f"{where} was edited")
    seq, prev = value.pop("seq"), value.pop("prev")
    if type(seq) is not int or not isinstance(prev, str):
        raise BrokenChainError(f"{where} has no place in the chain")
    return Link(seq=seq, prev=prev, sha256=named, body=value)


def _is_with(line: bytes, unsigned: bytes, named: JsonValue) -> bool:
    """Whether a line is its unsigned bytes and the digest, without making them canonical again."""
    member = b',"sha256":' + canonical_bytes(named)
    at = line.rfind(member)
    return at >= 0 and line[:at] + line[at + len(member) :] == unsigned
