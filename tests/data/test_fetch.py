"""The archive: fetched once, verified always, resumed where it broke."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mlwb.core.clock import ManualClock
from mlwb.core.errors import DataFetchError, DataNotFoundError, ParamsError
from mlwb.data import quality, read_market
from mlwb.data.fetch import FetchReport, KlineRequest, Progress, fetch_klines
from tests.data.archive_kit import FUTURES_HEADER, FakeArchive, Fault, kline_csv, serving, zipped

KLINES = "data/spot/{}/klines/BTCUSDT/1m/BTCUSDT-1m-{}.zip"
JAN = KLINES.format("monthly", "2025-01")
JAN_2 = date(2025, 1, 2)
DAY_BARS = 30
"""Bars a day of the fake archive holds: enough to be one, few enough to be quick."""


def day_path(day: date) -> str:
    """Path of a daily file."""
    return KLINES.format("daily", day.isoformat())


def days(first: date, n: int) -> list[date]:
    """A run of days."""
    return [first + timedelta(days=i) for i in range(n)]


def publish_days(archive: FakeArchive, first: date, n: int, **how: Any) -> None:
    """Daily files with their checksums."""
    for day in days(first, n):
        path = day_path(day)
        archive.publish(path, zipped(path.rpartition("/")[2], kline_csv(day, DAY_BARS, **how)))


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArchive]:
    """An empty archive on loopback, reached without a proxy."""
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(FakeArchive()) as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    """A year after the bars of these tests."""
    return ManualClock(start=datetime(2026, 1, 1, tzinfo=UTC))


def fetch(
    archive: FakeArchive,
    folder: Path,
    first: date,
    last: date,
    *,
    clock: ManualClock | None = None,
    **options: Any,
) -> FetchReport:
    """Fetch BTCUSDT; waits only move a clock."""
    clock = clock or ManualClock(start=datetime(2026, 1, 1, tzinfo=UTC))
    request = options.pop("request", None) or KlineRequest("BTCUSDT", first, last)
    options = {"sleep": clock.advance, "jobs": 2, **options}
    return fetch_klines(request, folder, base_url=archive.address, clock=clock, **options)


def test_whole_months_come_as_one_file_and_the_rest_as_days(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """January is published as a month; the first days of February are days."""
    archive.publish(JAN, zipped("BTCUSDT-1m-2025-01.zip", kline_csv(date(2025, 1, 1), 99)))
    publish_days(archive, date(2025, 2, 1), 3)
    report = fetch(archive, tmp_path, date(2025, 1, 1), date(2025, 2, 3))
    assert [path.name for path in report.paths] == [
        "BTCUSDT-1m-2025-01.zip",
        *(f"BTCUSDT-1m-2025-02-0{i}.zip" for i in (1, 2, 3)),
    ]
    assert sorted(archive.names()) == [path.name for path in report.paths]
    assert report.missing == ()
    assert all(path.is_file() for path in report.paths)


def test_a_month_that_is_not_published_comes_as_days_and_a_missing_day_is_named(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """A 404 is no failure: the day is reported."""
    publish_days(archive, date(2025, 1, 1), 31)
    for suffix in ("", ".CHECKSUM"):
        del archive.files[day_path(date(2025, 1, 17)) + suffix]
    report = fetch(archive, tmp_path, date(2025, 1, 1), date(2025, 1, 31))
    assert len(report.files) == 30
    assert report.missing == (date(2025, 1, 17),)


def test_days_to_come_are_not_asked_for(
    archive: FakeArchive, tmp_path: Path, clock: ManualClock
) -> None:
    """The archive is not asked for tomorrow."""
    clock.advance(-358 * 86_400)  # 2025-01-08
    publish_days(archive, date(2025, 1, 7), 1)
    report = fetch(archive, tmp_path, date(2025, 1, 7), date(2025, 1, 20), clock=clock)
    assert report.missing == tuple(days(date(2025, 1, 8), 13))
    assert max(path for _, path, _ in archive.asked) == day_path(date(2025, 1, 8)) + ".CHECKSUM"


def test_nothing_at_all_is_an_error(archive: FakeArchive, tmp_path: Path) -> None:
    """A symbol nobody trades is not an empty success."""
    with pytest.raises(DataNotFoundError, match="no 1m bars of BTCUSDT"):
        fetch(archive, tmp_path, date(2025, 1, 5), date(2025, 1, 7))


def test_what_is_there_and_verified_is_not_fetched_again(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """The second run asks the archive nothing; a file that was changed since comes again."""
    publish_days(archive, date(2025, 3, 3), 3)
    first = fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 5))
    archive.asked.clear()
    again = fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 5))
    assert archive.asked == []
    assert {file.status for file in again.files} == {"present"}
    assert [file.sha256 for file in again.files] == [file.sha256 for file in first.files]
    first.paths[1].write_bytes(b"not what it was")
    mended = fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 5))
    assert archive.names() == [first.paths[1].name]
    assert [file.status for file in mended.files] == ["present", "fetched", "present"]


def test_both_forms_of_a_month_never_lie_in_one_folder(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """Begun as days, a month stays days; held as a month, its days are not fetched."""
    publish_days(archive, date(2025, 1, 1), 31)
    fetch(archive, tmp_path / "days", date(2025, 1, 30), date(2025, 1, 31))
    archive.publish(JAN, zipped("BTCUSDT-1m-2025-01.zip", kline_csv(date(2025, 1, 1), 99)))
    by_day = fetch(archive, tmp_path / "days", date(2025, 1, 1), date(2025, 1, 31))
    assert len(by_day.paths) == 31
    fetch(archive, tmp_path / "month", date(2025, 1, 1), date(2025, 1, 31))
    held = fetch(archive, tmp_path / "month", date(2025, 1, 4), date(2025, 1, 5))
    assert [path.name for path in held.paths] == ["BTCUSDT-1m-2025-01.zip"]
    assert len(list((tmp_path / "month").glob("*.zip"))) == 1


def test_a_wrong_checksum_shows_both_hashes_and_keeps_nothing(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """The other days come all the same."""
    publish_days(archive, date(2025, 3, 3), 3)
    bad = day_path(date(2025, 3, 4))
    right = archive.publish(bad, archive.files[bad], checksum="ab" * 32)
    report = fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 5))
    (refused,) = report.refused
    assert (refused.status, refused.is_kept) == ("mismatch", False)
    assert (refused.sha256, refused.published_sha256) == (right, "ab" * 32)
    assert len(report.paths) == 2
    assert sorted(path.name for path in tmp_path.glob("*03-04*")) == []


def test_a_mismatch_is_kept_when_asked_and_stays_visible(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """Kept with the published checksum beside it, so the quality report says so as well."""
    archive.publish(
        day_path(date(2025, 3, 4)),
        zipped("BTCUSDT-1m-2025-03-04.zip", kline_csv(date(2025, 3, 4), DAY_BARS)),
        checksum="ab" * 32,
    )
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4), allow_mismatch=True)
    assert [(file.status, file.is_kept) for file in report.files] == [("mismatch", True)]
    assert quality(read_market(report.paths)).checksum_mismatches.k == 1


def test_a_copy_kept_before_is_not_taken_away(archive: FakeArchive, tmp_path: Path) -> None:
    """Asked again without the option, the mismatch is refused, and the older copy is mentioned."""
    path = day_path(date(2025, 3, 4))
    publish_days(archive, date(2025, 3, 4), 1)
    archive.publish(path, archive.files[path], checksum="ab" * 32)
    fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4), allow_mismatch=True)
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))
    assert [file.note for file in report.refused] == ["an earlier copy stays"]
    assert (tmp_path / "BTCUSDT-1m-2025-03-04.zip").read_bytes() == archive.files[path]


@pytest.mark.parametrize("allow", [False, True])
def test_a_file_without_a_checksum_is_not_verified(
    archive: FakeArchive, tmp_path: Path, *, allow: bool
) -> None:
    """It is refused, or kept and said to be unverified."""
    path = day_path(date(2025, 3, 4))
    content = zipped("BTCUSDT-1m-2025-03-04.zip", kline_csv(date(2025, 3, 4), DAY_BARS))
    archive.publish(path, content, checksum=None)
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4), allow_mismatch=allow)
    assert [(file.status, file.is_kept) for file in report.files] == [("unverified", allow)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda whole: whole[: len(whole) // 2], "not a whole zip"),
        (lambda whole: whole[:60] + bytes([whole[60] ^ 1]) + whole[61:], "not a whole zip"),
        (lambda _: b"<html>no</html>", "not a whole zip"),
        (lambda _: zipped("a.zip", b"1,2\n", b"3,4\n"), "got 2 files"),
        (lambda _: zipped("a.zip", b""), "no bar"),
        (lambda _: zipped("a.zip", FUTURES_HEADER.encode()), "no bar"),
    ],
    ids=["truncated", "flipped", "page", "two", "empty", "header"],
)
def test_a_damaged_zip_is_never_kept(
    archive: FakeArchive, tmp_path: Path, spoil: Any, says: str
) -> None:
    """Not even with a checksum that fits it, and not when mismatches are allowed."""
    path = day_path(date(2025, 3, 4))
    whole = zipped("BTCUSDT-1m-2025-03-04.zip", kline_csv(date(2025, 3, 4), DAY_BARS))
    archive.publish(path, spoil(whole))
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4), allow_mismatch=True)
    (refused,) = report.refused
    assert refused.status == "damaged"
    assert re.search(says, refused.note)
    assert list(tmp_path.glob("*.zip*")) == []


def test_a_cut_connection_goes_on_where_it_stopped(archive: FakeArchive, tmp_path: Path) -> None:
    """By Range, within one run, and the file is whole."""
    path = day_path(date(2025, 3, 4))
    publish_days(archive, date(2025, 3, 4), 1)
    archive.faults[path] = [Fault(cut_after=500), Fault(cut_after=100)]
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))
    assert [rest for _, asked, rest in archive.asked if asked == path] == [
        "",
        "bytes=500-",
        "bytes=600-",
    ]
    assert report.files[0].status == "fetched"
    assert report.paths[0].read_bytes() == archive.files[path]


def test_a_fetch_that_died_is_resumed_by_the_next(archive: FakeArchive, tmp_path: Path) -> None:
    """The part stays on disk, and the next run asks for the rest only."""
    path = day_path(date(2025, 3, 4))
    publish_days(archive, date(2025, 3, 4), 1)
    archive.faults[path] = [Fault(cut_after=500), *[Fault(status=503)] * 6]
    with pytest.raises(DataFetchError, match=r"HTTP 503.*run the same command again"):
        fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))
    assert [part.stat().st_size for part in tmp_path.glob("*.part")] == [500]
    archive.asked.clear()
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))
    assert [rest for _, asked, rest in archive.asked if asked == path] == ["bytes=500-"]
    assert report.paths[0].read_bytes() == archive.files[path]
    assert list(tmp_path.glob("*.part")) == []


def test_a_part_that_is_already_whole_is_taken(archive: FakeArchive, tmp_path: Path) -> None:
    """Killed between the last byte and the rename: nothing is downloaded twice."""
    path = day_path(date(2025, 3, 4))
    publish_days(archive, date(2025, 3, 4), 1)
    whole = archive.files[path]
    digest = hashlib.sha256(whole).hexdigest()
    (tmp_path / f"BTCUSDT-1m-2025-03-04.zip.{digest[:12]}.part").write_bytes(whole)
    sizes: list[int] = []
    report = fetch(
        archive,
        tmp_path,
        date(2025, 3, 4),
        date(2025, 3, 4),
        on_progress=lambda progress: sizes.append(progress.size),
    )
    assert report.paths[0].read_bytes() == whole
    assert max(sizes) == 0


@pytest.mark.parametrize("size", [40, 5000])
def test_a_part_of_something_else_does_no_harm(
    archive: FakeArchive, tmp_path: Path, size: int
) -> None:
    """Wrong bytes of any length in the part: the file is fetched anew and is right."""
    path = day_path(date(2025, 3, 4))
    publish_days(archive, date(2025, 3, 4), 1)
    digest = hashlib.sha256(archive.files[path]).hexdigest()
    for prefix in (digest[:12], "0123456789ab"):
        part = tmp_path / f"BTCUSDT-1m-2025-03-04.zip.{prefix}.part"
        part.write_bytes(b"x" * size)
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))
    assert report.files[0].status == "fetched"
    assert report.paths[0].read_bytes() == archive.files[path]
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize("status", [418, 429, 503])
def test_retry_after_is_waited_for(
    archive: FakeArchive, tmp_path: Path, clock: ManualClock, status: int
) -> None:
    """Seconds or a date; not a second less."""
    publish_days(archive, date(2025, 3, 4), 1)
    until = format_datetime(clock.now() + timedelta(seconds=47 + 90), usegmt=True)
    archive.faults[day_path(date(2025, 3, 4))] = [
        Fault(status=status, headers=(("Retry-After", "47"),)),
        Fault(status=status, headers=(("Retry-After", until),)),
    ]
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4), clock=clock)
    assert report.files[0].status == "fetched"
    assert 47 + 90 <= clock.elapsed_s < 47 + 90 + 2


def test_a_pause_holds_for_all_workers(
    archive: FakeArchive, tmp_path: Path, clock: ManualClock
) -> None:
    """One worker is told to wait: none of the others asks before the time is over."""
    publish_days(archive, date(2025, 3, 3), 6)
    told = day_path(date(2025, 3, 3)) + ".CHECKSUM"
    archive.faults[told] = [Fault(status=429, headers=(("Retry-After", "60"),))]
    asked_before: list[int] = []

    def sleep(seconds: float) -> None:
        if not asked_before:
            time.sleep(0.2)  # what others ask now, they ask too early
            asked_before.append(len(archive.asked))
        clock.advance(seconds)

    fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 8), clock=clock, sleep=sleep, jobs=2)
    assert asked_before[0] <= 4  # what was under way: a worker has at most two requests in a row
    assert clock.elapsed_s >= 60


def test_a_pause_of_hours_is_not_sat_out(archive: FakeArchive, tmp_path: Path) -> None:
    """The message says how long."""
    publish_days(archive, date(2025, 3, 4), 1)
    ban = Fault(status=418, headers=(("Retry-After", "7200"),))
    archive.faults[day_path(date(2025, 3, 4))] = [ban]
    with pytest.raises(DataFetchError, match=r"asks for a pause.*7200 s"):
        fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))


def test_waits_grow_and_end(archive: FakeArchive, tmp_path: Path) -> None:
    """Without Retry-After the waits double, with jitter, and after six tries it is over."""
    publish_days(archive, date(2025, 3, 4), 1)
    archive.faults[day_path(date(2025, 3, 4)) + ".CHECKSUM"] = [Fault(status=500)] * 6
    waits: list[float] = []
    with pytest.raises(DataFetchError, match=r"does not answer: HTTP 500; got 6 tries"):
        fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4), sleep=waits.append)
    assert len(waits) == 5
    assert all(0.25 * 2**i <= wait <= 0.5 * 2**i for i, wait in enumerate(waits))


def test_a_slow_answer_is_asked_for_again(archive: FakeArchive, tmp_path: Path) -> None:
    """An answer that does not begin in time counts as none."""
    publish_days(archive, date(2025, 3, 4), 1)
    archive.faults[day_path(date(2025, 3, 4))] = [Fault(delay_s=0.4)]
    report = fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4), timeout_s=0.1)
    assert report.files[0].status == "fetched"
    assert len(archive.names()) == 2


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refusal_is_said_at_once(archive: FakeArchive, tmp_path: Path, status: int) -> None:
    """No retry, no guess that the day is missing."""
    publish_days(archive, date(2025, 3, 4), 1)
    archive.faults[day_path(date(2025, 3, 4)) + ".CHECKSUM"] = [Fault(status=status)]
    with pytest.raises(DataFetchError, match=f"HTTP {status}"):
        fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))
    assert len(archive.asked) == 1


def test_nobody_there_is_one_sentence(tmp_path: Path, clock: ManualClock) -> None:
    """A closed port is named with what to do."""
    nobody = FakeArchive(address="http://127.0.0.1:9")
    with pytest.raises(DataFetchError, match=r"127\.0\.0\.1:9/.* does not answer: ConnectError"):
        fetch(nobody, tmp_path, date(2025, 3, 4), date(2025, 3, 4), clock=clock)


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_requests_at_a_time_than_jobs(
    archive: FakeArchive, tmp_path: Path, jobs: int
) -> None:
    """And with several, several indeed."""
    publish_days(archive, date(2025, 3, 3), 8)
    for day in days(date(2025, 3, 3), 8):
        archive.faults[day_path(day)] = [Fault(delay_s=0.03)]
    fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 10), jobs=jobs)
    assert archive.most_at_once == jobs


def test_an_interrupt_leaves_what_can_be_resumed(archive: FakeArchive, tmp_path: Path) -> None:
    """Whole files stay, no half file has a final name, the workers end, the next run finishes."""
    publish_days(archive, date(2025, 3, 3), 6)
    n_threads = threading.active_count()

    def interrupt(progress: Progress) -> None:
        if progress.files == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 8), on_progress=interrupt, jobs=1)
    whole = list(tmp_path.glob("*.zip"))
    assert 2 <= len(whole) < 6
    assert all(path.read_bytes() in archive.files.values() for path in whole)
    assert threading.active_count() <= n_threads + 1  # the server's own
    report = fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 8))
    assert len(report.paths) == 6
    assert [file.status for file in report.files].count("present") == len(whole)


def test_progress_counts_files_and_bytes(archive: FakeArchive, tmp_path: Path) -> None:
    """It ends with everything, and a month that falls apart raises the total."""
    publish_days(archive, date(2025, 1, 1), 31)
    seen: list[Progress] = []
    fetch(archive, tmp_path, date(2025, 1, 1), date(2025, 1, 31), on_progress=seen.append)
    size = sum(len(body) for path, body in archive.files.items() if path.endswith(".zip"))
    assert seen[0] == Progress(0, 1, 0)
    assert seen[-1] == Progress(32, 32, size)


def test_two_fetches_do_not_share_a_folder(archive: FakeArchive, tmp_path: Path) -> None:
    """The second one is told at once."""
    with FileLock(tmp_path / ".fetch.lock"), pytest.raises(DataFetchError, match="another fetch"):
        fetch(archive, tmp_path, date(2025, 3, 4), date(2025, 3, 4))


def test_rows_are_counted_against_the_days(archive: FakeArchive, tmp_path: Path) -> None:
    """With and without a header; a whole day is 1,440 bars and anything else is incomplete."""
    for day, n_bars, header in (
        (date(2025, 3, 3), 1440, False),
        (date(2025, 3, 4), 1440, True),
        (date(2025, 3, 5), 1000, False),
    ):
        content = kline_csv(day, n_bars, header=header)
        archive.publish(day_path(day), zipped(f"BTCUSDT-1m-{day}.zip", content))
    report = fetch(archive, tmp_path, date(2025, 3, 3), date(2025, 3, 5))
    assert [(file.rows, file.expected_rows) for file in report.files] == [
        (1440, 1440),
        (1440, 1440),
        (1000, 1440),
    ]
    assert [file.first for file in report.incomplete] == ["2025-03-05"]


def test_files_across_a_year_end_are_read_as_one_market(
    archive: FakeArchive, tmp_path: Path
) -> None:
    """Milliseconds until 2024, microseconds from 2025: one run of minutes, nothing serious."""
    for day, unit in ((date(2024, 12, 31), "ms"), (date(2025, 1, 1), "us")):
        content = kline_csv(day, 1440, unit=unit)
        archive.publish(day_path(day), zipped(f"BTCUSDT-1m-{day}.zip", content))
    report = fetch(archive, tmp_path, date(2024, 12, 31), date(2025, 1, 1))
    market = read_market(report.paths)
    assert (market.symbol, market.source.profile) == ("BTCUSDT", "binance_kline")
    assert len(market.frame) == 2880
    assert str(market.frame["ts"].iloc[0]) == "2024-12-31 00:00:00+00:00"
    assert set(market.frame["ts"].diff().dropna().dt.total_seconds()) == {60.0}
    assert quality(market).serious == ()
    assert all(item.published_sha256 == item.sha256 for item in market.source.inputs)


@pytest.mark.parametrize(("market", "symbol"), [("um", "BTCUSDT"), ("cm", "BTCUSD_PERP")])
def test_futures_have_folders_of_their_own(
    archive: FakeArchive, tmp_path: Path, market: str, symbol: str
) -> None:
    """USD-margined and coin-margined, at any interval."""
    name = f"{symbol}-5m-2025-03-04.zip"
    archive.publish(
        f"data/futures/{market}/daily/klines/{symbol}/5m/{name}",
        zipped(name, kline_csv(date(2025, 3, 4), 288, header=True)),
    )
    request = KlineRequest(symbol, date(2025, 3, 4), date(2025, 3, 4), market, "5m")
    report = fetch(archive, tmp_path, request.first, request.last, request=request)
    assert [path.name for path in report.paths] == [name]
    assert report.incomplete == ()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"symbol": "../etc"}, "no symbol"),
        ({"symbol": ""}, "no symbol"),
        ({"market": "options"}, "no such market"),
        ({"interval": "7m"}, "no such interval"),
        ({"last": date(2025, 1, 1)}, "no range of days"),
        ({"first": date(1999, 1, 1)}, "no range of days"),
    ],
)
def test_a_request_that_cannot_be_is_refused(wrong: dict[str, Any], says: str) -> None:
    """Before anything is asked."""
    right: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "first": date(2025, 3, 4),
        "last": date(2025, 3, 5),
    }
    with pytest.raises(ParamsError, match=says):
        KlineRequest(**{**right, **wrong})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"jobs": 0}, "jobs"),
        ({"base_url": "ftp://x"}, "address"),
        ({"base_url": "http://x:y"}, "add"),
    ],
)
def test_options_that_cannot_be_are_refused(
    tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    """Each with a sentence."""
    request = KlineRequest("BTCUSDT", date(2025, 3, 4), date(2025, 3, 4))
    with pytest.raises(ParamsError, match=says):
        fetch_klines(request, tmp_path, **wrong)


@pytest.mark.parametrize("pause", ["\xb2", "Wed, 21 Oct 2015 07:28:00 +9999999999999999999"])
def test_a_retry_after_that_is_none_is_no_pause(
    archive: FakeArchive, tmp_path: Path, pause: str
) -> None:
    """Digits of another script, a zone beyond the world."""
    publish_days(archive, JAN_2, 1)
    archive.faults[day_path(JAN_2)] = [Fault(status=503, headers=(("Retry-After", pause),))]
    assert fetch(archive, tmp_path, JAN_2, JAN_2).refused == ()


def test_a_retry_after_without_a_zone_is_utc(archive: FakeArchive, tmp_path: Path) -> None:
    """Python reads -0000 as a time without a zone."""
    publish_days(archive, JAN_2, 1)
    pause = Fault(status=503, headers=(("Retry-After", "Thu, 01 Jan 2026 00:00:50 -0000"),))
    archive.faults[day_path(JAN_2)] = [pause]
    clock = ManualClock(start=datetime(2026, 1, 1, tzinfo=UTC))
    fetch(archive, tmp_path, JAN_2, JAN_2, clock=clock)
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 50, tzinfo=UTC)


def test_a_body_without_end_is_left(archive: FakeArchive, tmp_path: Path) -> None:
    """More bytes than any text of so many bars has: neither kept nor waited for."""
    archive.publish(day_path(JAN_2), bytes(3 << 20))
    with pytest.raises(DataFetchError, match="does not end"):
        fetch(archive, tmp_path, JAN_2, JAN_2)
    assert not list(tmp_path.glob("*.part"))


def test_a_checksum_without_end_is_not_read_to_it(archive: FakeArchive, tmp_path: Path) -> None:
    """What counts stands at its beginning."""
    publish_days(archive, JAN_2, 1)
    archive.files[f"{day_path(JAN_2)}.CHECKSUM"] += b"x" * (8 << 20)
    assert fetch(archive, tmp_path, JAN_2, JAN_2).refused == ()


@pytest.mark.parametrize("trick", ["bomb", "locked"])
def test_a_zip_that_is_a_trick_is_damaged(archive: FakeArchive, tmp_path: Path, trick: str) -> None:
    """More text than its days can have, or a password nobody has."""
    content = kline_csv(JAN_2, DAY_BARS) + (b"1\n" * (1 << 20) if trick == "bomb" else b"")
    packed = bytearray(zipped(day_path(JAN_2).rpartition("/")[2], content))
    if trick == "locked":
        packed[6] |= 1
        packed[packed.index(b"PK\x01\x02") + 8] |= 1
    archive.publish(day_path(JAN_2), bytes(packed))
    (found,) = fetch(archive, tmp_path, JAN_2, JAN_2).refused
    assert found.status == "damaged"
