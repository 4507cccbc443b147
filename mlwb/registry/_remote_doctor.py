"""What is not in order in a registry on an object store, beside its versions."""

from __future__ import annotations

from collections.abc import Iterator

from mlwb.core.chain import Problem
from mlwb.core.errors import ArtifactError, SignatureError, StorageError
from mlwb.registry._channels import CHANNELS
from mlwb.registry._remote_channels import agrees, read_pointer
from mlwb.registry._remote_files import digits_of, folders
from mlwb.registry._remote_log import RemoteLog
from mlwb.registry._store import ObjectStore

__all__ = ["examine", "left_over"]


def examine(store: ObjectStore, log: RemoteLog) -> Iterator[Problem]:
    """Problems of channels, signatures and uploads; the log itself was read whole.

    Parameters
    ----------
    store : ObjectStore
        Of the registry.
    log : RemoteLog
        Read to its end.
    """
    for channel in CHANNELS:
        yield from _channel_problems(store, log, channel)
    state = log.state()
    try:
        log.check_signed(log.state().flipped)
    except SignatureError as error:
        yield Problem("unsigned", "log", error.what)
    known = {(version, digits_of(sha256)) for version, sha256 in state.registered.items()}
    for version, digits in sorted(folders(store).keys() - known):
        if version not in state.retired:
            what = "uploaded and never registered, or of other bytes; in nobody's way"
            yield Problem("unlisted", f"{version}/{digits}", what)
    if left_over(store, log):
        yield Problem("stale", "models", "objects of collected versions are still there")


def left_over(store: ObjectStore, log: RemoteLog) -> tuple[str, ...]:
    """Keys of versions that were collected; lists."""
    gone = {
        (str(link.body["version"]), digits_of(str(link.body["manifest_sha256"])))
        for link in log.links
        if link.body.get("action") == "collect"
    }
    if not gone:
        return ()
    there = folders(store)
    return tuple(key for place in sorted(gone) for key in there.get(place, ()))


def _channel_problems(store: ObjectStore, log: RemoteLog, channel: str) -> Iterator[Problem]:
    try:
        pointer, _ = read_pointer(store, channel)
    except StorageError:
        raise
    except ArtifactError as error:
        yield Problem("unaudited", channel, error.what)
        return
    if pointer is not None and pointer.seq > len(log.links):
        log.read_on()  # somebody was at work since
    found, wanted = pointer.version if pointer else None, getattr(log.state(), channel)
    if pointer is not None and pointer.seq > len(log.links):
        what = f"{channel} was written after line {pointer.seq}, the log ends at {len(log.links)}"
        yield Problem("truncated", "log", what)
    elif not agrees(pointer, channel, log):
        yield Problem("unaudited", channel, f"it says {found}, the log does not")
    elif found != wanted:
        kind = "missing" if pointer is None else "dangling"
        yield Problem(kind, channel, f"it says {found}, the log has moved it to {wanted}")
