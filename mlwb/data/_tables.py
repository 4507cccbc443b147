"""From a file's content to a table, and from its cells to numbers."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DataNotFoundError, DataSchemaError, SourceUndecidableError
from mlwb.data._feed import is_feed, parse_feed
from mlwb.data._files import SourceBytes
from mlwb.data._kinds import refuse_other_kinds

__all__ = ["Table", "column_of", "numbers_of", "read_table"]

_DELIMITERS = (",", "\t", ";", "|")
_HEAD_BYTES = 65_536


@dataclass(frozen=True)
class Table:
    """Cells as they stand in a file.

    Parameters
    ----------
    frame : DataFrame
        Columns named by the header, or ``0, 1, ...`` as text without one.
    has_header : bool
    delimiter : str
        Empty for json, parquet and feather.
    kind : str
        ``text``, ``json``, ``parquet``, ``feather`` or ``feed``.
    skew_ms : ndarray of shape (n_messages,), float64, optional
        Receive minus exchange time, where a feed's messages say both.
    notes : tuple of str, default=()
        What was decided on the way, and why.
    """

    frame: pd.DataFrame
    has_header: bool
    delimiter: str
    kind: str
    skew_ms: Float1D | None = None
    notes: tuple[str, ...] = ()


def read_table(source: SourceBytes) -> Table:
    """Parse a file's content, whatever it holds.

    Raises
    ------
    SourceUndecidableError
        Bytes that are no table of a kind known here.
    DataSchemaError
        A damaged table: rows of different length, a column named twice.
    DataNotFoundError
        A header and no row.
    """
    source = _as_utf8(source)
    data = source.data
    if data.startswith((b"PAR1", b"ARROW1")):
        table = _read_arrow(source, "parquet" if data[:1] == b"P" else "feather")
    elif data.lstrip()[:1] == b"[":
        table = _read_json(source)
    elif is_feed(data[:32]):
        feed = parse_feed(data, file=source.name)
        table = Table(
            feed.quotes,
            has_header=True,
            delimiter="",
            kind="feed",
            skew_ms=feed.skew_ms,
            notes=feed.notes,
        )
    else:
        table = _read_text(source)
    if table.frame.empty:
        raise DataNotFoundError(f"{source.name} holds a header and no row")
    return table


def _as_utf8(source: SourceBytes) -> SourceBytes:
    """Text that begins with the mark of UTF-16, as scripts in MetaTrader write it, in UTF-8."""
    if not source.data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return source
    try:
        return dataclasses.replace(source, data=source.data.decode("utf-16").encode())
    except UnicodeError as error:
        raise _not_a_table(source) from error


def _read_arrow(source: SourceBytes, kind: str) -> Table:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.feather as pf  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    read = pq.read_table if kind == "parquet" else pf.read_table
    try:
        cells = read(io.BytesIO(source.data))
        # Without the notes pandas leaves there an index is a column like any other.
        frame = cells.replace_schema_metadata(None).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0][:120]
        raise DataSchemaError(f"{source.name} is no readable {kind} file: {reason}") from error
    return Table(frame, has_header=True, delimiter="", kind=kind)


def _read_json(source: SourceBytes) -> Table:
    try:
        rows = json.loads(source.data)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataSchemaError(f"{source.name} is not whole JSON: {error}") from error
    width = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != width:
            raise DataSchemaError(
                f"{source.name}, data row {number}: not a row of bars",
                expected=f"a list of {width or 6} numbers",
                got=repr(row)[:60],
            )
    frame = pd.DataFrame(rows, columns=[str(column) for column in range(width)])
    return Table(frame, has_header=False, delimiter="", kind="json")


def _read_text(source: SourceBytes) -> Table:
    head = _decoded(source)
    lines = [line for line in re.split(r"[\r\n]+", head) if line.strip()]
    if not lines:
        raise _not_a_table(source)
    refuse_other_kinds(lines[0], source.name)
    delimiter = max(_DELIMITERS, key=lines[0].count)
    first = _cells(lines[0], delimiter)
    has_header = not any(_is_number(cell) for cell in first)
    if has_header:
        _check_header(first, source.name)
    if len(lines) > 1 and len(_cells(lines[1], delimiter)) > len(first):
        raise DataSchemaError(
            f"{source.name}: the first two lines differ in length",
            expected=f"{len(first)} cells",
            got=repr(lines[1][:80]),
        )
    names = None if has_header else [str(column) for column in range(len(first))]
    frame = _parse_csv(source, delimiter, names)
    frame.columns = frame.columns.map(lambda name: str(name).strip())
    return Table(frame, has_header=has_header, delimiter=delimiter, kind="text")


def _decoded(source: SourceBytes) -> str:
    head = source.data[:_HEAD_BYTES]
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < _HEAD_BYTES else "ignore")
    except UnicodeDecodeError as error:
        raise _not_a_table(source) from error
    if "\0" in text:
        raise _not_a_table(source)
    return text


def _not_a_table(source: SourceBytes) -> SourceUndecidableError:
    return SourceUndecidableError(
        f"{source.name} is no table",
        expected="csv, json, parquet or feather, plain or in gzip or zip",
        got=f"bytes that begin {source.data[:8]!r}",
    )


def _parse_csv(source: SourceBytes, delimiter: str, names: list[str] | None) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it announces lost cells
            return _read_csv(source, delimiter, names)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise DataSchemaError(f"{source.name} is not a table: {reason}") from error
    except (UnicodeDecodeError, pd.errors.EmptyDataError) as error:
        raise _not_a_table(source) from error


def _read_csv(source: SourceBytes, delimiter: str, names: list[str] | None) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(source.data),
        sep=delimiter,
        names=names,
        header=0 if names is None else None,
        index_col=False,
        low_memory=False,
        encoding="utf-8-sig",
    )


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(delimiter)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_header(cells: list[str], name: str) -> None:
    twice = sorted({cell for cell in cells if cells.count(cell) > 1})
    if twice:
        raise DataSchemaError(f"{name}: a column name stands twice", got=", ".join(twice))


def column_of(frame: pd.DataFrame, sources: tuple[str, ...]) -> pd.Series:
    """One source column, or several text columns joined by a blank."""
    if len(sources) == 1:
        return frame[sources[0]]
    joined = frame[sources[0]].astype("str")
    for name in sources[1:]:
        joined = joined + " " + frame[name].astype("str")
    return joined


def numbers_of(cells: pd.Series, *, file: str, column: str) -> Float1D:
    """A column as float64; empty cells are NaN.

    Raises
    ------
    DataSchemaError
        A cell holds text; the message names its row.
    """
    kind = pd.api.types
    if kind.is_bool_dtype(cells.dtype) or kind.is_datetime64_any_dtype(cells.dtype):
        raise DataSchemaError(f"{file}: column {column} holds no numbers", got=str(cells.dtype))
    if kind.is_numeric_dtype(cells.dtype):
        return cells.to_numpy(dtype=np.float64, na_value=np.nan)
    found = pd.to_numeric(cells, errors="coerce")
    wrong = (found.isna() & cells.notna()).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataSchemaError(
            f"{file}, data row {row + 1}: column {column} holds text",
            expected="a number",
            got=repr(str(cells.iloc[row])[:40]),
        )
    return found.to_numpy(dtype=np.float64, na_value=np.nan)
