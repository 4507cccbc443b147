"""What every source becomes: one canonical frame, where it came from, and the rows as read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import pandas as pd

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import BAR_FIELDS
from mlwb.data._calendars import Calendar

__all__ = [
    "FRAME_COLUMNS",
    "VALUE_FIELDS",
    "InputFile",
    "Market",
    "Quality",
    "RawBars",
    "SourceInfo",
    "to_bars",
]

VALUE_FIELDS = ("open", "high", "low", "close", "volume", "bid", "ask", "bid_size", "ask_size")
"""Columns of :attr:`RawBars.cells`."""

FRAME_COLUMNS = (*BAR_FIELDS, "quality")
"""Columns of :attr:`Market.frame`, in this order."""


class Quality(IntEnum):
    """Bits of the ``quality`` column; 0 is a bar with nothing to say about it."""

    DUPLICATED = 1
    """The minute stands more than once in the source, each time with the same values."""
    CONFLICTING = 2
    """The minute stands more than once with different values; the last one read is kept."""
    STALE = 4
    """Inside a run of at least five bars without a trade at an unchanged price."""
    CROSSED = 8
    """ask < bid."""
    LOCKED = 16
    """ask = bid."""
    NON_FINITE = 32
    """A value the source has elsewhere is missing or infinite here."""
    NON_POSITIVE = 64
    """A price <= 0, or a negative volume or size."""
    OHLC = 128
    """high below open, low or close, or low above one of them."""
    SPIKE = 256
    """A jump far outside the day's moves that is taken back by the next bar."""

    @classmethod
    def unusable(cls) -> int:
        """The bits that keep a bar out of `completeness`."""
        return cls.CONFLICTING | cls.STALE | cls.NON_FINITE | cls.NON_POSITIVE | cls.OHLC


@dataclass(frozen=True)
class InputFile:
    """One file a market was read from.

    Parameters
    ----------
    role : str
        ``"bars"``, ``"bid"`` or ``"ask"``.
    uri : str
        File name, never a path: evidence travels between machines.
    sha256 : str
        ``sha256:<64 hex>`` of the file's bytes as stored.
    rows : int
        Data rows in it.
    published_sha256 : str, default=""
        What a ``.CHECKSUM`` file beside it says; empty when there is none.
    """

    role: str
    uri: str
    sha256: str
    rows: int
    published_sha256: str = ""


@dataclass(frozen=True)
class SourceInfo:
    """Where a market came from and what was decided on the way.

    Parameters
    ----------
    profile : str
        Source profile, or ``"synthetic"``.
    inputs : tuple of InputFile
    decisions : tuple of str
        One sentence each: what sniffing decided and why.
    clock : str
        Clock of the stamps in the source.
    calendar : str
        A name in :data:`mlwb.data.CALENDARS`, or ``session``.
    origin : str
        ``"live"`` (recorded from a market) or ``"simulated"``.
    volume_unit : str, default=""
        What ``volume`` counts; empty where the source has none or does not say.
    session : Calendar, optional
        Opening hours of the user's own, where ``calendar`` is ``session``.
    """

    profile: str
    inputs: tuple[InputFile, ...]
    decisions: tuple[str, ...]
    clock: str
    calendar: str
    origin: str
    volume_unit: str = ""
    session: Calendar | None = None


@dataclass(frozen=True)
class RawBars:
    """The rows as read, before sorting and removing repeats.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_rows,), int64
        Bar opens, nanoseconds since 1970 UTC, in file order.
    cells : ndarray of shape (n_rows, 9), float64
        :data:`VALUE_FIELDS`; NaN where the source has nothing. Two-sided bars hold the mean of
        both sides in ``open .. close``.
    n_unpaired : int, default=0
        Rows of a bid/ask pair without a counterpart; they are in no column here.
    n_updates, n_updates_back : int, default=0
        Quotes the rows were folded from, 0 where the source has bars; those that step back in
        time.
    skew_ms : ndarray of shape (n_messages,), float64, optional
        Receive minus exchange time where the source has both clocks.
    """

    ts_ns: Int1D
    cells: Float2D
    n_unpaired: int = 0
    n_updates: int = 0
    n_updates_back: int = 0
    skew_ms: Float1D | None = None


@dataclass(frozen=True)
class Market:
    """One symbol's minutes.

    Parameters
    ----------
    symbol : str
    frame : DataFrame
        :data:`FRAME_COLUMNS`, sorted, one row a minute. ``ts`` is the bar's open
        (``datetime64[ns, UTC]``); ``mid`` is (bid + ask) / 2 of the closing quotes where there
        are quotes, else ``close``; NaN where the source has nothing or nothing usable.
        ``quality`` holds :class:`Quality` bits.
    has_quotes : bool
        Whether ``bid`` and ``ask`` are recorded.
    source : SourceInfo
    raw : RawBars
    """

    symbol: str
    frame: pd.DataFrame = field(repr=False)
    has_quotes: bool
    source: SourceInfo
    raw: RawBars = field(repr=False)


def to_bars(market: Market) -> Float2D:
    """The market as the array that features and the server read.

    Parameters
    ----------
    market : Market

    Returns
    -------
    ndarray of shape (n_bars, len(BAR_FIELDS)), float64
        C-contiguous, in the order of :data:`mlwb.core.bars.BAR_FIELDS`; ``ts`` in seconds.

    Examples
    --------
    >>> from mlwb.data import simulate_market
    >>> to_bars(simulate_market(days=1)).shape
    (1440, 11)
    """
    frame = market.frame
    bars = np.empty((len(frame), len(BAR_FIELDS)), dtype=np.float64)
    bars[:, 0] = frame["ts"].to_numpy(dtype="datetime64[ns]").astype(np.int64) / 1e9
    for column, name in enumerate(BAR_FIELDS[1:], start=1):
        bars[:, column] = frame[name].to_numpy(dtype=np.float64)
    return bars
