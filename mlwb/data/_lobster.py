"""LOBSTER: a book without times and, in a file beside it, the times of its rows."""

from __future__ import annotations

import re
from pathlib import Path

from mlwb.core.errors import DataSchemaError
from mlwb.data._tables import Table

__all__ = ["book_of", "messages_of", "timed_book"]

_NAME = re.compile(r"(.+_\d{4}-\d\d-\d\d_\d+_\d+)_(message|orderbook)_(\d+\.csv.*)")
_TOP = ("ask", "ask_size", "bid", "bid_size")


def book_of(path: Path) -> Path:
    """The orderbook file of a message file; any other path as it is.

    Examples
    --------
    >>> book_of(Path("AAPL_2012-06-21_34200000_57600000_message_5.csv")).name
    'AAPL_2012-06-21_34200000_57600000_orderbook_5.csv'
    >>> book_of(Path("bars.csv")).name
    'bars.csv'
    """
    found = _NAME.fullmatch(path.name)
    return path.with_name(f"{found[1]}_orderbook_{found[3]}") if found else path


def messages_of(book: Path) -> Path | None:
    """The message file of an orderbook file; None for a file of another kind."""
    found = _NAME.fullmatch(book.name)
    return book.with_name(f"{found[1]}_message_{found[3]}") if found else None


def timed_book(book: Table, messages: Table, *, file: str) -> Table:
    """The top of a book with the time of the message that led to each of its rows.

    Parameters
    ----------
    book : Table
        ``ask, ask size, bid, bid size`` of each level; row k is the state after message k.
    messages : Table
        Its first column is the time, seconds after midnight.
    file : str
        What messages call the orderbook file.

    Returns
    -------
    Table
        Columns ``time ask ask_size bid bid_size``.

    Raises
    ------
    DataSchemaError
        The files are not of one length, or not of LOBSTER's form.
    """
    widths = len(book.frame.columns), len(messages.frame.columns)
    if book.has_header or messages.has_header or widths[0] % len(_TOP) or widths[1] < len(_TOP):
        raise DataSchemaError(
            f"{file} is named as LOBSTER names its files and is not of its form",
            expected="4 columns a level and no header, and a message file of 6",
            got=f"{widths[0]} and {widths[1]} columns",
        )
    if len(book.frame) != len(messages.frame):
        raise DataSchemaError(
            f"{file}: the book and its messages differ in length",
            expected=f"{len(book.frame)} messages",
            got=str(len(messages.frame)),
            todo="take both files from one download",
        )
    frame = book.frame.iloc[:, : len(_TOP)].set_axis(list(_TOP), axis=1)
    frame.insert(0, "time", messages.frame.iloc[:, 0])
    notes = (f"times: row by row from its message file of {len(frame)} messages",)
    return Table(frame, has_header=True, delimiter=book.delimiter, kind="text", notes=notes)
