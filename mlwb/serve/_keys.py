"""Keys at rest: who may do what, and nothing from which a key could be made again.

A key is 256 random bits, shown once. The file holds its SHA-256. A slow password hash would add
nothing: there is no dictionary of 256-bit numbers to try, and every request would pay for it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.clock import format_utc, parse_utc
from mlwb.core.errors import ArtifactNotFoundError, EvidenceError, LockHeldError, ParamsError
from mlwb.serve._endpoints import Permission
from mlwb.serve._http import key_digest
from mlwb.serve._key_audit import KeyAudit

__all__ = ["KEY_PREFIX", "ROLES", "KeyFile", "KeyRecord", "read_keys"]

KEY_PREFIX = "mlwb_"
"""Every key starts with it, so that scanners for leaked secrets find one."""

ROLES: dict[str, frozenset[Permission]] = {
    "predict": frozenset((Permission.PREDICT,)),
    "read": frozenset((Permission.READ,)),
    "service": frozenset((Permission.PREDICT, Permission.SERVICE)),
    "ops": frozenset((Permission.READ, Permission.OPS)),
    "admin": frozenset(Permission),
}
"""What each role of a key permits. Open routes need none."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]{0,47}")
_LOCK_S = 5.0
_OWNER_ONLY = 0o600

_Stamp = Annotated[str, msgspec.Meta(max_length=40)]


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a key.

    Parameters
    ----------
    id : str
        ``<name>-<8 hex digits>``; in logs, in the audit and on the command line.
    name : str
        Whose key it is.
    roles : tuple of str
        Keys of :data:`ROLES`, sorted.
    sha256 : str
        Hex digest of the key.
    created, expires : str
        RFC 3339 UTC.
    revoked : str, default=""
        When it was taken back; empty while it was not.
    """

    id: Annotated[str, msgspec.Meta(max_length=64)]
    name: str
    roles: tuple[Literal["predict", "read", "service", "ops", "admin"], ...]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    created: _Stamp
    expires: _Stamp
    revoked: str = ""

    @property
    def permissions(self) -> frozenset[Permission]:
        """Everything its roles permit."""
        return frozenset().union(*(ROLES[role] for role in self.roles))

    def state(self, now: datetime) -> str:
        """``"valid"``, ``"expired"`` or ``"revoked"``."""
        if self.revoked:
            return "revoked"
        return "valid" if now < parse_utc(self.expires) else "expired"


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: Literal["mlwb.keys/1"]
    keys: tuple[KeyRecord, ...]


def read_keys(path: Path) -> tuple[KeyRecord, ...]:
    """All keys of a file.

    Raises
    ------
    ParamsError
        It is no key file; the message says where, and holds no digest.
    FileNotFoundError
        It is not there.
    """
    try:
        content = msgspec.convert(parse_json(fsops.read_bytes(path)), _Content)
        for record in content.keys:
            parse_utc(record.expires)
    except (EvidenceError, msgspec.ValidationError) as error:
        raise ParamsError(
            f"{path.name} is no key file",
            got=str(error) if isinstance(error, msgspec.ValidationError) else "no strict JSON",
            todo="restore it, or write a new one with `mlwb keys add`",
        ) from error
    ids = [record.id for record in content.keys]
    if len({record.sha256 for record in content.keys}) < len(ids) or len(set(ids)) < len(ids):
        raise ParamsError(f"{path.name} names a key twice", todo="remove one of the two")
    return content.keys


class KeyFile:
    """``artifacts/keys.json``, as `mlwb keys` changes it: under a lock, in one step, owner only.

    Parameters
    ----------
    path : Path
        Need not exist.
    audit : KeyAudit, optional
        Gets a line before and after each change; one that cannot be written prevents the change.
    """

    def __init__(self, path: Path, audit: KeyAudit | None = None) -> None:
        self.path, self._audit = path, audit

    def records(self) -> tuple[KeyRecord, ...]:
        """All keys, oldest first; none when there is no file."""
        try:
            return read_keys(self.path)
        except FileNotFoundError:
            return ()

    def add(
        self, name: str, roles: Iterable[str], *, now: datetime, days: float
    ) -> tuple[KeyRecord, str]:
        """Make a key.

        Parameters
        ----------
        name : str
            Whose it is; must not have a valid key already.
        roles : iterable of str
            Keys of :data:`ROLES`, at least one.
        now : datetime
            UTC.
        days : float
            Until it expires.

        Returns
        -------
        KeyRecord, str
            What was kept, and the key itself, which is nowhere else.

        Raises
        ------
        ParamsError
            The name or a role is none, or the name has a valid key.
        """
        wanted = sorted(set(roles))
        if _NAME.fullmatch(name) is None:
            raise ParamsError(
                "not a name for a key",
                expected="1 to 48 of A-Z a-z 0-9 . _, the first a letter or digit",
                got=repr(name[:60]),
            )
        unknown = [role for role in wanted if role not in ROLES]
        if unknown or not wanted:
            raise ParamsError(
                "no such role" if unknown else "a key needs a role",
                expected=", ".join(ROLES),
                got=", ".join(unknown) or "none",
            )
        record, key = _make(name, wanted, now, days)

        def change(records: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
            if any(found.name == name and found.state(now) == "valid" for found in records):
                raise ParamsError(
                    f"{name} has a valid key", todo=f"mlwb keys rotate {name}, or choose a name"
                )
            return (*records, record)

        self._change("add_key", change)
        return record, key

    def rotate(
        self, which: str, *, now: datetime, days: float, grace: timedelta
    ) -> tuple[KeyRecord, str]:
        """Make the successor of a key; the old one goes on for a while.

        Parameters
        ----------
        which : str
            Name or id of a valid key.
        now : datetime
            UTC.
        days : float
            Until the new key expires.
        grace : timedelta
            How long the old one stays valid, never longer than it would have been.

        Returns
        -------
        KeyRecord, str
            The new key's record, and the new key.

        Raises
        ------
        ArtifactNotFoundError
            There is no such valid key.
        """
        made: list[tuple[KeyRecord, str]] = []

        def change(records: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
            old = [found for found in _named(records, which) if found.state(now) == "valid"]
            if not old:
                raise _missing(which)
            made.append(_make(old[-1].name, old[-1].roles, now, days))
            last = now.replace(microsecond=0) + grace
            ended = {
                found.id: msgspec.structs.replace(found, expires=format_utc(last))
                for found in old
                if parse_utc(found.expires) > last
            }
            return (*(ended.get(found.id, found) for found in records), made[0][0])

        self._change("rotate_key", change)
        return made[0]

    def revoke(self, which: str, *, now: datetime) -> tuple[KeyRecord, ...]:
        """Take a key back, or all keys of a name.

        Raises
        ------
        ArtifactNotFoundError
            There is none that was not taken back before.
        """
        gone: dict[str, KeyRecord] = {}

        def change(records: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
            gone.update(
                (
                    found.id,
                    msgspec.structs.replace(found, revoked=format_utc(now.replace(microsecond=0))),
                )
                for found in _named(records, which)
                if not found.revoked
            )
            if not gone:
                raise _missing(which)
            return tuple(gone.get(found.id, found) for found in records)

        self._change("revoke_key", change)
        return tuple(gone.values())

    def _change(
        self, what: str, change: Callable[[tuple[KeyRecord, ...]], tuple[KeyRecord, ...]]
    ) -> None:
        fsops.make_dirs(self.path.parent)
        try:
            with FileLock(f"{self.path}.lock", timeout=_LOCK_S):
                before = self.records()
                content = _Content("mlwb.keys/1", change(before))
                data = canonical_bytes(msgspec.to_builtins(content)) + b"\n"
                about = "; ".join(map(_told, (key for key in content.keys if key not in before)))
                with ExitStack() as stack:
                    if self._audit is not None:
                        audited = self._audit.around(what, about, keys=self.path, data=data)
                        stack.enter_context(audited)
                    fsops.write_atomic(self.path, data, _OWNER_ONLY)
        except Timeout as error:
            raise LockHeldError("the key file is being changed", todo="try again") from error


def _told(record: KeyRecord) -> str:
    """A key as the audit log names it: with what is new about it."""
    until = f"revoked {record.revoked}" if record.revoked else f"until {record.expires}"
    return f"{record.id} {', '.join(record.roles)} {until}"


def _make(name: str, roles: Iterable[str], now: datetime, days: float) -> tuple[KeyRecord, str]:
    if not 0 < days <= 3_650:
        raise ParamsError("a key expires", expected="0 < days <= 3650", got=f"{days:g}")
    key, made = KEY_PREFIX + secrets.token_urlsafe(32), now.replace(microsecond=0)
    record = msgspec.convert(
        {
            "id": f"{name}-{secrets.token_hex(4)}",
            "name": name,
            "roles": tuple(roles),
            "sha256": key_digest(key.encode()).hex(),
            "created": format_utc(made),
            "expires": format_utc((made + timedelta(days=days)).replace(microsecond=0)),
        },
        KeyRecord,
    )
    return record, key


def _named(records: Iterable[KeyRecord], which: str) -> list[KeyRecord]:
    return [record for record in records if which in (record.id, record.name)]


def _missing(which: str) -> ArtifactNotFoundError:
    return ArtifactNotFoundError(f"no valid key {which}", todo="see `mlwb keys list`")
