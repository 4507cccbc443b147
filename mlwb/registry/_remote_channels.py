"""Channels on an object store: one small object each, the only thing a reader looks up.

A channel says what the log says, up to the line it names. It is replaced by compare-and-swap and
never goes back to an earlier line, so it does not matter who writes it, how often, or how late.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.errors import (
    ArtifactError,
    EvidenceSchemaError,
    ParamsError,
    StorageError,
    StoreUnavailableError,
)
from mlwb.core.ids import check_version
from mlwb.registry._channels import CHANNELS
from mlwb.registry._remote_log import RemoteLog
from mlwb.registry._store import ObjectStore, Tag, wait

__all__ = ["Pointer", "agrees", "project", "read_pointer"]

_SCHEMA = "mlwb.channel/1"
_TRIES = 24


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """What a channel says.

    Parameters
    ----------
    channel : str
        Its name.
    version : str or None
        The version it stands for, None for none.
    manifest_sha256 : str
        Digest of that version's manifest, through it of every byte; empty for none.
    seq, sha256 : int, str
        The line of the log it was written after, and that line's digest.
    op : str
        Id of the change that line was about.
    """

    channel: str
    version: str | None
    manifest_sha256: str
    seq: int
    sha256: str
    op: str


def read_pointer(store: ObjectStore, channel: str) -> tuple[Pointer | None, Tag | None]:
    """What a channel says, and the tag to replace it by; one request.

    Raises
    ------
    ArtifactError
        What stands there is no pointer of this channel.
    StoreUnavailableError
        The store does not answer.
    """
    stored = store.get(_key(channel))
    if stored is None:
        return None, None
    try:
        pointer = _parsed(parse_json(stored.data), channel)
    except (EvidenceSchemaError, ParamsError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{channel!r} of {store.name} is no pointer to a version",
            got=str(error),
            todo="roll back to a known version",
        ) from error
    return pointer, stored.tag


def agrees(pointer: Pointer | None, channel: str, log: RemoteLog) -> bool:
    """Whether the log said so at the line a pointer names; it may have moved on since.

    A channel that was never written agrees with a log that never moved it.
    """
    if pointer is None:
        return True
    links = log.links
    if not 1 <= pointer.seq <= len(links) or links[pointer.seq - 1].sha256 != pointer.sha256:
        return False
    return _says(pointer, _wanted(channel, log, pointer.seq))


def project(log: RemoteLog, store: ObjectStore, *, by_force: bool = False) -> None:
    """Bring the channels in line with the log, `latest` first.

    A `latest` that the log never said is left to people.

    Parameters
    ----------
    log : RemoteLog
        As far as it was read; read on where a channel is further.
    store : ObjectStore
        Of the registry.
    by_force : bool, default=False
        Put a `latest` right that somebody moved by hand.
    """
    if log.links:
        for channel in CHANNELS:
            _settle(log, store, channel, by_force=by_force or channel != "latest")


def _settle(log: RemoteLog, store: ObjectStore, channel: str, *, by_force: bool) -> None:
    for attempt in range(_TRIES):
        there, tag, is_readable = _look(store, channel)
        if there is not None and there.seq > len(log.links):
            log.read_on()
        wanted = _wanted(channel, log, len(log.links))
        if is_readable and _says(there, wanted) and agrees(there, channel, log):
            return
        if not by_force and not (is_readable and agrees(there, channel, log)):
            return
        data = canonical_bytes({"schema": _SCHEMA, **vars(wanted)})
        with suppress(StoreUnavailableError):  # whether it happened, the next look tells
            if _replaced(store, channel, data, tag):
                return
        wait(store, attempt // 4)
    raise StorageError(
        f"{channel!r} of {store.name} does not move; the log says where it belongs",
        todo="mlwb registry recover",
    )


def _look(store: ObjectStore, channel: str) -> tuple[Pointer | None, Tag | None, bool]:
    try:
        return *read_pointer(store, channel), True
    except StorageError:
        raise
    except ArtifactError:
        stored = store.get(_key(channel))
        return None, stored.tag if stored else None, False


def _says(there: Pointer | None, wanted: Pointer) -> bool:
    version, sha256 = (there.version, there.manifest_sha256) if there else (None, "")
    return (version, sha256) == (wanted.version, wanted.manifest_sha256)


def _replaced(store: ObjectStore, channel: str, data: bytes, tag: Tag | None) -> bool:
    if tag is None:
        return store.put_if_absent(_key(channel), data) is not None
    return store.compare_and_swap(_key(channel), data, tag) is not None


def _parsed(value: Any, channel: str) -> Pointer:
    schema, pointer = value.pop("schema"), Pointer(**value)
    if (schema, pointer.channel, type(pointer.seq)) != (_SCHEMA, channel, int):
        raise EvidenceSchemaError("it is of another channel, or schema")
    if pointer.version is not None:
        check_version(pointer.version)
    return pointer


def _wanted(channel: str, log: RemoteLog, seq: int) -> Pointer:
    """What the log says of a channel at one of its lines."""
    state, link = log.state(seq), log.links[seq - 1]
    version = getattr(state, channel)
    return Pointer(
        channel=channel,
        version=version,
        manifest_sha256=state.registered.get(version, "") if version else "",
        seq=link.seq,
        sha256=link.sha256,
        op=str(link.body.get("op", "")),
    )


def _key(channel: str) -> str:
    return f"channels/{channel}.json"
