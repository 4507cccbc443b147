"""Logs of a server: one JSON object a line, set aside by size and by day.

A log is no evidence: lines may be dropped under load (the server counts them) and the last one
may be torn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

import msgspec

from mlwb.core.errors import EvidenceSchemaError

__all__ = ["parse_stamped", "read_all_lines", "read_lines", "set_aside_files"]


class _Stamped(Protocol):
    @property
    def ts(self) -> datetime: ...


_Line = TypeVar("_Line")
_StampedLine = TypeVar("_StampedLine", bound=_Stamped)


def parse_stamped(
    data: bytes, decoder: msgspec.json.Decoder[_StampedLine], log: str
) -> _StampedLine:
    """One line that says when.

    Parameters
    ----------
    data : bytes
        With or without its newline.
    decoder : msgspec.json.Decoder
        Of the lines.
    log : str
        What the file is, for the message.

    Raises
    ------
    EvidenceSchemaError
        Not such a line, or its time has no zone.
    """
    try:
        line = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvidenceSchemaError(f"not a line of a {log}: {error}") from error
    if line.ts.tzinfo is None:
        raise EvidenceSchemaError(f"not a line of a {log}: ts has no time zone")
    return line


def set_aside_files(path: Path) -> list[Path]:
    """Files of a log that were set aside, ``<name>.<UTC time>``, oldest first."""
    return sorted(item for item in path.parent.glob(f"{path.name}.*") if item.is_file())


def read_lines(path: Path, parse: Callable[[bytes], _Line]) -> Iterator[_Line]:
    """Lines of one file in the order they were written, a torn last line left out.

    Parameters
    ----------
    path : Path
        A missing file has no lines.
    parse : callable
        Reads one line.

    Yields
    ------
    object
        What ``parse`` gives.

    Raises
    ------
    EvidenceSchemaError
        A whole line cannot be read; the message names file and number.
    """
    with _open(path) as handle:
        if handle:
            yield from _lines(handle, path.name, parse)


def read_all_lines(path: Path, parse: Callable[[bytes], _Line]) -> Iterator[_Line]:
    """Lines of any log of a server with the files that were set aside, oldest first.

    A log may be set aside while it is read: no line is left out or comes twice. What is written
    after the first line was asked for may be missing.

    Parameters
    ----------
    path : Path
        The named file; neither it nor any file beside it need exist.
    parse : callable
        Reads one line.

    Yields
    ------
    object
        What ``parse`` gives.

    Raises
    ------
    EvidenceSchemaError
        A whole line cannot be read; the message names file and number.
    """
    with _open(path) as newest:
        # Set aside between the two looks, the newest stands among the old ones as well.
        seen = os.fstat(newest.fileno()) if newest else None
        for item in set_aside_files(path):
            with _open(item) as older:
                if older and not (seen and os.path.samestat(os.fstat(older.fileno()), seen)):
                    yield from _lines(older, item.name, parse)
        if newest:
            yield from _lines(newest, path.name, parse)


def _open(path: Path) -> BinaryIO | nullcontext[None]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return nullcontext()  # never written, or archived since it was listed


def _lines(handle: BinaryIO, name: str, parse: Callable[[bytes], _Line]) -> Iterator[_Line]:
    for number, data in enumerate(handle, start=1):
        if not data.endswith(b"\n"):
            return
        try:
            yield parse(data)
        except EvidenceSchemaError as error:
            raise EvidenceSchemaError(f"{name} line {number}: {error.what}") from error
