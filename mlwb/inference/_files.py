"""The files of a version that loading needs, each read once and hashed as read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlwb.core import fsops
from mlwb.core.canonical import digest_bytes, parse_json
from mlwb.core.errors import (
    ArtifactNotFoundError,
    DigestMismatchError,
    EvidenceSchemaError,
    IncompleteVersionError,
)
from mlwb.core.signing import MANIFEST_TYPE, Signer

__all__ = ["VersionFiles", "read_verified", "read_version"]

_GOLDEN, _MANIFEST, _MODEL, _SIDECAR = (
    "golden_predictions.json",
    "manifest.json",
    "model.onnx",
    "sidecar.json",
)


@dataclass(frozen=True)
class VersionFiles:
    """Bytes of one version, already compared with its manifest.

    Parameters
    ----------
    onnx, sidecar, golden : bytes
        Contents of ``model.onnx``, ``sidecar.json``, ``golden_predictions.json``.
    version : str
        What the manifest calls the version; empty when no manifest was asked for.
    """

    onnx: bytes
    sidecar: bytes
    golden: bytes
    version: str


@dataclass(frozen=True)
class _Entry:
    sha256: str
    size: int


@dataclass(frozen=True)
class _Manifest:
    version: str
    files: dict[str, _Entry]


def read_version(
    version_dir: Path, *, verify: bool = True, signer: Signer | None = None
) -> VersionFiles:
    """Read what loading needs from ``artifacts/models/<version>/``.

    Parameters
    ----------
    version_dir : Path
        The directory, or a link to it; resolved once, so a flip in between cannot mix versions.
    verify : bool, default=True
        Compare every file with the sha256 its manifest names.
    signer : Signer, optional
        Where it pins a key, the manifest must be signed by it.

    Returns
    -------
    VersionFiles

    Raises
    ------
    ArtifactNotFoundError
        No such directory.
    IncompleteVersionError
        A file or the manifest is missing, or the manifest cannot be read.
    DigestMismatchError
        A file is not the one the manifest names.
    SignatureError
        The signer pins a key, and the manifest is not signed by it.
    """
    names = (_MODEL, _SIDECAR, _GOLDEN)
    if verify:
        read, version = read_verified(version_dir, names, signer=signer)
    else:
        folder, version = _folder(version_dir), ""
        read = {name: _read(folder, name) for name in names}
    return VersionFiles(read[_MODEL], read[_SIDECAR], read[_GOLDEN], version)


def read_verified(
    version_dir: Path, names: Sequence[str], *, signer: Signer | None = None
) -> tuple[dict[str, bytes], str]:
    """Files of a version, each compared with its manifest, and what the manifest calls it.

    Parameters
    ----------
    version_dir : Path
        The directory, or a link to it; resolved once.
    names : sequence of str
        File names.
    signer : Signer, optional
        Where it pins a key, the manifest must be signed by it.

    Raises
    ------
    ArtifactNotFoundError, IncompleteVersionError, DigestMismatchError, SignatureError
        As for :func:`read_version`.
    """
    folder = _folder(version_dir)
    read = {name: _read(folder, name) for name in names}
    manifest = _read_manifest(folder, signer or Signer())
    for name, data in read.items():
        _check_digest(name, data, manifest)
    return read, manifest.version


def _folder(version_dir: Path) -> Path:
    try:
        folder = version_dir.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError, RuntimeError) as error:
        raise _not_found(version_dir) from error
    if not folder.is_dir():
        raise _not_found(version_dir)
    return folder


def _not_found(version_dir: Path) -> ArtifactNotFoundError:
    return ArtifactNotFoundError(
        f"no model version at {version_dir.name}",
        expected="a directory with manifest.json and model.onnx",
        todo="publish a model first, or name another version",
    )


def _read(folder: Path, name: str) -> bytes:
    try:
        return fsops.read_bytes(folder / name)
    except OSError as error:
        raise IncompleteVersionError(
            f"version {folder.name} has no readable {name}", todo="publish the version again"
        ) from error


def _read_manifest(folder: Path, signer: Signer) -> _Manifest:
    data = _read(folder, _MANIFEST)
    if signer.is_pinned:
        signer.verify_beside(folder / "manifest.sig", MANIFEST_TYPE, data)
    try:
        return msgspec.convert(parse_json(data), type=_Manifest)
    except (EvidenceSchemaError, msgspec.ValidationError) as error:
        raise IncompleteVersionError(
            f"manifest.json of {folder.name} cannot be read: {error}",
            todo="publish the version again",
        ) from error


def _check_digest(name: str, data: bytes, manifest: _Manifest) -> None:
    entry = manifest.files.get(name)
    if entry is None:
        raise IncompleteVersionError(
            f"the manifest of {manifest.version} does not name {name}",
            todo="publish the version again",
        )
    found = digest_bytes(data)
    if found != entry.sha256 or len(data) != entry.size:
        raise DigestMismatchError(
            f"{name} of {manifest.version} was changed after it was published",
            expected=f"{entry.sha256[:19]}.. of {entry.size} bytes",
            got=f"{found[:19]}.. of {len(data)} bytes",
            todo="restore the version from a backup, or promote another",
        )
