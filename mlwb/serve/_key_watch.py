"""The keys a running server honours: read off the loop, taken over in one step."""

from __future__ import annotations

import hmac
import logging
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mlwb.core.clock import parse_utc
from mlwb.core.errors import MlwbError
from mlwb.serve._endpoints import Caller
from mlwb.serve._file_stamp import file_stamp
from mlwb.serve._http import key_digest
from mlwb.serve._key_audit import UNAUDITED, is_audited
from mlwb.serve._keys import KeyRecord, read_keys

__all__ = ["KeyRing", "KeyWatch"]

_LOG = logging.getLogger("mlwb.serve")


class _Holder(NamedTuple):
    caller: Caller
    digest: bytes
    expires: datetime


class KeyRing:
    """The keys of one state of the file; revoked ones are left out.

    Parameters
    ----------
    records : tuple of KeyRecord
        As read.
    """

    __slots__ = ("_holders", "records")

    def __init__(self, records: tuple[KeyRecord, ...]) -> None:
        self.records = records
        self._holders: dict[bytes, _Holder] = {}
        for record in records:
            if not record.revoked:
                digest = bytes.fromhex(record.sha256)
                caller = Caller(record.id, record.permissions)
                self._holders[digest] = _Holder(caller, digest, parse_utc(record.expires))

    def holder(self, key: bytes, now: datetime) -> Caller | None:
        """Whose a key is; None for one that is unknown, expired or revoked.

        The key itself is never compared, only its digest: how long that takes tells nothing
        about any key.
        """
        return self.holder_of(key_digest(key), now)

    def holder_of(self, digest: bytes, now: datetime) -> Caller | None:
        """The same by the digest of a key."""
        found = self._holders.get(digest)
        if found is None or not hmac.compare_digest(found.digest, digest) or now >= found.expires:
            return None
        return found.caller

    def has_valid(self, now: datetime) -> bool:
        """Whether any key would be honoured."""
        return any(now < holder.expires for holder in self._holders.values())


class KeyWatch:
    """The key file of a server.

    Parameters
    ----------
    path : Path or None
        None, or a file that is not there: everybody may do everything.
    audit_log : Path, optional
        Says what the file should be. One that was changed past it is honoured, and said to be so.

    Attributes
    ----------
    ring : KeyRing or None
        The last good state; None while there never was a file.
    problem : str
        What is wrong with the file as it is now: a stable word, empty when nothing is.

    Raises
    ------
    ParamsError
        The file is there and is no key file.
    OSError
        It cannot be read.
    """

    def __init__(self, path: Path | None, audit_log: Path | None = None) -> None:
        self.path, self._audit_log = path, audit_log
        self.problem = self._doubt = ""
        self.ring: KeyRing | None = None
        self._seen: object = None
        if path is not None and (stamp := file_stamp(path)) is not None:
            self._seen, self.ring = stamp, self._read(path)
            self.problem = self._doubt

    def look(self) -> KeyRing | str | None:
        """What is new: a good state, a stable word for a bad one, None for nothing. May block."""
        if self.path is None:
            return None
        before = self._seen
        try:
            self._seen = file_stamp(self.path)
            if self._seen is None:
                # Without its file a server that knows keys goes on asking for them.
                return None if self.ring is None else "missing"
            return None if self._seen == before else self._read(self.path)
        except OSError as error:
            self._seen = "never"  # look again, though the file stays what it is
            return self._refused("unreadable", error)
        except MlwbError as error:
            return self._refused("malformed", error)

    def take(self, found: KeyRing | str | None) -> None:
        """Honour what :meth:`look` found; on the event loop."""
        if isinstance(found, KeyRing):
            self.ring, self.problem = found, self._doubt
        elif found is not None:
            self.problem = found

    def _read(self, path: Path) -> KeyRing:
        ring = KeyRing(read_keys(path))
        try:
            self._doubt = "" if is_audited(path, self._audit_log) else UNAUDITED
        except OSError:
            self._doubt = ""  # the log cannot be read, which is not the keys' fault
        if self._doubt:
            _LOG.error("%s is not what the audit log says: it was changed by hand", path.name)
        return ring

    def _refused(self, problem: str, error: Exception) -> str:
        if self.problem != problem:
            _LOG.error("the key file is not taken up: %s", error)
        return problem
