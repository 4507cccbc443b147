"""The log writer: bounded, rotated, never in the way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from mlwb.core.predictionlog import PredictionLine, encode_line, read_predictions
from mlwb.serve._log import LineLog


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


def test_a_log_beyond_its_limit_is_set_aside(tmp_path: Path) -> None:
    """Two files at most, whole lines in both, the newest in the named one."""
    size = len(encode_line(_line(1)))
    log = LineLog(tmp_path / "p.jsonl", size)
    for start in (0, 2, 4):
        log.add(_line(start))
        log.add(_line(start + 1))
        log.start()
        log.close()
    assert [line.request_id for line in read_predictions(tmp_path / "p.jsonl")] == ["4", "5"]
    assert [line.request_id for line in read_predictions(tmp_path / "p.jsonl.1")] == ["2", "3"]
    assert len(list(tmp_path.iterdir())) == 2


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
