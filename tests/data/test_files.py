"""Bytes of a source file: every way they can be wrong is said in a sentence."""

from __future__ import annotations

import gzip
import hashlib
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from mlwb.core.errors import DataNotFoundError, DataSchemaError
from mlwb.data import _files as files
from mlwb.data._files import open_source

TEXT = b"ts,open,high,low,close,volume\n" * 200


@pytest.mark.parametrize("kind", ["plain", "gz", "zip"])
def test_content_is_unpacked_and_the_stored_bytes_are_hashed(tmp_path: Path, kind: str) -> None:
    """The digest is of the file as it lies on disk; hashlib is the oracle."""
    path = tmp_path / "bars.bin"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("bars.csv", TEXT)
    else:
        path.write_bytes(gzip.compress(TEXT) if kind == "gz" else TEXT)
    found = open_source(path)
    assert found.data == TEXT
    assert found.sha256 == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.uri == "bars.bin"


def test_a_missing_file_is_named_as_the_user_gave_it(tmp_path: Path) -> None:
    """The message repeats the path."""
    with pytest.raises(DataNotFoundError, match=r"no file .*absent\.csv"):
        open_source(tmp_path / "absent.csv")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """A folder is refused by name."""
    with pytest.raises(DataNotFoundError, match="is a directory"):
        open_source(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, content: bytes) -> None:
    """Also when it is empty inside its gzip."""
    path = tmp_path / "bars.csv"
    path.write_bytes(content)
    with pytest.raises(DataNotFoundError, match="is empty"):
        open_source(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_gzip_is_cut_short(tmp_path: Path, share: float) -> None:
    """Wherever the download stopped."""
    packed = gzip.compress(TEXT)
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(packed[: max(3, int(len(packed) * share))])
    with pytest.raises(DataSchemaError, match=r"cut short|damaged"):
        open_source(path)


def test_a_flipped_byte_in_a_gzip_is_damage(tmp_path: Path) -> None:
    """The stream's own checksum is believed."""
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 0xFF
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(DataSchemaError, match="damaged"):
        open_source(path)


def test_a_zip_holds_one_file(tmp_path: Path) -> None:
    """Two tables in one archive are not joined by guess."""
    path = tmp_path / "bars.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    with pytest.raises(DataSchemaError, match=r"one file in the zip, got a\.csv, b\.csv"):
        open_source(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    """The flag alone is believed; nobody is asked for a password."""
    path = tmp_path / "bars.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
    packed = bytearray(path.read_bytes())
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(packed)
    with pytest.raises(DataSchemaError, match="is encrypted"):
        open_source(path)


def test_half_a_zip_is_damage(tmp_path: Path) -> None:
    """A zip without its directory cannot be opened."""
    path = tmp_path / "bars.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataSchemaError, match="damaged"):
        open_source(path)


def test_a_published_checksum_is_read(tmp_path: Path) -> None:
    """In the format of `sha256sum`, which is what the archive publishes."""
    path = tmp_path / "bars.csv"
    path.write_bytes(TEXT)
    published = hashlib.sha256(TEXT).hexdigest()
    (tmp_path / "bars.csv.CHECKSUM").write_text(f"{published}  bars.csv\n")
    assert open_source(path).published_sha256 == open_source(path).sha256


def test_a_checksum_file_without_a_checksum_is_refused(tmp_path: Path) -> None:
    """An error page saved as CHECKSUM is not silently ignored."""
    path = tmp_path / "bars.csv"
    path.write_bytes(TEXT)
    (tmp_path / "bars.csv.CHECKSUM").write_text("<html>404</html>")
    with pytest.raises(DataSchemaError, match="holds no SHA-256"):
        open_source(path)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_byte_flipped_anywhere_in_a_zip_is_damage_and_no_crash(
    tmp_path: Path, method: int
) -> None:
    """Headers, content, directory: the content comes whole, or the file is refused."""
    path = tmp_path / "bars.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("bars.csv", TEXT[:600])
    whole = path.read_bytes()
    for at in range(len(whole)):
        for value in (0x00, 0xFF, whole[at] ^ 1):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            with suppress(DataSchemaError, DataNotFoundError):
                found = open_source(path)
                assert found.data == TEXT[:600] or not found.member


@pytest.mark.parametrize("kind", ["gz", "zip", "zst"])
def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Not one byte beyond the bound."""
    monkeypatch.setattr(files, "_MOST_BYTES", 1_000)
    path = tmp_path / "bars.bin"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bars.csv", TEXT)
    elif kind == "gz":
        path.write_bytes(gzip.compress(TEXT))
    else:
        path.write_bytes(pa.Codec("zstd").compress(TEXT).to_pybytes())
    with pytest.raises(DataSchemaError, match="unpacks to more than 1,000 bytes"):
        open_source(path)


def test_a_pipe_and_a_name_that_cannot_be_are_no_files(tmp_path: Path) -> None:
    """A pipe would be waited for without end."""
    os.mkfifo(tmp_path / "bars.csv")
    with pytest.raises(DataNotFoundError, match="no regular file"):
        open_source(tmp_path / "bars.csv")
    with pytest.raises(DataNotFoundError, match="no path"):
        open_source(Path("bars\0.csv"))
