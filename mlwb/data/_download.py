"""One file of the archive: downloaded in parts, compared with its checksum, moved into place."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from mlwb.core.errors import DataFetchError, DataSchemaError
from mlwb.core.fsops import fsync_dir, fsync_file, write_atomic
from mlwb.data._archive import ArchiveFile
from mlwb.data._files import DAMAGE
from mlwb.data._polite import Line

__all__ = ["FetchedFile", "download", "on_disk"]

_SHA256 = re.compile(r"\b([0-9a-fA-F]{64})\b")
_GONE = frozenset({404, 410})
_CHUNK = 1 << 20
_SPARE_BYTES, _BYTES_A_BAR = 1 << 20, 512
"""Most that is taken: a bar is at most 250 bytes of text, and 80 packed."""
_CHECKSUM_BYTES = 4096


@dataclass(frozen=True)
class FetchedFile:
    """What became of one file.

    Parameters
    ----------
    name : str
    first, last : str
        UTC days it holds, ``YYYY-MM-DD``.
    status : {"fetched", "present", "mismatch", "unverified", "damaged"}
        ``present`` was there and verified; ``mismatch`` differs from its published checksum;
        ``unverified`` has none; ``damaged`` is no zip of one csv.
    is_kept : bool
        Whether it lies in the folder now.
    size : int
        Bytes of the zip.
    rows, expected_rows : int
        Bars in it, and those of a market that never stopped.
    sha256, published_sha256 : str
        64 hex digits; the second one empty where none is published.
    note : str, default=""
        What is damaged, and whether an earlier copy lies in the folder all the same.
    """

    name: str
    first: str
    last: str
    status: str
    is_kept: bool
    size: int
    rows: int
    expected_rows: int
    sha256: str
    published_sha256: str
    note: str = ""


def on_disk(file: ArchiveFile, folder: Path) -> FetchedFile | None:
    """A file that is there, whole, and equal to the checksum beside it; None otherwise."""
    target, beside = folder / file.name, _beside(folder / file.name)
    if not target.is_file() or not beside.is_file():
        return None
    found = _inspect(target, file, _sha256_in(beside.read_text("utf-8", "replace")))
    return _with(found, status="present") if found.status == "fetched" else None


def download(
    file: ArchiveFile,
    folder: Path,
    *,
    line: Line,
    allow_mismatch: bool,
    on_bytes: Callable[[int], None],
) -> FetchedFile | None:
    """Bring one file into the folder.

    Parameters
    ----------
    file : ArchiveFile
    folder : Path
    line : Line
    allow_mismatch : bool
        Keep a file that differs from its checksum, or has none. A damaged one is never kept.
    on_bytes : callable
        Told the number of bytes of each piece as it arrives.

    Returns
    -------
    FetchedFile or None
        None where the archive has no such file.

    Raises
    ------
    DataFetchError
        The archive does not answer, or refuses.
    """
    published = line.ask("GET", f"{file.path}.CHECKSUM", read=_read_checksum)
    if published is None and line.ask("HEAD", file.path, read=_status) in _GONE:
        return None
    part = folder / f"{file.name}.{(published or 'unverified')[:12]}.part"
    _drop_other_parts(part, folder / file.name)
    began_with = _size(part)
    if _receive(file, part, line=line, on_bytes=on_bytes) in _GONE:
        return None
    found = _inspect(part, file, published or "")
    if found.status != "fetched" and began_with:  # the fault may lie in what was there before
        part.unlink()
        _receive(file, part, line=line, on_bytes=on_bytes)
        found = _inspect(part, file, published or "")
    is_kept = found.status == "fetched" or (allow_mismatch and found.status != "damaged")
    if is_kept:
        _publish(part, folder / file.name, published)
    else:
        part.unlink()
        if (folder / file.name).exists():
            found = _with(found, note=f"{found.note}; an earlier copy stays".lstrip("; "))
    return _with(found, is_kept=is_kept)


def _with(found: FetchedFile, **changes: object) -> FetchedFile:
    return FetchedFile(**{**vars(found), **changes})


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.CHECKSUM")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _drop_other_parts(part: Path, target: Path) -> None:
    """A part is bound to the checksum it shall have; one of another upload is of no use."""
    for other in target.parent.glob(f"{target.name}.*.part"):
        if other != part:
            other.unlink()


def _status(answer: httpx.Response) -> int:
    if answer.status_code >= 400 and answer.status_code not in _GONE:
        raise DataFetchError(
            f"{answer.url} is refused",
            got=f"HTTP {answer.status_code}",
            todo="see whether the archive may be read from here, or name a mirror",
        )
    return answer.status_code


def _read_checksum(answer: httpx.Response) -> str | None:
    if _status(answer) in _GONE:
        return None
    begun = b""
    for piece in answer.iter_bytes():
        begun += piece
        if len(begun) >= _CHECKSUM_BYTES:
            break
    text = begun[:_CHECKSUM_BYTES].decode("utf-8", errors="replace")
    found = _sha256_in(text)
    if not found:
        raise DataFetchError(f"{answer.url} holds no SHA-256", got=repr(text[:40]))
    return found


def _sha256_in(text: str) -> str:
    found = _SHA256.search(text)
    return found.group(1).lower() if found else ""


def _receive(file: ArchiveFile, part: Path, *, line: Line, on_bytes: Callable[[int], None]) -> int:
    """Complete a part from where it ends; the status of the last answer."""

    def read(answer: httpx.Response) -> int:
        have = _size(part)
        if answer.status_code == 416 and have:
            return _settle(answer, part, have)
        status = _status(answer)
        if status in _GONE:
            return status
        goes_on = status == 206 and answer.headers.get("content-range", "").startswith(
            f"bytes {have}-"
        )
        size = have if goes_on else 0
        with part.open("ab" if goes_on else "wb") as sink:
            for piece in answer.iter_raw():
                size += len(piece)
                _check_size(size, file, part)
                sink.write(piece)
                on_bytes(len(piece))
                line.check_stop()
        return status

    return line.ask("GET", file.path, read=read, have=lambda: _size(part))


def _most_bytes(file: ArchiveFile) -> int:
    return _SPARE_BYTES + _BYTES_A_BAR * file.expected_rows


def _check_size(size: int, file: ArchiveFile, part: Path) -> None:
    if size > _most_bytes(file):
        part.unlink()
        raise DataFetchError(
            f"{file.name} does not end",
            expected=f"at most {_most_bytes(file):,} bytes for {file.expected_rows:,} bars",
            got="more",
            todo="see what answers at this address, or name a mirror",
        )


def _settle(answer: httpx.Response, part: Path, have: int) -> int:
    """Nothing lies beyond the part: it is whole, or it is of something else."""
    if answer.headers.get("content-range", "") == f"bytes */{have}":
        return 206
    part.unlink()
    raise httpx.ReadError("the part on disk does not fit the file")


def _inspect(path: Path, file: ArchiveFile, published: str) -> FetchedFile:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while piece := source.read(_CHUNK):
            digest.update(piece)
    sha256, rows, note = digest.hexdigest(), 0, ""
    try:
        rows = _rows_of(path, _most_bytes(file))
    except DataSchemaError as error:
        note = str(error)
    if note:
        status = "damaged"
    elif not published:
        status = "unverified"
    else:
        status = "fetched" if sha256 == published else "mismatch"
    return FetchedFile(
        name=file.name,
        first=file.first.isoformat(),
        last=file.last.isoformat(),
        status=status,
        is_kept=True,
        size=path.stat().st_size,
        rows=rows,
        expected_rows=file.expected_rows,
        sha256=sha256,
        published_sha256=published,
        note=note,
    )


def _rows_of(path: Path, most_bytes: int) -> int:
    """Bars in a zip of one csv; reading to its end also checks the zip's own sums."""
    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(_only_member(archive, most_bytes)) as source,
        ):
            first = piece = source.read(_CHUNK)
            rows, last = 0, b""
            while piece:
                rows, last = rows + piece.count(b"\n"), piece[-1:]
                piece = source.read(_CHUNK)
    except DataSchemaError:
        raise
    except DAMAGE as error:
        raise DataSchemaError(f"not a whole zip: {error}") from error
    rows += bool(last) and last != b"\n"
    rows -= not first[:1].isdigit()
    if rows < 1:
        raise DataSchemaError("no bar in it")
    return rows


def _only_member(archive: zipfile.ZipFile, most_bytes: int) -> zipfile.ZipInfo:
    members = [item for item in archive.infolist() if not item.is_dir()]
    if len(members) != 1:
        raise DataSchemaError("not one csv in the zip", got=f"{len(members)} files")
    if members[0].file_size > most_bytes:
        raise DataSchemaError("more in it than its days have", got=f"{members[0].file_size} bytes")
    return members[0]


def _publish(part: Path, target: Path, published: str | None) -> None:
    """The checksum first: a zip without the right one beside it is fetched again."""
    if published:
        write_atomic(_beside(target), f"{published}  {target.name}\n".encode())
    else:
        _beside(target).unlink(missing_ok=True)
    fsync_file(part)
    part.replace(target)
    fsync_dir(target.parent)
