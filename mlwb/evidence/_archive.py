"""Old records in zip files that are read again, byte for byte, before anything is removed.

An archive is announced by a record of kind ``archive`` that names every member and its digest, so
the ledger says where each record went. Archived records can still be read and are still verified.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, digest_bytes, parse_json
from mlwb.core.chain import Link, Problem
from mlwb.core.errors import BrokenChainError, EvidenceError, EvidenceMissingError
from mlwb.evidence._schema import check_record

__all__ = ["ARCHIVED", "Shelf", "member_of", "pack", "pending_of", "place_of", "unpack"]

ARCHIVED = "archived"
_MANIFEST = "manifest.json"
_SCHEMA = "mlwb.archive/1"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A zip's oldest date: the same members are the same bytes whenever they are packed."""


@dataclass(frozen=True)
class Shelf:
    """The archives of a store.

    Parameters
    ----------
    folder : Path
        ``<evidence>/archived``.
    archives : mapping of str to mapping
        Details of each record of kind ``archive``, by file name.
    members : mapping of str to tuple of str
        Run id of each archived record to the archive it is in and its digest.
    """

    folder: Path
    archives: Mapping[str, Mapping[str, Any]]
    members: Mapping[str, tuple[str, str]]
    _opened: dict[str, dict[str, bytes]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, root: Path, links: Iterable[Link]) -> Shelf:
        """The archives that the ledger of a store announces.

        An announcement that is gone, was edited or is none is left out: verifying names it anyway.
        """
        archives, members = dict[str, Mapping[str, Any]](), dict[str, tuple[str, str]]()
        for link in links:
            details = _announced(root, link) if link.body["kind"] == "archive" else None
            if details is not None:
                name = details["file"]
                archives[name] = details
                members |= {it["run_id"]: (name, it["sha256"]) for it in details["records"]}
        return cls(root / ARCHIVED, archives, members)

    def has(self, run_id: str) -> bool:
        """Whether a record went into an archive."""
        return run_id in self.members

    def read(self, run_id: str) -> bytes:
        """Bytes of an archived record, as they were.

        Raises
        ------
        EvidenceMissingError
            It is in no archive, or the archive is gone.
        BrokenChainError
            The archive was edited.
        """
        if run_id not in self.members:
            raise EvidenceMissingError(f"the record {run_id} was removed")
        name, wanted = self.members[run_id]
        try:
            if name not in self._opened:
                self._opened[name] = unpack(fsops.read_bytes(self.folder / name))
            data = self._opened[name][member_of(run_id)]
        except FileNotFoundError as error:
            raise EvidenceMissingError(f"the archive {name} of {run_id} is gone") from error
        except KeyError as error:
            raise BrokenChainError(f"the archive {name} does not hold {run_id}") from error
        if digest_bytes(data) != wanted:
            raise BrokenChainError(f"{run_id} in the archive {name} was edited")
        return data

    def sweep(self, root: Path) -> None:
        """Remove what an archiving that died left: unannounced, and every member still in place."""
        for path in self._unannounced():
            if _is_in_place(root, path):
                fsops.remove_file(path)

    def _unannounced(self) -> list[Path]:
        return [
            path
            for path in sorted(self.folder.glob("*"))
            if path.name not in self.archives and not path.name.startswith(".")
        ]

    def problems(self) -> Iterator[Problem]:
        """Archives that are gone, edited, or that no record announces."""
        for name, details in self.archives.items():
            try:
                data = fsops.read_bytes(self.folder / name)
            except FileNotFoundError:
                yield Problem("missing", f"{ARCHIVED}/{name}", "the archive is gone")
                continue
            if digest_bytes(data) != details["sha256"]:
                what = "the archive is not the bytes that were written"
                yield Problem("edited", f"{ARCHIVED}/{name}", what)
        for path in self._unannounced():
            yield Problem("foreign", f"{ARCHIVED}/{path.name}", "no record announces it")


def pending_of(root: Path, run_id: str) -> Path:
    """Where a record waits while it is written."""
    return root / f".{run_id}.pending"


def place_of(root: Path, run_id: str) -> Path:
    """The file of a record, or where a writer that died left it."""
    pending = pending_of(root, run_id)
    return pending if pending.exists() else root / f"{run_id}.json"


def member_of(run_id: str) -> str:
    """Name of a record inside an archive."""
    return f"records/{run_id}.json"


def pack(members: Mapping[str, bytes]) -> bytes:
    """A zip of files and, last, a manifest of their sizes and digests; equal files, equal bytes."""
    entries = {
        name: {"sha256": digest_bytes(data), "size": len(data)} for name, data in members.items()
    }
    manifest = canonical_bytes({"schema": _SCHEMA, "files": entries})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in (*sorted(members.items()), (_MANIFEST, manifest)):
            packed.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of an archive, each as its manifest says.

    Raises
    ------
    BrokenChainError
        It is no archive, or a file is not the one its manifest names.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
        entries = parse_json(members.pop(_MANIFEST))["files"]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError) as error:
        raise BrokenChainError("the archive cannot be read") from error
    # zipfile's words for a method it cannot unpack and for a member that was encrypted.
    except (NotImplementedError, RuntimeError, EvidenceError) as error:
        raise BrokenChainError("the archive was edited") from error
    found = {
        name: {"sha256": digest_bytes(item), "size": len(item)} for name, item in members.items()
    }
    if found != entries:
        raise BrokenChainError("a file of the archive is not the one its manifest names")
    return members


def _is_in_place(root: Path, archive: Path) -> bool:
    try:
        members = unpack(fsops.read_bytes(archive))
        return all(
            fsops.read_bytes(root / Path(name).name) == data
            for name, data in members.items()
            if name.startswith("records/")
        )
    except (OSError, BrokenChainError):
        return False


def _announced(root: Path, link: Link) -> Mapping[str, Any] | None:
    try:
        data = fsops.read_bytes(place_of(root, link.body["run_id"]))
    except FileNotFoundError:
        return None
    if digest_bytes(data) != link.body["record"]:
        return None
    try:
        value = parse_json(data)
        check_record(value)
    except EvidenceError:
        return None
    found: Mapping[str, Any] = value["details"]
    return found
