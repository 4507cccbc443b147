"""Bytes of a source file: found, hashed, unpacked."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import DataNotFoundError, DataSchemaError

__all__ = ["DAMAGE", "SourceBytes", "open_source"]

DAMAGE = (
    EOFError, IndexError, OSError, RuntimeError, ValueError,
    lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What Python's readers of gzip and zip raise over bytes that are neither."""

_ZSTD = b"\x28\xb5\x2f\xfd"
_MOST_BYTES = 2 << 30
"""Of a file unpacked: ten years of minutes are half of it, a zip bomb is more."""
_SHA256 = re.compile(r"\b([0-9a-fA-F]{64})\b")


@dataclass(frozen=True)
class SourceBytes:
    """A file's content, unpacked.

    Parameters
    ----------
    name : str
        As the user gave it; what messages call the file.
    uri : str
        File name without its folder.
    sha256 : str
        Digest of the bytes as stored.
    published_sha256 : str
        Digest named by ``<file>.CHECKSUM`` beside it; empty without one.
    data : bytes
        Content after gzip, zstd or zip.
    member : str, default=""
        Name of the file inside a zip.
    """

    name: str
    uri: str
    sha256: str
    published_sha256: str
    data: bytes
    member: str = ""


def open_source(path: Path) -> SourceBytes:
    """Read, hash and unpack one file.

    Parameters
    ----------
    path : Path
        Plain, ``.gz``, ``.zst`` or ``.zip`` (one file inside); told by content, not by name.

    Returns
    -------
    SourceBytes

    Raises
    ------
    DataNotFoundError
        Missing, a directory, unreadable, or empty.
    DataSchemaError
        A damaged gzip, zstd or zip, or a zip with more than one file.
    """
    name = str(path)
    stored = _read(path, name)
    data, member = _unpack(stored, name)
    if not data or data.isspace():
        raise DataNotFoundError(f"{name} is empty", todo="download it again")
    return SourceBytes(
        name=name,
        uri=path.name,
        sha256=digest_bytes(stored),
        published_sha256=_published(path),
        data=data,
        member=member,
    )


def _read(path: Path, name: str) -> bytes:
    if path.is_dir():
        raise DataNotFoundError(
            f"{name} is a directory", expected="a file of bars, or the two of a bid/ask pair"
        )
    if path.exists() and not path.is_file():  # a pipe or a device may never end
        raise DataNotFoundError(f"{name} is no regular file", todo="write its bytes to a file")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataNotFoundError(f"no file {name}", todo="check the path") from error
    except OSError as error:
        raise DataNotFoundError(f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataNotFoundError(f"{name!r} is no path: {error}") from error


def _unpack(stored: bytes, name: str) -> tuple[bytes, str]:
    try:
        if stored.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(stored)) as packed:
                return _checked(packed.read(_MOST_BYTES + 1), name), ""
        if stored.startswith(b"PK\x03\x04"):
            return _unzip(stored, name)
    except DataSchemaError:
        raise
    except EOFError as error:
        raise DataSchemaError(
            f"{name} is cut short: the gzip stream ends early", todo="download it again"
        ) from error
    except DAMAGE as error:
        raise DataSchemaError(f"{name} is damaged: {error}", todo="download it again") from error
    if stored.startswith(_ZSTD):
        return _unzstd(stored, name), ""
    return stored, ""


def _unzstd(stored: bytes, name: str) -> bytes:
    """Python has no zstd before 3.14; pyarrow may be built without it."""
    import pyarrow as pa  # type: ignore[import-untyped]

    if not pa.Codec.is_available("zstd"):
        raise DataSchemaError(f"{name} is packed with zstd", todo="unpack it first: zstd -d")
    try:
        with pa.CompressedInputStream(pa.BufferReader(stored), "zstd") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise DataSchemaError(
            f"{name} is a damaged or cut zstd stream", todo="download it again"
        ) from error
    return _checked(bytes(data), name)


def _unzip(stored: bytes, name: str) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        members = [item for item in archive.infolist() if not item.is_dir()]
        if len(members) != 1:
            names = ", ".join(item.filename for item in members[:5])
            raise DataSchemaError(
                f"{name} is not one file of bars", expected="one file in the zip", got=names
            )
        if members[0].flag_bits & 1:
            raise DataSchemaError(f"{name} is encrypted", todo="unpack it first")
        with archive.open(members[0]) as packed:
            return _checked(packed.read(_MOST_BYTES + 1), name), members[0].filename


def _checked(data: bytes, name: str) -> bytes:
    if len(data) > _MOST_BYTES:
        raise DataSchemaError(
            f"{name} unpacks to more than {_MOST_BYTES:,} bytes",
            expected="bars or quotes of one symbol",
            todo="if it is no bomb, cut it into several files",
        )
    return data


def _published(path: Path) -> str:
    beside = path.with_name(path.name + ".CHECKSUM")
    if not beside.is_file():
        return ""
    text = beside.read_bytes()[:4096].decode("ascii", errors="replace")
    found = _SHA256.search(text)
    if found is None:
        raise DataSchemaError(
            f"{beside.name} holds no SHA-256",
            expected="64 hex digits",
            got=repr(text[:40]),
            todo="download it again, or remove it",
        )
    return "sha256:" + found.group(1).lower()
