"""The layout of Binance's public archive: which files hold the bars of a range of days."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import quote

from mlwb.core.clock import DAY_S
from mlwb.core.errors import ParamsError

__all__ = ["BASE_URL", "INTERVALS", "MARKETS", "ArchiveFile", "KlineRequest", "Month"]

BASE_URL = "https://data.binance.vision"
MARKETS = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}
"""Market to its folder below ``data/``."""
INTERVALS = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200,
    "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400,
}  # fmt: skip
"""Interval to its seconds."""
_SYMBOL = re.compile(r"\w{2,40}")
_FIRST_DAY = date(2017, 1, 1)


@dataclass(frozen=True)
class ArchiveFile:
    """One zip of the archive.

    Parameters
    ----------
    path : str
        Below the archive's address, quoted.
    name : str
        File name.
    first, last : date
        Days it holds, both included.
    expected_rows : int
        Bars of a market that never stopped.
    """

    path: str
    name: str
    first: date
    last: date
    expected_rows: int


@dataclass(frozen=True)
class KlineRequest:
    """Bars of one symbol over a range of days.

    Parameters
    ----------
    symbol : str
        As the exchange writes it, for example ``BTCUSDT`` or ``BTCUSD_PERP``.
    first, last : date
        UTC days, both included.
    market : {"spot", "um", "cm"}, default="spot"
        Spot, USD-margined or coin-margined futures.
    interval : str, default="1m"
        A key of :data:`INTERVALS`.

    Raises
    ------
    ParamsError
        A field is out of range.
    """

    symbol: str
    first: date
    last: date
    market: str = "spot"
    interval: str = "1m"

    def __post_init__(self) -> None:
        if not _SYMBOL.fullmatch(self.symbol):
            raise ParamsError("no symbol", expected="such as BTCUSDT", got=repr(self.symbol))
        if self.market not in MARKETS:
            raise ParamsError("no such market", expected=", ".join(MARKETS), got=self.market)
        if self.interval not in INTERVALS:
            raise ParamsError("no such interval", expected=", ".join(INTERVALS), got=self.interval)
        if not _FIRST_DAY <= self.first <= self.last:
            raise ParamsError(
                "no range of days",
                expected=f"{_FIRST_DAY} <= from <= to",
                got=f"{self.first} to {self.last}",
            )

    def months(self) -> Iterator[Month]:
        """The calendar months the range touches, in order."""
        day = self.first.replace(day=1)
        while day <= self.last:
            end = day.replace(day=monthrange(day.year, day.month)[1])
            yield Month(self, max(day, self.first), min(end, self.last), end)
            day = end + timedelta(days=1)

    def file(self, first: date, last: date, *, period: str) -> ArchiveFile:
        """The file of a month or a day."""
        stamp = f"{first:%Y-%m}" if period == "monthly" else f"{first:%Y-%m-%d}"
        symbol, interval = quote(self.symbol), self.interval
        folder = f"data/{MARKETS[self.market]}/{period}/klines/{symbol}/{interval}"
        n_days = (last - first).days + 1
        return ArchiveFile(
            path=f"{folder}/{symbol}-{interval}-{stamp}.zip",
            name=f"{self.symbol}-{interval}-{stamp}.zip",
            first=first,
            last=last,
            expected_rows=n_days * DAY_S // INTERVALS[interval],
        )


@dataclass(frozen=True)
class Month:
    """The part of a request inside one calendar month.

    Parameters
    ----------
    request : KlineRequest
    first, last : date
        Days asked for.
    end : date
        Last day of the month.
    """

    request: KlineRequest
    first: date
    last: date
    end: date

    @property
    def is_whole(self) -> bool:
        """Whether every day of the month is asked for."""
        return self.first.day == 1 and self.last == self.end

    @property
    def monthly(self) -> ArchiveFile:
        """The file of the whole month."""
        return self.request.file(self.first.replace(day=1), self.end, period="monthly")

    @property
    def daily(self) -> list[ArchiveFile]:
        """A file for each day asked for."""
        n_days = (self.last - self.first).days + 1
        days = [self.first + timedelta(days=i) for i in range(n_days)]
        return [self.request.file(day, day, period="daily") for day in days]

    @property
    def daily_of_month(self) -> str:
        """Pattern of the names of this month's daily files."""
        return f"{self.request.symbol}-{self.request.interval}-{self.first:%Y-%m}-*.zip"
