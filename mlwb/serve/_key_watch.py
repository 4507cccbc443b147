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

    Attributes
    ----------
    ring : KeyRing or None
        The last good state; None while there never was a file.
    problem : str
        Why the file as it is now is not honoured: a stable word, empty when it is.

    Raises
    ------
    ParamsError
        The file is there and is no key file.
    OSError
        It cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.problem = ""
        self.ring: KeyRing | None = None
        self._seen: object = None
        if path is not None and (stamp := file_stamp(path)) is not None:
            self._seen, self.ring = stamp, KeyRing(read_keys(path))

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
            return None if self._seen == before else KeyRing(read_keys(self.path))
        except OSError as error:
            self._seen = "never"  # look again, though the file stays what it is
            return self._refused("unreadable", error)
        except MlwbError as error:
            return self._refused("malformed", error)

    def take(self, found: KeyRing | str | None) -> None:
        """Honour what :meth:`look` found; on the event loop."""
        if isinstance(found, KeyRing):
            self.ring, self.problem = found, ""
        elif found is not None:
            self.problem = found

    def _refused(self, problem: str, error: Exception) -> str:
        if self.problem != problem:
            _LOG.error("the key file is not taken up: %s", error)
        return problem
