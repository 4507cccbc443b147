"""Tables and cells: text where a number belongs is named with its row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlwb.core.errors import DataNotFoundError, DataSchemaError, SourceUndecidableError
from mlwb.data._files import SourceBytes
from mlwb.data._tables import column_of, numbers_of, read_table


def source(data: bytes) -> SourceBytes:
    """A file of some content."""
    return SourceBytes(name="x.csv", uri="x.csv", sha256="", published_sha256="", data=data)


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters_are_told_by_the_first_line(delimiter: str) -> None:
    """Comma, tab, semicolon, bar."""
    text = delimiter.join(("a", "b")) + "\n" + delimiter.join(("1", "2"))
    table = read_table(source(text.encode()))
    assert table.delimiter == delimiter
    assert table.frame.to_dict("list") == {"a": [1], "b": [2]}


@pytest.mark.parametrize(
    ("text", "has_header"),
    [(b"a,b\n1,2\n", True), (b"1,2\n3,4\n", False), (b"20250101 000000;1;2\n", False)],
)
def test_a_header_has_no_number_in_it(text: bytes, *, has_header: bool) -> None:
    """Told from the cells, since some vendors changed their mind over the years."""
    assert read_table(source(text)).has_header is has_header


def test_no_newline_at_the_end_and_a_byte_order_mark_are_ordinary() -> None:
    """Spreadsheets add the one and drop the other."""
    table = read_table(source(b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4"))
    assert table.frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}


def test_floats_are_read_to_the_last_bit() -> None:
    """Python's own float parser is the oracle."""
    rng = np.random.default_rng(5)
    texts = [
        repr(float(value))
        for value in rng.standard_normal(2000) * 10.0 ** rng.integers(-9, 9, 2000)
    ]
    frame = read_table(source(("v,w\n" + "\n".join(f"{t},0" for t in texts)).encode())).frame
    assert frame["v"].tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\n1,2\n3,4,5\n", "line 3"),
        (b"a,b\n1,2,3\n4,5,6\n", "differ in length"),
        (b"a,a\n1,2\n", "stands twice"),
        (b"[[1,2],[3]]", "data row 2"),
        (b"[1,2]", "data row 1"),
        (b'[{"a":1}]', "data row 1"),
        (b"[[1,2],", "not whole JSON"),
        (b"PAR1 and then nothing", "no readable parquet"),
        (b"ARROW1 and then nothing", "no readable feather"),
        (b"id,price,qty,time,isBuyerMaker\n1,2,3,4,5\n", "holds trades"),
        (b"agg_trade_id,price,quantity\n1,2,3\n", "aggregate trades"),
    ],
)
def test_a_damaged_table_is_refused(data: bytes, words: str) -> None:
    """Each with the place or the kind."""
    with pytest.raises(DataSchemaError, match=words):
        read_table(source(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03",
        b"\xff\xfe1\x002",
        b"\xff\xfe\x00\xd8",
        b"\x89PNG\r\n\x1a\n\x00",
        b"\x1c",
        b"\xef\xbb\xbf",
    ],
)
def test_bytes_that_are_no_table_are_undecidable(data: bytes) -> None:
    """Pictures and broken UTF-16 are no bars."""
    with pytest.raises(SourceUndecidableError, match="is no table"):
        read_table(source(data))


@pytest.mark.parametrize("data", [b"a,b\n", b"[]"])
def test_a_header_alone_is_no_data(data: bytes) -> None:
    """A file may be well formed and hold nothing."""
    with pytest.raises(DataNotFoundError, match="no row"):
        read_table(source(data))


def test_empty_cells_are_nan_and_text_is_refused() -> None:
    """Missing is a finding of the quality report, text is a broken file."""
    cells = pd.Series(["1.5", None, ""]).replace("", None)
    np.testing.assert_array_equal(numbers_of(cells, file="f", column="c"), [1.5, np.nan, np.nan])
    with pytest.raises(DataSchemaError, match="data row 3: column close holds text"):
        numbers_of(pd.Series(["1", "2", "1,5"]), file="f", column="close")


@pytest.mark.parametrize(
    "cells",
    [pd.Series([True, False]), pd.Series(pd.to_datetime(["2026-01-01"])), pd.Series([[1], [2]])],
)
def test_other_kinds_of_cells_are_no_numbers(cells: pd.Series) -> None:
    """Truth values, times and lists are not read as prices."""
    with pytest.raises(DataSchemaError, match="column c holds"):
        numbers_of(cells, file="f", column="c")


def test_two_columns_are_joined() -> None:
    """Date and time of a terminal export make one stamp."""
    frame = pd.DataFrame({"d": ["2026.01.02"], "t": ["00:01:00"]})
    assert column_of(frame, ("d", "t")).tolist() == ["2026.01.02 00:01:00"]
