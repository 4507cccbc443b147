"""Counts on disk: whole lines count, torn and foreign ones do not, files add up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.drift import CheckNote, encode_hour, read_hour_log, read_live_hours

SHAPE = (4, 5)
TABLE = [[1, 0, 2, 0], [0, 0, 0, 3, 0]]
REF = "sha256:" + "a" * 64


def _line(hour: int, times: int = 1, reference: str = REF) -> bytes:
    table = [[times * count for count in cells] for cells in TABLE]
    return encode_hour("v1", reference, hour, table) + b"\n"


def test_the_last_line_of_an_hour_counts(tmp_path: Path) -> None:
    """A line holds all of its hour so far, so that writing one twice changes nothing."""
    path = tmp_path / "0.jsonl"
    path.write_bytes(_line(7) + _line(8) + _line(7, 5) + _line(7, 5))
    found = read_hour_log(path, REF, SHAPE)
    assert found.hours == {7: [[5, 0, 10, 0], [0, 0, 0, 15, 0]], 8: TABLE}
    assert (found.damaged, found.foreign) == (0, 0)


def test_files_of_workers_add_up(tmp_path: Path) -> None:
    """Two workers in the same hour served the sum of both; other files there are not read."""
    folder = tmp_path / "v1"
    folder.mkdir()
    (folder / "0.jsonl").write_bytes(_line(7))
    (folder / "10.jsonl").write_bytes(_line(7, 2) + _line(9))
    (folder / "0.lock").touch()
    (folder / "notes.jsonl").write_bytes(_line(7))
    found = read_live_hours(tmp_path, "v1", REF, SHAPE)
    assert found.hours == {7: [[3, 0, 6, 0], [0, 0, 0, 9, 0]], 9: TABLE}
    assert read_live_hours(tmp_path, "v2", REF, SHAPE).hours == {}


@given(st.integers(0, 2 * len(_line(8))))
def test_a_file_cut_anywhere_keeps_its_whole_lines(tmp_path_factory: object, cut: int) -> None:
    """A writer that dies in the middle of a line loses that line and says so."""
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"  # type: ignore[attr-defined]
    whole = _line(7) + _line(8)
    path.write_bytes(whole[:cut])
    found = read_hour_log(path, REF, SHAPE)
    kept = whole[:cut].count(b"\n")
    assert list(found.hours) == [7, 8][:kept]
    assert found.damaged == (0 if whole[:cut].endswith(b"\n") or not cut else 1)


@pytest.mark.parametrize(
    "bad",
    [
        b"{}",
        b"\xff\xfe",
        b"[1]",
        _line(8)[:-30],
        _line(8).replace(b"hours/1", b"hours/2").strip(),
        _line(8).replace(b"3", b"-3").strip(),
        _line(8).replace(b"3", b"3.5").strip(),
        _line(8).replace(b"3", b"1e400").strip(),
        _line(8).replace(b'"hour"', b'"hours"').strip(),
        encode_hour("v1", REF, 8, [[1, 2]]),
        encode_hour("v1", REF, 8, [*TABLE, [1]]),
    ],
)
def test_a_line_that_is_none_is_counted_and_passed_over(tmp_path: Path, bad: bytes) -> None:
    """Whatever stands there, the lines around it count."""
    path = tmp_path / "0.jsonl"
    path.write_bytes(_line(7) + bad + b"\n" + _line(9))
    found = read_hour_log(path, REF, SHAPE)
    assert (list(found.hours), found.damaged) == ([7, 9], 1)


def test_counts_against_another_reference_are_left_out(tmp_path: Path) -> None:
    """Its cells mean something else."""
    path = tmp_path / "0.jsonl"
    path.write_bytes(_line(7, reference="sha256:other") + _line(8))
    found = read_hour_log(path, REF, SHAPE)
    assert (list(found.hours), found.damaged, found.foreign) == ([8], 0, 1)


def test_a_note_is_about_one_version_and_reference(tmp_path: Path) -> None:
    """Anything else that stands there is no note."""
    note = CheckNote("v1", REF, "2026-01-03", 2.5)
    note.write(tmp_path)
    assert CheckNote.read(tmp_path, "v1", REF) == note
    assert CheckNote.read(tmp_path, "v1", "sha256:other") is None
    assert CheckNote.read(tmp_path, "v2", REF) is None
    (tmp_path / "v1" / "check.json").write_bytes(b'{"version":"v1"}')
    assert CheckNote.read(tmp_path, "v1", REF) is None


def test_counts_that_nobody_can_have_served_are_damage(tmp_path: Path) -> None:
    """A number typed into a file must not overflow the sums of the server and the check."""
    folder = tmp_path / "v1"
    folder.mkdir()
    for place, count in enumerate((2**41, 2**63, 10**30)):
        bad = _line(7).replace(
            b"[1,0,2,0],[0,0,0,3,0]", b"[%d,0,0,0],[%d,0,0,0,0]" % (count, count)
        )
        assert bad != _line(7)
        (folder / f"{place}.jsonl").write_bytes(bad + _line(8))
    (folder / "\u00b2.jsonl").write_bytes(_line(7))  # a digit that is no number
    found = read_live_hours(tmp_path, "v1", REF, SHAPE)
    assert found.damaged == 3
    assert found.hours == {8: [[3, 0, 6, 0], [0, 0, 0, 9, 0]]}


@pytest.mark.parametrize("cells", [b"[2,0,2,0]", b"[0,0,0,0]"], ids=["one more", "none"])
def test_a_line_whose_columns_hold_other_rows_is_damage(tmp_path: Path, cells: bytes) -> None:
    """Each row stands once in every column, so that no column can be edited alone."""
    path = tmp_path / "0.jsonl"
    path.write_bytes(_line(7).replace(b"[1,0,2,0]", cells) + _line(8))
    found = read_hour_log(path, REF, SHAPE)
    assert found.hours == {8: TABLE}
    assert found.damaged == 1
