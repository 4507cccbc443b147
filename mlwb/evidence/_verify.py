"""Every way evidence can differ from what was written, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.canonical import digest_bytes, parse_json
from mlwb.core.chain import Chain, Head, Link, Problem
from mlwb.core.errors import BrokenChainError, EvidenceError
from mlwb.evidence._archive import Shelf, pending_of, place_of
from mlwb.evidence._kinds import KNOWN_NAMES, known_name
from mlwb.evidence._record import Record, eval_text

__all__ = ["Audit"]

_FOLDERS = ("*.json", "daily/*.json")
_SAID = ("run_id", "kind", "model_version", "timestamp")
"""What a ledger line repeats of the record it names."""


@dataclass
class Audit:
    """One look at a store; what records cite about other chains is collected on the way.

    Parameters
    ----------
    root : Path
        Evidence directory.
    chain : Chain
        Its ledger.
    trial_heads : list of str
        Digests of lines of the trial ledger that records cite.
    decided : Head or None
        Ledger line of the newest decision.
    """

    root: Path
    chain: Chain
    trial_heads: list[str] = field(default_factory=list)
    decided: Head | None = None
    _heads: list[Head] = field(default_factory=list)

    def problems(self, heads: Iterable[Head]) -> Iterator[Problem]:
        """Problems of the ledger, and of every file beside it where the ledger is whole."""
        heads = list(heads)
        try:
            lines = self.chain.links()
        except BrokenChainError:
            yield from self.chain.problems(heads)
            return
        links = tuple(link for link in lines if _names_a_record(link))
        for link in lines:
            if not _names_a_record(link):
                where = f"{self.chain.path.name} line {link.seq}"
                yield Problem("forged", where, "it names no record of a known kind")
        shelf = Shelf.of(self.root, links)
        seen, before = set[str](), ""
        found: list[Problem] = []
        for link in links:
            if link.body["run_id"] in seen:
                where = f"{self.chain.path.name} line {link.seq}"
                found.append(Problem("duplicate", where, f"{link.body['run_id']} stands twice"))
            seen.add(link.body["run_id"])
            found.extend(self._record(link, before, shelf))
            before = link.body["record"]
            self.decided = link.as_head if link.body["kind"] == "decision" else self.decided
        yield from self.chain.problems([*heads, *self._heads])
        yield from found
        yield from shelf.problems()
        yield from self._strays(links)
        yield from self._copies(links, shelf)
        if links and pending_of(self.root, links[-1].body["run_id"]).exists():
            what = "its writer died before it was done; the next write completes it"
            yield Problem("unfinished", links[-1].body["run_id"], what)

    def _record(self, link: Link, before: str, shelf: Shelf) -> Iterator[Problem]:
        run_id = link.body["run_id"]
        try:
            data = fsops.read_bytes(place_of(self.root, run_id))
        except FileNotFoundError:
            if not shelf.has(run_id):
                yield Problem("missing", run_id, "the ledger names it, the file is gone")
                return
            try:
                data = shelf.read(run_id)
            except EvidenceError as error:
                yield Problem("missing", run_id, error.what)
                return
        if digest_bytes(data) != link.body["record"]:
            yield Problem("edited", run_id, f"the record {run_id} was edited")
            return
        value = _parsed(data)
        if value is None or not isinstance(value.get("details"), dict):
            yield Problem("forged", run_id, "the ledger names these bytes, and they are no record")
            return
        if value.get("prev_sha256") != before:
            what = "it names another record before it than the ledger: chained anew"
            yield Problem("rechained", run_id, what)
        if any(link.body[key] != value.get(key) for key in _SAID):
            what = "the ledger says something else about it than it does: chained anew"
            yield Problem("rechained", run_id, what)
        self._remember(run_id, value["details"])

    def _remember(self, run_id: str, details: dict[str, Any]) -> None:
        volatile = details.get("volatile")
        if isinstance(volatile, dict) and "trials_head" in volatile:
            self.trial_heads.append(str(volatile["trials_head"]))
        head = details.get("ledger_head")
        if isinstance(head, dict):
            self._heads.append(Head(head["seq"], head["sha256"], kept_by=f"the decision {run_id}"))

    def _strays(self, links: tuple[Link, ...]) -> Iterator[Problem]:
        """Files that no line of the ledger names, and what they seem to be."""
        by_digest = {link.body["record"]: link.body["run_id"] for link in links}
        listed = {link.body["run_id"] for link in links}
        copies = {_copy_of(link) for link in links}
        strays = {
            path: _try_parse(path)
            for pattern in _FOLDERS
            for path in sorted(self.root.glob(pattern))
            if not (path.parent == self.root and path.stem in listed)
            and path.relative_to(self.root).as_posix() not in copies
        }
        ends = {links[-1].body["record"] if links else ""}
        ends |= {digest for digest, value in strays.values() if value}
        for path, (digest, value) in strays.items():
            name = path.relative_to(self.root).as_posix()
            if digest in by_digest:
                yield Problem("duplicate", name, f"a second copy of {by_digest[digest]}")
            elif value and value.get("run_id") == path.stem and value.get("prev_sha256") in ends:
                yield Problem("truncated", name, "it follows the last record: the ledger was cut")
            else:
                yield Problem("foreign", name, "the ledger does not name it")

    def _copies(self, links: tuple[Link, ...], shelf: Shelf) -> Iterator[Problem]:
        newest = {_copy_of(link): link for link in links}
        for name, link in newest.items():
            run_id = link.body["run_id"]
            try:
                data = fsops.read_bytes(self.root / name)
            except FileNotFoundError:
                if not shelf.has(run_id):
                    yield Problem("missing", name, f"the copy of {run_id} is gone")
                continue
            except OSError as error:
                yield Problem("edited", name, f"it cannot be read: {error.strerror}")
                continue
            if digest_bytes(data) != link.body["record"]:
                yield Problem("edited", name, f"it is not the newest record {run_id}")
            elif link.body["kind"] == "eval_result":
                yield from self._text(Record.from_json(parse_json(data)))

    def _text(self, record: Record) -> Iterator[Problem]:
        name = "eval_result.txt"
        try:
            data = fsops.read_bytes(self.root / name)
        except FileNotFoundError:
            yield Problem("missing", name, f"the text of {record.run_id} is gone")
            return
        if data != eval_text(record).encode():
            yield Problem("edited", name, f"it is not what {record.run_id} says")


def _try_parse(path: Path) -> tuple[str, dict[str, Any] | None]:
    try:
        data = fsops.read_bytes(path)
    except OSError:  # a directory, a link that leads nowhere
        return "", None
    return digest_bytes(data), _parsed(data)


def _parsed(data: bytes) -> dict[str, Any] | None:
    """The JSON object that bytes hold; None where they hold none."""
    try:
        value = parse_json(data)
    except EvidenceError:
        return None
    return value if isinstance(value, dict) else None


def _names_a_record(link: Link) -> bool:
    texts = [link.body.get(key) for key in (*_SAID, "record")]
    return all(isinstance(text, str) for text in texts) and link.body["kind"] in KNOWN_NAMES


def _copy_of(link: Link) -> str:
    """Name of the copy of a record, if it is the newest of that name."""
    return known_name(link.body["kind"], link.body["timestamp"], link.body["run_id"])
