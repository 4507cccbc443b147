"""No change of the key file without a line: announced before it comes, closed after it.

A line names the digests of the file before and after. What a crash left open is closed by the next
change or the next server; a file that is not what the newest line says was changed past the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import MlwbError, StorageError
from mlwb.serve._audit import AuditLog
from mlwb.serve._audit_check import last_line_with

__all__ = ["UNAUDITED", "KeyAudit", "is_audited"]

UNAUDITED = "unaudited"
"""Stable word for a key file that was changed past the audit log."""
_BEFORE, _AFTER = "keys_before", "keys_after"
_ROUTE = "mlwb keys"


def is_audited(keys: Path, log: Path | None) -> bool:
    """Whether the key file is what the newest line about it says; also where none does.

    Parameters
    ----------
    keys : Path
        Key file; need not exist.
    log : Path or None
        ``audit.log``; None or no file: nobody says anything.
    """
    line = None if log is None else last_line_with(log, _AFTER)
    if line is None:
        return True
    now = _digest(keys)
    # An announced change that never came leaves the file as it was.
    is_open = line["outcome"] == "intent"
    return now in ((line[_AFTER], line[_BEFORE]) if is_open else (line[_AFTER],))


class KeyAudit:
    """Lines about the key file.

    Parameters
    ----------
    log : AuditLog
        Written at once, on this thread.
    path : Path or None
        Of that log; None: it keeps nothing, and nothing is asked of it.
    who : str
        Who changes keys.
    """

    def __init__(self, log: AuditLog, path: Path | None, *, who: str) -> None:
        self._log, self._path, self._who = log, path, who

    @contextmanager
    def around(self, what: str, about: str, *, keys: Path, data: bytes) -> Iterator[None]:
        """Announce a change, and close it; the caller holds the lock of the key file.

        Parameters
        ----------
        what, about : str
            The act, and which keys it is about.
        keys : Path
            The key file as it stands.
        data : bytes
            As it will be.

        Raises
        ------
        StorageError
            The line cannot be written: nothing is changed.
        """
        digests = {_BEFORE: _digest(keys), _AFTER: digest_bytes(data)}
        try:
            self.settle(keys)
            self._write(what, "intent", reason=about, **digests)
        except (OSError, Timeout, MlwbError) as error:
            raise StorageError(
                f"the audit log cannot be written, so no key is changed: {error}",
                todo="see `mlwb keys audit`, and put the disk or the log right",
            ) from error
        yield
        # The change was announced with what it led to: a line that is missing here is made up for.
        with suppress(OSError, Timeout, MlwbError):
            self._write(what, "done", reason=about, **digests)

    def settle(self, keys: Path) -> None:
        """Close what a crash left open, and say so where the file was changed past the log."""
        line = None if self._path is None else last_line_with(self._path, _AFTER)
        if line is None:
            return
        now = _digest(keys)
        as_it_is = {_BEFORE: now, _AFTER: now}
        if now == line[_AFTER]:
            if line["outcome"] == "intent":
                self._write("keys", "done", reason="a crash came after it", **as_it_is)
        elif line["outcome"] == "intent" and now == line[_BEFORE]:
            self._write("keys", "aborted", reason="a crash came before it", **as_it_is)
        else:
            said = "the key file is not what the line before about it says"
            self._write("keys", UNAUDITED, reason=said, **as_it_is)

    def _write(self, what: str, outcome: str, **more: str) -> None:
        self._log.now(what, outcome, who=self._who, route=_ROUTE, **more)


def _digest(keys: Path) -> str:
    try:
        return digest_bytes(keys.read_bytes())
    except FileNotFoundError:
        return ""
