"""Evidence on disk: immutable records, a hash-chained ledger, the newest under known names.

Writing a record: pending file -> ledger line (the commit point) -> record file -> known name ->
pending file removed. A writer that dies in between is completed by the next one, or leaves a
pending file that no ledger line names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.canonical import digest_bytes, parse_json
from mlwb.core.chain import Chain, Head, Link, Problem
from mlwb.core.clock import Clock, parse_utc
from mlwb.core.errors import (
    BrokenChainError,
    EvidenceMissingError,
    EvidenceSchemaError,
    LockHeldError,
)
from mlwb.core.leftovers import clear_leftovers
from mlwb.core.signing import Signer
from mlwb.evidence._archive import Shelf, pending_of, place_of
from mlwb.evidence._heads import SignedHeads
from mlwb.evidence._kinds import known_name
from mlwb.evidence._record import Record, eval_text
from mlwb.evidence._schema import check_record
from mlwb.evidence._trials import TrialLedger
from mlwb.evidence._verify import Audit

__all__ = ["Entry", "EvidenceStore"]

_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Entry:
    """One ledger line: which record, about what, and the digest of its file."""

    run_id: str
    kind: str
    model_version: str
    timestamp: str
    sha256: str


def _entry(link: Link) -> Entry:
    body = link.body
    return Entry(
        run_id=body["run_id"],
        kind=body["kind"],
        model_version=body["model_version"],
        timestamp=body["timestamp"],
        sha256=body["record"],
    )


class EvidenceStore:
    """The evidence directory of one workbench, ``<home>/evidence/ml``.

    Parameters
    ----------
    root : Path
        Created on the first write.
    signer : Signer, optional
        Keys of this process. A private key signs the ledger's head, a pinned public key makes
        :meth:`verify` demand the signatures.
    """

    def __init__(self, root: Path, signer: Signer | None = None) -> None:
        self.root = root
        self._chain = Chain(root / "ledger.jsonl")
        self._trials = TrialLedger(root)
        self._signer = signer or Signer()
        self._heads = SignedHeads(root, self._signer)

    def write(self, record: Record) -> Path:
        """Store a record for good.

        Parameters
        ----------
        record : Record
            ``prev_sha256`` is set here.

        Returns
        -------
        Path
            ``<root>/<run_id>.json``.

        Raises
        ------
        EvidenceSchemaError
            The record does not fit its schema, or a record of that run id is already there.
        BrokenChainError
            The ledger is damaged; nothing was written.
        LockHeldError
            Another writer holds the ledger for too long.
        """
        check_record(record.to_json())
        with self._lock():
            clear_leftovers((self.root,), parse_utc(record.timestamp))
            head = self._recover()
            final = self.path(record.run_id)
            if final.exists():
                raise EvidenceSchemaError(
                    f"a record {record.run_id} is already there",
                    todo="records are never replaced; measure again under a new run id",
                )
            data = replace(record, prev_sha256=head.body["record"] if head else "").to_bytes()
            pending = pending_of(self.root, record.run_id)
            fsops.write_atomic(pending, data)
            link = self._chain.append(
                {
                    "run_id": record.run_id,
                    "kind": record.kind,
                    "model_version": record.model_version,
                    "timestamp": record.timestamp,
                    "record": digest_bytes(data),
                }
            )
            self._finish(link)
        return final

    def recover(self) -> None:
        """Complete what a writer that died left; :meth:`write` does so by itself.

        Raises
        ------
        BrokenChainError
            The ledger, or what waits to be completed, was edited.
        LockHeldError
            Another writer holds the ledger for too long.
        """
        with self._lock():
            fsops.drop_torn_tail(self._chain.path)
            self._recover()

    def path(self, run_id: str) -> Path:
        """Where the record of a run id stands, or would."""
        return self.root / f"{run_id}.json"

    def index(self) -> tuple[Entry, ...]:
        """What the ledger says of each record, in the order they were written; no file is read.

        Raises
        ------
        BrokenChainError
            The ledger was edited.
        """
        return tuple(_entry(link) for link in self._chain.links())

    def newest(self, kind: str) -> Record:
        """The record of a kind that was written last.

        Raises
        ------
        EvidenceMissingError
            None was ever written.
        EvidenceError
            It was edited or removed since, or the ledger was.
        """
        found = self._newest_links().get(kind)
        if found is None:
            known_name(kind, "")
            raise EvidenceMissingError(f"no evidence of kind {kind!r}", todo="run its stage first")
        return self._read(found)

    def read(self, run_id: str) -> Record:
        """One record, checked against the ledger and the schema.

        Raises
        ------
        EvidenceMissingError
            The ledger names no such record.
        EvidenceError
            It was edited or removed since, or the ledger was.
        """
        return self.read_each([run_id])[0]

    def read_each(self, run_ids: Iterable[str]) -> tuple[Record, ...]:
        """Several records as :meth:`read`, in the order they were written.

        Raises
        ------
        EvidenceError
            As :meth:`read`.
        """
        wanted = set(run_ids)
        links = self._chain.links()
        found = [link for link in links if link.body["run_id"] in wanted]
        absent = sorted(wanted - {link.body["run_id"] for link in found})
        if absent:
            raise EvidenceMissingError(f"no evidence record {', '.join(absent)}")
        shelf = Shelf.of(self.root, links)
        return tuple(self._read(link, shelf) for link in found)

    def records(self, kind: str = "", *, run: str = "") -> tuple[Record, ...]:
        """Records in the order they were written.

        Parameters
        ----------
        kind : str, default=""
            Only of this kind.
        run : str, default=""
            Only of this run: the eight hex digits its run ids end with.
        """
        links = self._chain.links()
        shelf = Shelf.of(self.root, links)
        return tuple(
            self._read(link, shelf)
            for link in links
            if (not kind or link.body["kind"] == kind)
            and (not run or link.body["run_id"].endswith(f"_{run}"))
        )

    def shelf(self) -> Shelf:
        """The archives; :meth:`read` looks into them by itself."""
        return Shelf.of(self.root, self._chain.links())

    def head(self) -> Link | None:
        """The last ledger line; cite its digest elsewhere to notice a cut tail."""
        return self._chain.head()

    def sign_head(self, clock: Clock) -> bool:
        """Sign the last ledger line, where this process has a key to; whether it did.

        Raises
        ------
        SignatureError
            The key cannot be used.
        BrokenChainError
            The ledger, or the file of heads, was edited.
        LockHeldError
            Another writer holds the ledger for too long.
        """
        if not self._signer.can_sign:
            return False
        with self._lock():
            head = self._chain.head()
            if head is None:
                return False
            self._heads.sign(head.as_head, clock)
        return True

    def verify(self, heads: Iterable[Head] = ()) -> tuple[Problem, ...]:
        """Name everything edited, missing, moved, cut, chained anew or smuggled in.

        Ledger, records, copies, archives, trials and signed heads. Ledger lines that decisions
        cite or a key signed must be there; where a key is pinned, the newest decision is signed.

        Parameters
        ----------
        heads : iterable of Head
            Ledger lines known from elsewhere that must still be there.

        Returns
        -------
        tuple of Problem
            Empty when all is as it was written.
        """
        audit = Audit(self.root, self._chain)
        found = list(audit.problems([*heads, *self._heads.heads()]))
        found.extend(self._heads.problems(audit.decided))
        found.extend(self._trials.verify(audit.trial_heads))
        return tuple(found)

    def _newest_links(self) -> dict[str, Link]:
        return {link.body["kind"]: link for link in self._chain.links()}

    def _read(self, link: Link, shelf: Shelf | None = None) -> Record:
        value = parse_json(self._bytes(link, shelf))
        check_record(value)
        return Record.from_json(value)

    def _bytes(self, link: Link, shelf: Shelf | None) -> bytes:
        """The file of a record, checked against the ledger."""
        run_id, named = link.body["run_id"], link.body["record"]
        try:
            data = fsops.read_bytes(place_of(self.root, run_id))
        except FileNotFoundError:
            data = (shelf or self.shelf()).read(run_id)
        found = digest_bytes(data)
        if found != named:
            raise BrokenChainError(f"the record {run_id} was edited", expected=named, got=found)
        return data

    def _recover(self) -> Link | None:
        head = self._chain.head()
        if head is not None and pending_of(self.root, head.body["run_id"]).exists():
            # seen is not durable: its writer may have died before the ledger was synced
            fsops.fsync_file(self._chain.path)
            fsops.fsync_dir(self.root)
            self._finish(head)
        for orphan in self.root.glob(".*.pending"):
            fsops.remove_file(orphan)  # of a writer that died before the ledger knew of it
        return head

    def _finish(self, link: Link) -> None:
        """Everything after the commit point; may be repeated."""
        run_id = link.body["run_id"]
        pending, final = pending_of(self.root, run_id), self.path(run_id)
        data = fsops.read_bytes(pending)
        if digest_bytes(data) != link.body["record"]:
            raise BrokenChainError(f"the pending record {run_id} is not what the ledger names")
        if not final.exists():
            fsops.link_new(pending, final)
        record = Record.from_json(parse_json(data))
        fsops.write_atomic(
            self.root / known_name(record.kind, record.timestamp, record.run_id), data
        )
        if record.kind == "eval_result":
            fsops.write_atomic(self.root / "eval_result.txt", eval_text(record).encode())
        fsops.remove_file(pending)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        fsops.make_dirs(self.root)
        try:
            with FileLock(self.root / ".lock", timeout=_PATIENCE_S):
                yield
        except Timeout as error:
            raise LockHeldError(
                "the evidence ledger is held by another writer", todo="try again later"
            ) from error
