"""``mlwb data fetch``: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlwb.cli._app import app
from mlwb.data import read_market
from tests.cli.conftest import Main
from tests.data.archive_kit import FakeArchive, Fault, kline_csv, serving, zipped

FIRST = date(2025, 3, 3)


def path_of(day: date) -> str:
    """Path of a daily file of BTCUSDT."""
    return f"data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-{day}.zip"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeArchive]:
    """Four days, of which the third is not published; the working directory is empty."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.chdir(tmp_path)
    with serving(FakeArchive()) as running:
        for day in (FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=3)):
            running.publish(path_of(day), zipped(f"BTCUSDT-1m-{day}.zip", kline_csv(day, 1440)))
        yield running


def fetch(archive: FakeArchive, *more: str, last: date = FIRST + timedelta(days=3)) -> Result:
    """The command on the fake archive."""
    days = ["--from", str(FIRST), "--to", str(last)]
    arguments = ["data", "fetch", "binance", "btcusdt", *days, "--base-url", archive.address]
    return CliRunner().invoke(app, [*arguments, *more])


def test_it_says_what_came_what_is_missing_and_what_is_next(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """The next command names files that are there and can be read."""
    done = fetch(archive)
    said = " ".join(done.output.split())
    assert done.exit_code == 0, said
    assert "3 files in data/spot/BTCUSDT-1m (0 were there)" in said
    assert "4,320 of 4,320 bars" in said
    assert "not published: 2025-03-05 (1 day)" in said
    named = [Path(word) for word in said.split("next: mlwb run ")[1].split() if word != "--data"]
    assert len(read_market([tmp_path / path for path in named]).frame) == 4320
    assert "(3 were there)" in " ".join(fetch(archive).output.split())


def test_many_files_are_imported_first(archive: FakeArchive) -> None:
    """More files than anybody types become one import."""
    day = FIRST + timedelta(days=2)
    archive.publish(path_of(day), zipped(f"BTCUSDT-1m-{day}.zip", kline_csv(day, 100)))
    said = " ".join(fetch(archive, "--out", "here").output.split())
    assert "BTCUSDT-1m-2025-03-05.zip holds 100 of 1,440 bars" in said
    assert "next: mlwb data import here/BTCUSDT-1m-*.zip --out here/BTCUSDT.parquet" in said
    assert "next: mlwb run --data here/BTCUSDT.parquet" in said


def test_a_mismatch_ends_with_three_and_both_hashes(archive: FakeArchive, tmp_path: Path) -> None:
    """And is kept, said to differ, when asked for."""
    right = archive.publish(path_of(FIRST), archive.files[path_of(FIRST)], checksum="cd" * 32)
    done = fetch(archive, last=FIRST)
    assert done.exit_code == 3
    assert right in done.output
    assert "cd" * 32 in done.output
    assert "not kept" in done.output
    assert list(tmp_path.rglob("*.zip")) == []
    kept = fetch(archive, "--allow-mismatch", last=FIRST)
    assert kept.exit_code == 0
    assert "kept all the same" in kept.output
    assert len(list(tmp_path.rglob("*.zip"))) == 1


def test_json_names_every_file_and_every_day(archive: FakeArchive) -> None:
    """One document, with paths, hashes and missing days."""
    found = json.loads(fetch(archive, "--json").output)
    assert found["missing"] == ["2025-03-05"]
    assert [file["status"] for file in found["files"]] == ["fetched"] * 3
    assert all(file["sha256"] == file["published_sha256"] for file in found["files"])
    assert [Path(path).is_file() for path in found["paths"]] == [True] * 3


def test_other_intervals_have_no_next_step(archive: FakeArchive) -> None:
    """The workbench reads minutes; nothing is promised for hours."""
    path = path_of(FIRST).replace("1m", "1h")
    archive.publish(path, zipped("BTCUSDT-1h.zip", kline_csv(FIRST, 24)))
    done = fetch(archive, "--interval", "1h", last=FIRST)
    assert done.exit_code == 0, done.output
    assert "next:" not in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere", "BTCUSDT", "--from", "2025-01-01", "--to", "2025-01-02"], 2, "nowhere"),
        (["binance", "BTCUSDT", "--from", "2025-01-01", "--to", "yesterday"], 2, "yesterday"),
        (["binance", "../x", "--from", "2025-01-01", "--to", "2025-01-02"], 2, "no symbol"),
        (["binance", "BTCUSDT", "--from", "2025-01-03", "--to", "2025-01-02"], 2, "range of days"),
        (["binance", "NOBODY", "--from", "2025-01-01", "--to", "2025-01-02"], 3, "no 1m bars"),
    ],
)
def test_errors_are_one_line_and_a_code(
    *, archive: FakeArchive, arguments: list[str], code: int, says: str, main_here: Main
) -> None:
    """As a person sees them."""
    found, _, errors = main_here("data", "fetch", *arguments, "--base-url", archive.address)
    assert (found, "Traceback" in errors) == (code, False), errors
    assert says in errors


@pytest.mark.slow
def test_ctrl_c_ends_softly_and_can_be_resumed(archive: FakeArchive, tmp_path: Path) -> None:
    """Exit code 130, a sentence, no file under a final name that is not whole."""
    slow = path_of(FIRST + timedelta(days=1))
    archive.faults[slow] = [Fault(delay_s=1.0)]
    child = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlwb", "data", "fetch", "binance", "BTCUSDT"),
            *("--from", str(FIRST), "--to", str(FIRST + timedelta(days=3)), "--jobs", "1"),
            *("--base-url", archive.address),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "*"},
        # what a shell starts in the background ignores Ctrl-C, and hands that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one call
    )
    deadline = time.monotonic() + 30
    while not any(path == slow for _, path, _ in archive.asked) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130, said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.rglob("*.zip")] == [f"BTCUSDT-1m-{FIRST}.zip"]
    assert "(1 were there)" in " ".join(fetch(archive).output.split())
