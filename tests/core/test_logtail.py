"""Lines of a growing log, each once."""

from __future__ import annotations

from pathlib import Path

from mlwb.core.logtail import LogTail


def test_each_whole_line_comes_once_across_a_rotation(tmp_path: Path) -> None:
    """Lines written before and after the file was set aside; half a line waits for its end."""
    path = tmp_path / "log.jsonl"
    tail = LogTail(path, bytes.decode)
    assert tail.new() == []
    path.write_bytes(b"a\nb\nhal")
    assert tail.new() == ["a", "b"]
    with path.open("ab") as handle:
        handle.write(b"f\nc\n")
    path.rename(tmp_path / "log.jsonl.20260101T000000.000000Z")
    path.write_bytes(b"d\n")
    assert tail.new() == ["half", "c", "d"]
    assert tail.new() == []


def test_what_stood_there_can_be_passed_over(tmp_path: Path) -> None:
    """Of old lines none, of new ones all."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"old\n")
    tail = LogTail(path, bytes.decode)
    tail.skip()
    with path.open("ab") as handle:
        handle.write(b"new\n")
    assert tail.new() == ["new"]
