"""One model version on disk: which files it needs, its manifest, and whether it is untouched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, digest_bytes, digest_file, parse_json
from mlwb.core.chain import Problem
from mlwb.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    DigestMismatchError,
    EvidenceSchemaError,
    IncompleteVersionError,
)
from mlwb.core.signing import MANIFEST_TYPE, Signer

__all__ = [
    "MANIFEST",
    "REQUIRED_FILES",
    "SIGNATURE",
    "VersionInfo",
    "check_file",
    "check_signature",
    "check_staged",
    "is_intact",
    "parse_manifest",
    "read_version",
    "sign_version",
    "verify_version",
    "version_names",
    "write_manifest",
]

MANIFEST = "manifest.json"
CHECKSUMS = "checksums.txt"
SIGNATURE = "manifest.sig"
SCHEMA = "mlwb.manifest/1"

REQUIRED_FILES = (
    "CHANGES.md",
    "bench.json",
    "golden_predictions.json",
    "model.onnx",
    "parity.json",
    "reference_distributions.json",
    "scaler_params.json",
    "sidecar.json",
    "training_log.txt",
    "training_manifest.json",
)
"""What a version must bring; ``checksums.txt`` and ``manifest.json`` are written here."""

_EXTERNAL_DATA = b"\x0a\x08location"
"""How protobuf writes the key by which an ONNX tensor names a file outside the model."""


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """A published version.

    Parameters
    ----------
    version : str
        Its name.
    path : Path
        Its directory.
    sha256 : str
        Digest of ``manifest.json``; through it of every byte of the version.
    created : str
        UTC with ``Z``.
    files : mapping
        File name to ``{"sha256": ..., "size": ...}``.
    """

    version: str
    path: Path
    sha256: str
    created: str
    files: Mapping[str, Mapping[str, Any]]

    @property
    def size(self) -> int:
        """Bytes of all files the manifest names."""
        return sum(int(entry["size"]) for entry in self.files.values())


def write_manifest(staging: Path, version: str, *, created: str) -> str:
    """Check a staged version, then write its checksums and, last, its manifest.

    Returns
    -------
    str
        Digest of the manifest.

    Raises
    ------
    IncompleteVersionError
        A required file is missing or empty, something is not a plain file, or the model keeps
        its weights in another file.
    """
    check_staged(staging)
    for name in (CHECKSUMS, MANIFEST, SIGNATURE):
        fsops.remove_file(staging / name)
    names = sorted(path.name for path in staging.iterdir())
    digests = {name: digest_file(staging / name) for name in names}
    lines = [f"{digests[name].removeprefix('sha256:')}  {name}\n" for name in names]
    fsops.write_new(staging / CHECKSUMS, "".join(lines).encode())
    digests[CHECKSUMS] = digest_file(staging / CHECKSUMS)
    files = {
        name: {"sha256": sha256, "size": (staging / name).stat().st_size}
        for name, sha256 in sorted(digests.items())
    }
    manifest = {"schema": SCHEMA, "version": version, "created": created, "files": files}
    data = canonical_bytes(manifest)
    fsops.write_new(staging / MANIFEST, data)
    return digest_bytes(data)


def check_staged(staging: Path) -> None:
    """What a directory must be to become a version.

    Raises
    ------
    ArtifactNotFoundError
        It is not there.
    IncompleteVersionError
        A required file is missing or empty, something is not a plain file, or the model keeps
        its weights in another file.
    """
    if not staging.is_dir():
        raise ArtifactNotFoundError("there is no staged version", got=staging.name)
    odd = [path.name for path in staging.iterdir() if not _is_plain(path)]
    if odd:
        raise IncompleteVersionError("a version holds plain files only", got=", ".join(sorted(odd)))
    lacking = [
        name
        for name in REQUIRED_FILES
        if not (staging / name).is_file() or not (staging / name).stat().st_size
    ]
    if lacking:
        raise IncompleteVersionError(
            "a version lacks files", expected=", ".join(REQUIRED_FILES), got=f"no {lacking}"
        )
    if _EXTERNAL_DATA in fsops.read_bytes(staging / "model.onnx"):
        raise IncompleteVersionError(
            "model.onnx keeps weights outside itself", todo="save it with its weights inside"
        )


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1


def sign_version(path: Path, signer: Signer) -> None:
    """Write the signature of a version's manifest beside it.

    Raises
    ------
    SignatureError
        There is no usable private key.
    """
    envelope = signer.sign(MANIFEST_TYPE, fsops.read_bytes(path / MANIFEST))
    fsops.write_atomic(path / SIGNATURE, canonical_bytes(envelope), mode=0o444)


def check_signature(path: Path, signer: Signer) -> str:
    """Id of the pinned key that signed a version's manifest; empty where no key is pinned.

    Raises
    ------
    SignatureError
        A key is pinned and the signature is missing or not by it.
    """
    if not signer.is_pinned:
        return ""
    manifest = fsops.read_bytes(path / MANIFEST)
    return signer.verify_beside(path / SIGNATURE, MANIFEST_TYPE, manifest)


def check_file(info: VersionInfo, name: str, data: bytes | None) -> bytes:
    """The bytes of a file, when they are what its manifest says.

    Raises
    ------
    ArtifactNotFoundError
        The manifest names no such file.
    DigestMismatchError
        The file is gone, or holds other bytes.
    """
    if name not in info.files:
        raise ArtifactNotFoundError(
            f"{info.version} has no such file", expected=", ".join(sorted(info.files)), got=name
        )
    if data is None or digest_bytes(data) != info.files[name]["sha256"]:
        raise DigestMismatchError(f"{info.version}/{name} is not what was registered")
    return data


def version_names(models_dir: Path) -> tuple[str, ...]:
    """Names of the directories of versions: real ones, neither links nor hidden."""
    if not models_dir.is_dir():
        return ()
    real = (path for path in models_dir.iterdir() if path.is_dir() and not path.is_symlink())
    return tuple(sorted(path.name for path in real if not path.name.startswith(".")))


def read_version(path: Path) -> VersionInfo:
    """Read the manifest of a published version; nothing else is looked at.

    Raises
    ------
    ArtifactNotFoundError
        There is no such directory.
    IncompleteVersionError
        It has no manifest, or one that cannot be read.
    """
    if path.is_symlink() or not path.is_dir():
        raise ArtifactNotFoundError(f"no model version {path.name}", todo="list the versions")
    try:
        return parse_manifest(fsops.read_bytes(path / MANIFEST), path)
    except FileNotFoundError as error:
        raise IncompleteVersionError(f"{path.name} has no {MANIFEST}") from error
    except OSError as error:
        raise IncompleteVersionError(f"{path.name}/{MANIFEST} cannot be read") from error


def parse_manifest(data: bytes, path: Path) -> VersionInfo:
    """What a manifest says.

    Parameters
    ----------
    data : bytes
        Of ``manifest.json``; anything may come from a file.
    path : Path
        Directory of the version.

    Raises
    ------
    IncompleteVersionError
        It cannot be read.
    """
    try:
        value = parse_json(data)
        return VersionInfo(
            version=value["version"],
            path=path,
            sha256=digest_bytes(data),
            created=value["created"],
            files={name: dict(entry) for name, entry in value["files"].items()},
        )
    except (EvidenceSchemaError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise IncompleteVersionError(f"{path.name}/{MANIFEST} cannot be read") from error


def verify_version(path: Path, *, sha256: str = "") -> tuple[Problem, ...]:
    """Hash every file of a version again.

    Parameters
    ----------
    path : Path
        The version's directory.
    sha256 : str, default=""
        Digest the manifest had when it was registered; not compared when empty.

    Returns
    -------
    tuple of Problem
        Empty when every byte is as registered. ``where`` is ``version/file``.

    Raises
    ------
    ArtifactError
        There is no such version, or it has no readable manifest.
    """
    info = read_version(path)
    found = list(_manifest_problems(info, sha256))
    there = {entry.name: entry for entry in path.iterdir()}
    found += [
        Problem("extra", f"{path.name}/{name}", "the manifest does not name it")
        for name in sorted(set(there) - set(info.files) - {MANIFEST, SIGNATURE})
    ]
    for name, entry in sorted(info.files.items()):
        found.extend(_file_problems(f"{path.name}/{name}", there.get(name), entry))
    return tuple(found)


def is_intact(path: Path, *, sha256: str) -> bool:
    """Whether a directory is a version, every byte as registered."""
    try:
        return not verify_version(path, sha256=sha256)
    except ArtifactError:
        return False


def _manifest_problems(info: VersionInfo, sha256: str) -> Iterator[Problem]:
    where = f"{info.path.name}/{MANIFEST}"
    if sha256 and sha256 != info.sha256:
        yield Problem("tampered", where, "it is not the manifest that was registered")
    if info.version != info.path.name:
        yield Problem("tampered", where, f"it is the manifest of {info.version}")
    for name in sorted({*REQUIRED_FILES, CHECKSUMS} - set(info.files)):
        yield Problem("missing", f"{info.path.name}/{name}", "the manifest does not name it")


def _file_problems(where: str, path: Path | None, entry: Mapping[str, Any]) -> Iterator[Problem]:
    if path is None:
        yield Problem("missing", where, "the file is gone")
    elif path.is_symlink() or not path.is_file():
        yield Problem("tampered", where, "it is not a plain file")
    elif path.stat().st_size != entry.get("size") or digest_file(path) != entry.get("sha256"):
        yield Problem("tampered", where, "its bytes are not the registered ones")
