"""The log writer: bounded, rotated, never in the way."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.linelog import set_aside_files
from mlwb.core.predictionlog import (
    PredictionLine,
    encode_line,
    read_all_predictions,
    read_predictions,
)
from mlwb.serve._log import LineLog
from mlwb.serve._log_file import LogFile


def _line(index: int) -> PredictionLine:
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    return PredictionLine(stamp, str(index), "/ml/predict", "v1", "00000000", 0.5, 1.0)


def test_lines_are_written_in_order(tmp_path: Path) -> None:
    """All of them, by the time the log is closed."""
    log = LineLog(tmp_path / "deep" / "p.jsonl", 1 << 20)
    log.start()
    for index in range(1_000):
        log.add(_line(index))
    log.close()
    found = [line.request_id for line in read_predictions(tmp_path / "deep" / "p.jsonl")]
    assert found == [str(index) for index in range(1_000)]
    assert log.dropped == 0


def test_a_full_buffer_drops_and_counts(tmp_path: Path) -> None:
    """A disk that does not keep up costs lines, not memory and not answers."""
    log = LineLog(tmp_path / "p.jsonl", 1 << 20, capacity=3)
    for index in range(5):
        log.add(_line(index))
    log.start()
    log.close()
    assert [line.request_id for line in read_predictions(tmp_path / "p.jsonl")] == ["0", "1", "2"]
    assert log.dropped == 2


def test_of_many_lines_those_that_fit_are_kept(tmp_path: Path) -> None:
    """A batch too large for what is left loses its end, and each line of that is counted."""
    log = LineLog(tmp_path / "p.jsonl", 1 << 20, capacity=5)
    log.extend([_line(index) for index in range(3)])
    log.extend([_line(index) for index in range(3, 9)])
    assert (log.waiting, log.dropped) == (5, 4)
    log.start()
    log.close()
    assert _ids(read_predictions(tmp_path / "p.jsonl")) == ["0", "1", "2", "3", "4"]
    assert (log.waiting, log.dropped) == (0, 4)


def test_a_buffer_half_full_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written at once, however long the writer would have slept."""
    monkeypatch.setattr("mlwb.serve._log._FLUSH_S", 600.0)
    log = LineLog(tmp_path / "p.jsonl", 1 << 20, capacity=10)
    log.start()
    log.extend([_line(index) for index in range(6)])
    for _ in range(1_000):
        if not log.waiting:
            break
        time.sleep(0.005)
    assert log.waiting == 0
    log.close()
    assert len(_ids(read_predictions(tmp_path / "p.jsonl"))) == 6


def test_a_refusal_is_a_problem_until_there_is_room(tmp_path: Path) -> None:
    """Also where no further line comes to find out."""
    place = tmp_path / "p.jsonl"
    place.mkdir()
    log = LineLog(place, 1 << 20)
    log.add(_line(1))
    log.write()
    assert (log.problem, log.dropped) == ("unwritable", 1)
    log.write()
    assert log.problem == "unwritable"
    place.rmdir()
    log.write()
    assert (log.problem, place.read_bytes()) == ("", b"")


def test_a_disk_that_refuses_is_counted(tmp_path: Path) -> None:
    """The writer goes on; a later line is written when the disk is back."""
    (tmp_path / "p.jsonl").mkdir()
    log = LineLog(tmp_path / "p.jsonl", 1 << 20)
    log.add(_line(1))
    log.start()
    log.close()
    assert log.dropped == 1
    (tmp_path / "p.jsonl").rmdir()
    log.add(_line(2))
    log.start()
    log.close()
    assert [line.request_id for line in read_predictions(tmp_path / "p.jsonl")] == ["2"]


def _write(log: LineLog, *indices: int) -> None:
    for index in indices:
        log.add(_line(index))
    log.start()
    log.close()


def _ids(lines: Iterator[PredictionLine]) -> list[str]:
    return [line.request_id for line in lines]


def test_a_clock_that_was_ahead_costs_no_newer_line(tmp_path: Path) -> None:
    """Set forward a day and back: files stay in the order they were written, the oldest goes."""
    path, clock = tmp_path / "p.jsonl", ManualClock()
    log = LogFile(path, limit=10, hours=24, files=2, clock=clock)
    for index, ahead_s in enumerate((0, 86_400, -86_400, 1, 1)):
        clock.advance(ahead_s)
        if path.exists():
            os.utime(path, (clock.now().timestamp(),) * 2)
        log.append(encode_line(_line(index)))
    assert _ids(read_all_predictions(path)) == ["2", "3", "4"]


def test_a_file_of_the_last_moment_there_is_stops_no_log(tmp_path: Path) -> None:
    """It has no later name; a newer file gets one of its own time."""
    path = tmp_path / "p.jsonl"
    last = path.with_name("p.jsonl.99991231T235959.999999Z")
    last.touch()
    log = LineLog(path, 10, files=9)
    for index in range(3):
        _write(log, index)
    assert (log.dropped, len(set_aside_files(path))) == (0, 3)
    assert _ids(read_all_predictions(path)) == ["0", "1", "2"]


def test_what_nobody_expected_is_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread lives on: without it further lines would be lost, and none of them missed."""
    log = LineLog(tmp_path / "p.jsonl", 1 << 20)

    def fail(*_: object) -> None:
        raise ValueError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(LogFile, "append", fail)
        _write(log, 0)
    _write(log, 1)
    assert (log.dropped, log.problem) == (1, "")
    assert _ids(read_predictions(tmp_path / "p.jsonl")) == ["1"]


def test_a_log_beyond_its_limit_is_set_aside(tmp_path: Path) -> None:
    """Whole lines in every file, read in the order written; the oldest beyond the number go."""
    path = tmp_path / "p.jsonl"
    log = LineLog(path, len(encode_line(_line(1))), files=2)
    for start in (0, 2, 4):
        _write(log, start, start + 1)
    assert [_ids(read_predictions(item)) for item in set_aside_files(path)] == [
        ["0", "1"],
        ["2", "3"],
    ]
    assert _ids(read_all_predictions(path)) == ["0", "1", "2", "3", "4", "5"]
    _write(log, 6, 7)
    assert _ids(read_all_predictions(path)) == ["2", "3", "4", "5", "6", "7"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_new_day_is_a_new_file(tmp_path: Path) -> None:
    """A file last written on an earlier UTC day is set aside, however small; an empty one not."""
    path, clock = tmp_path / "p.jsonl", ManualClock(datetime(2026, 1, 1, 23, 59, tzinfo=UTC))
    log = LogFile(path, limit=1 << 20, hours=24.0, files=3, clock=clock)
    path.touch()
    os.utime(path, ns=(0, 0))
    for index in range(3):
        log.append(encode_line(_line(index)))
        os.utime(path, (clock.now().timestamp(),) * 2)
        clock.advance(61.0 if index == 1 else 30.0)
    (old,) = set_aside_files(path)
    assert old.name == "p.jsonl.20260102T000031.000000Z"
    assert (_ids(read_predictions(old)), _ids(read_predictions(path))) == (["0", "1"], ["2"])


def test_half_a_line_of_a_killed_writer_is_cut(tmp_path: Path) -> None:
    """What follows it stands on a line of its own: the log stays readable."""
    path, whole = tmp_path / "p.jsonl", encode_line(_line(1))
    path.write_bytes(whole + whole[:-20])
    _write(LineLog(path, 1 << 20), 2)
    assert _ids(read_predictions(path)) == ["1", "2"]


def test_a_disk_that_fills_half_way_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part that was written is taken back; every line of the block is counted as lost."""
    path = tmp_path / "p.jsonl"
    log = LineLog(path, 1 << 20)
    _write(log, 0)
    write, calls = os.write, iter([True, False])

    def filling(descriptor: int, data: memoryview) -> int:
        if next(calls):
            return write(descriptor, data[:30])
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("mlwb.serve._log_file.os.write", filling)
    _write(log, 1, 2)
    monkeypatch.undo()
    assert log.dropped == 2
    _write(log, 3)
    assert _ids(read_predictions(path)) == ["0", "3"]


def test_a_log_set_aside_while_it_is_read(tmp_path: Path) -> None:
    """No line is left out and none comes twice."""
    path = tmp_path / "p.jsonl"
    log = LineLog(path, len(encode_line(_line(1))))
    for start in (0, 2, 4):
        _write(log, start, start + 1)
    lines = read_all_predictions(path)
    first = next(lines)
    _write(log, 6, 7)  # sets aside the file that was the newest
    found = [first.request_id, *_ids(lines)]
    assert found[:6] == [str(index) for index in range(6)]
    assert len(set(found)) == len(found)


def test_a_log_set_aside_just_before_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file opened as the newest stands among the old ones by then; it is read once."""
    path = tmp_path / "p.jsonl"
    _write(LineLog(path, 1 << 20), 0, 1)

    def aside_first(named: Path) -> list[Path]:
        named.rename(named.with_name(f"{named.name}.20260101T000000.000000Z"))
        return set_aside_files(named)

    monkeypatch.setattr("mlwb.core.linelog.set_aside_files", aside_first)
    assert _ids(read_all_predictions(path)) == ["0", "1"]


_WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mlwb.core.predictionlog import PredictionLine
from mlwb.serve._log import LineLog
name, path = sys.argv[1], Path(sys.argv[2])
log = LineLog(path, 2_000, files=10_000)
stamp = datetime(2026, 1, 1, tzinfo=UTC)
for index in range(100):
    log.add(PredictionLine(stamp, f"{name}-{index}", "/ml/predict", "v1", "0", 0.5, 1.0))
    if index % 5 == 4:
        log.write()
assert log.dropped == 0
"""


@pytest.mark.slow
def test_processes_that_share_a_log_lose_nothing(tmp_path: Path) -> None:
    """Three processes, a file set aside every dozen lines: every line stands once, in its order."""
    path = tmp_path / "p.jsonl"
    started = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(name), str(path)]) for name in range(3)
    ]
    assert [process.wait(30) for process in started] == [0, 0, 0]
    found = _ids(read_all_predictions(path))
    assert len(set_aside_files(path)) > 8
    for name in range(3):
        own = [item for item in found if item.startswith(f"{name}-")]
        assert own == [f"{name}-{index}" for index in range(100)]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    """Lines may come from several threads while the log is flushed."""
    log = LineLog(tmp_path / "p.jsonl", 1 << 24)
    log.start()

    def write() -> None:
        for index in range(500):
            log.add(_line(index))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert len(list(read_predictions(tmp_path / "p.jsonl"))) == 2_000
