"""Bars from Binance's public archive: the only module of the room that speaks to a network.

A door: the room does not re-export it, so reading a file never loads an HTTP client.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from mlwb import __version__
from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import DataFetchError, DataNotFoundError, ParamsError
from mlwb.data._archive import BASE_URL, INTERVALS, MARKETS, ArchiveFile, KlineRequest, Month
from mlwb.data._download import FetchedFile, download, on_disk
from mlwb.data._polite import Line, StoppedError

__all__ = [
    "BASE_URL",
    "INTERVALS",
    "MARKETS",
    "FetchReport",
    "FetchedFile",
    "KlineRequest",
    "Progress",
    "fetch_klines",
]

_MAX_JOBS = 16


@dataclass(frozen=True)
class Progress:
    """How far a fetch is.

    Parameters
    ----------
    files, of : int
        Files settled, of files known to be needed so far: a month that is not published
        becomes its days.
    size : int
        Bytes received.
    """

    files: int
    of: int
    size: int


@dataclass(frozen=True)
class FetchReport:
    """What is on disk after a fetch, and what is not.

    Parameters
    ----------
    request : KlineRequest
    folder : Path
    files : tuple of FetchedFile
        In order of time; no two hold the same day.
    missing : tuple of date
        Days the archive does not have.
    """

    request: KlineRequest
    folder: Path
    files: tuple[FetchedFile, ...]
    missing: tuple[date, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files to read, in order of time."""
        return tuple(self.folder / file.name for file in self.files if file.is_kept)

    @property
    def refused(self) -> tuple[FetchedFile, ...]:
        """Files that came and were not kept."""
        return tuple(file for file in self.files if not file.is_kept)

    @property
    def incomplete(self) -> tuple[FetchedFile, ...]:
        """Files with fewer or more bars than their days have."""
        return tuple(file for file in self.files if file.rows != file.expected_rows)


def fetch_klines(
    request: KlineRequest,
    folder: Path,
    *,
    base_url: str = BASE_URL,
    jobs: int = 4,
    allow_mismatch: bool = False,
    timeout_s: float = 20.0,
    clock: Clock | None = None,
    sleep: Callable[[float], object] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> FetchReport:
    """Fetch the zips of a range of days and verify each against its published checksum.

    A whole month comes as one file where it is published, anything else as days. A file that is
    there and verified is not asked for again; one that was cut off goes on where it stopped.

    Parameters
    ----------
    request : KlineRequest
    folder : Path
        Made when missing.
    base_url : str
        The archive or a mirror with the same layout.
    jobs : int, default=4
        Requests at a time, 1 to 16.
    allow_mismatch : bool, default=False
        Keep files that differ from their checksum, or have none.
    timeout_s : float, default=20
        For an answer to begin, and between two of its pieces.
    clock, sleep : optional
        For tests.
    on_progress : callable, optional
        Called from the workers, one at a time.

    Returns
    -------
    FetchReport

    Raises
    ------
    DataFetchError
        The archive does not answer or refuses, or another fetch writes to ``folder``.
    DataNotFoundError
        The archive has nothing of what was asked for.
    ParamsError
        ``jobs`` or ``base_url`` is no such thing.
    """
    if not 1 <= jobs <= _MAX_JOBS:
        raise ParamsError("jobs out of range", expected=f"1 to {_MAX_JOBS}", got=str(jobs))
    _check_address(base_url)
    clock = clock or SystemClock()
    today = clock.now().date()
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder), _client(base_url, timeout_s=timeout_s, jobs=jobs) as client:
        run = _Run(
            folder=folder,
            line=Line(client, clock=clock, sleep=sleep),
            allow_mismatch=allow_mismatch,
            jobs=jobs,
            on_progress=on_progress or (lambda _: None),
        )
        files, missing = run.all(list(request.months()), today)
    if not files:
        raise DataNotFoundError(
            f"the archive has no {request.interval} bars of {request.symbol} ({request.market}) "
            f"from {request.first} to {request.last}",
            todo="check symbol, market and days",
        )
    return FetchReport(request, folder, files, missing)


def _check_address(base_url: str) -> None:
    try:
        address = httpx.URL(base_url)
    except httpx.InvalidURL:
        address = httpx.URL("")
    if address.scheme not in ("http", "https") or not address.host:
        raise ParamsError("no address of an archive", expected="http(s)://host", got=base_url)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / ".fetch.lock", timeout=0):
            yield
    except Timeout as error:
        raise DataFetchError(
            f"another fetch writes to {folder}", todo="wait for it, or name another folder"
        ) from error


def _client(base_url: str, *, timeout_s: float, jobs: int) -> httpx.Client:
    return httpx.Client(
        base_url=base_url.rstrip("/") + "/",
        timeout=timeout_s,
        limits=httpx.Limits(max_connections=jobs),
        follow_redirects=True,
        headers={"User-Agent": f"mlwb/{__version__}", "Accept-Encoding": "identity"},
    )


@dataclass
class _Run:
    """One fetch: months first, then the days of months that have no file of their own."""

    folder: Path
    line: Line
    allow_mismatch: bool
    jobs: int
    on_progress: Callable[[Progress], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _files: int = 0
    _of: int = 0
    _size: int = 0

    def all(
        self, months: Sequence[Month], today: date
    ) -> tuple[tuple[FetchedFile, ...], tuple[date, ...]]:
        """Files by time, and the days nobody has."""
        by_month = [month for month in months if self._comes_whole(month)]
        whole = self._each([month.monthly for month in by_month])
        unpublished = {id(m) for m, found in zip(by_month, whole, strict=True) if found is None}
        as_days = [m for m in months if m not in by_month or id(m) in unpublished]
        wanted = [file for month in as_days for file in month.daily]
        asked = [file for file in wanted if file.first <= today]
        days = self._each(asked)
        files = [file for file in (*whole, *days) if file is not None]
        there = {file.first for file in files}
        missing = [file.first for file in wanted if file.first.isoformat() not in there]
        return tuple(sorted(files, key=lambda file: file.first)), tuple(missing)

    def _comes_whole(self, month: Month) -> bool:
        """Never both forms of one month: the bars would stand twice in one folder."""
        if (self.folder / month.monthly.name).is_file():
            return True
        return month.is_whole and not any(self.folder.glob(month.daily_of_month))

    def _each(self, files: Sequence[ArchiveFile]) -> list[FetchedFile | None]:
        """Every file by a small pool of workers, in the order given."""
        self._tell(of=len(files))
        with ThreadPoolExecutor(self.jobs) as pool:
            tasks = [pool.submit(self._one, file) for file in files]
            try:
                wait(tasks, return_when=FIRST_EXCEPTION)
            finally:
                if not all(task.done() for task in tasks):
                    self.line.stop.set()
                    pool.shutdown(wait=False, cancel_futures=True)
        failed = [task.exception() for task in tasks if not task.cancelled()]
        for error in failed:
            if error is not None and not isinstance(error, StoppedError):
                raise error
        return [task.result() for task in tasks]

    def _one(self, file: ArchiveFile) -> FetchedFile | None:
        found = on_disk(file, self.folder)
        if found is None:
            self.line.check_stop()
            found = download(
                file,
                self.folder,
                line=self.line,
                allow_mismatch=self.allow_mismatch,
                on_bytes=lambda size: self._tell(size=size),
            )
        self._tell(files=1)
        return found

    def _tell(self, *, files: int = 0, of: int = 0, size: int = 0) -> None:
        with self._lock:
            self._files, self._of, self._size = (
                self._files + files,
                self._of + of,
                self._size + size,
            )
            self.on_progress(Progress(self._files, self._of, self._size))
