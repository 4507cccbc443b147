"""The files of versions on an object store: one immutable object each, `manifest.json` last.

They stand below ``models/<version>/<first digits of the manifest's digest>/``, so an upload that
was never finished, or was of other bytes, stands in nobody's way; which bytes a name means is
said by the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.canonical import digest_bytes
from mlwb.core.chain import Problem
from mlwb.core.errors import DigestMismatchError, IncompleteVersionError
from mlwb.registry._store import ObjectStore, in_parallel, put_right
from mlwb.registry._version import MANIFEST, SIGNATURE, VersionInfo, check_file, parse_manifest

__all__ = ["digits_of", "extra_files", "fetch", "folders", "read_file", "upload"]

_FOLDER = "models/"
_DIGITS = 16
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")


def _place(version: str, sha256: str) -> str:
    return f"{_FOLDER}{version}/{digits_of(sha256)}/"


def upload(store: ObjectStore, info: VersionInfo) -> None:
    """Create an object for every file of an intact version; what stands there already is kept.

    Where it is not what belongs there it is put right.

    Parameters
    ----------
    store : ObjectStore
        Of the registry.
    info : VersionInfo
        Of a directory that was just verified.
    """
    place = _place(info.version, info.sha256)

    def put(name: str) -> None:
        put_right(store, place + name, fsops.read_bytes(info.path / name))

    signature = [SIGNATURE] if (info.path / SIGNATURE).is_file() else []
    in_parallel(store, put, [*info.files, *signature])
    put(MANIFEST)


def fetch(store: ObjectStore, version: str, sha256: str, target: Path) -> None:
    """Write the files of a version into a new directory, as they are; whoever asked verifies.

    Parameters
    ----------
    store : ObjectStore
        Of the registry.
    version, sha256 : str
        Its name, and the digest of its manifest as the log has it.
    target : Path
        Must not exist; what is missing in the store is missing there.

    Raises
    ------
    IncompleteVersionError
        It has no manifest, or one that names what is no file.
    StorageError
        The store does not answer, or refuses.
    """
    place = _place(version, sha256)
    manifest = store.get(place + MANIFEST)
    if manifest is None:
        raise IncompleteVersionError(f"{version} has no {MANIFEST} in {store.name}")
    names = _named(version, manifest.data)
    fsops.make_dirs(target.parent)
    target.mkdir()

    def get(name: str) -> None:
        if (stored := store.get(place + name)) is not None:
            (target / name).write_bytes(stored.data)

    in_parallel(store, get, [*names, SIGNATURE])
    (target / MANIFEST).write_bytes(manifest.data)


def read_file(store: ObjectStore, version: str, sha256: str, name: str) -> bytes:
    """One file of a version, hashed.

    Raises
    ------
    DigestMismatchError
        It, or the manifest, is not what was registered.
    ArtifactNotFoundError
        The manifest names no such file.
    """
    place = _place(version, sha256)
    manifest = store.get(place + MANIFEST)
    if manifest is None or digest_bytes(manifest.data) != sha256:
        raise DigestMismatchError(f"{version}/{MANIFEST} is not what was registered")
    info = parse_manifest(manifest.data, Path(version))
    stored = store.get(place + name) if name in info.files else None
    return check_file(info, name, stored.data if stored else None)


def extra_files(store: ObjectStore, info: VersionInfo, sha256: str) -> Iterator[Problem]:
    """Objects of a version that its manifest does not name; lists, so it is for people."""
    place = _place(info.version, sha256)
    there = {key.removeprefix(place) for key in store.list(place)}
    for name in sorted(there - set(info.files) - {MANIFEST, SIGNATURE}):
        yield Problem("extra", f"{info.version}/{name}", "the manifest does not name it")


def folders(store: ObjectStore) -> dict[tuple[str, str], tuple[str, ...]]:
    """Keys by version and digits of the digest; lists, so it is for people."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for key in store.list(_FOLDER):
        version, _, rest = key.removeprefix(_FOLDER).partition("/")
        digits = rest.partition("/")[0]
        found[version, digits] = (*found.get((version, digits), ()), key)
    return found


def digits_of(sha256: str) -> str:
    """How a digest is written in a key."""
    return sha256.removeprefix("sha256:")[:_DIGITS]


def _named(version: str, manifest: bytes) -> list[str]:
    names = list(parse_manifest(manifest, Path(version)).files)
    odd = [name for name in names if _FILE.fullmatch(name) is None or name == MANIFEST]
    if odd:
        raise IncompleteVersionError(
            f"{version}/{MANIFEST} names what is no file of a version", got=repr(odd[0][:80])
        )
    return names
