"""Source profiles: what a vendor's file looks like, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mlwb.core.errors import SourceUndecidableError

__all__ = [
    "PROFILES",
    "SIDE_FIELDS",
    "SourceProfile",
    "describe",
    "named_profile",
    "profile_names",
]

_OHLC = {"open": "open", "high": "high", "low": "low", "close": "close"}
_OHLCV = {**_OHLC, "volume": "volume"}
SIDE_FIELDS = tuple(
    f"{side}_{price}" for side in ("bid", "ask") for price in ("open", "high", "low", "close")
)
_KLINE_NAMES = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)


@dataclass(frozen=True)
class SourceProfile:
    """How to read one vendor's files.

    Parameters
    ----------
    name : str
    about : str
        One line for people.
    columns : mapping of str to str
        Canonical field to source column. Fields: ``ts``, ``open high low close volume bid ask
        bid_size ask_size``, ``spread_points``, and ``bid_open .. ask_close`` for two-sided
        bars. ``"<DATE>+<TIME>"`` joins two text columns with a blank.
    optional : tuple of str
        Fields that may be absent.
    marks : tuple of str
        Source columns that must be there and are not read: they tell one vendor from another.
    ignored : tuple of str
        Source columns that may stand in the file and are not read.
    names : tuple of str
        Column names where the file has no header; empty when it must have one.
    is_json : bool
        Rows of a JSON array, so never a table with a header.
    time_unit : str
        Of numeric stamps: ``s ms us ns``, or ``magnitude`` (decided row by row, since one
        vendor changed from ms to us at a year's end).
    time_format : str
        ``strptime`` format of text stamps; empty is ISO 8601.
    clock : str
        Of stamps without a zone; a name in :data:`mlwb.data.CLOCKS`.
    stamp : str
        ``open`` or ``close``: which end of the bar the stamp names.
    price_scale : float
        Factor from the file's price to the price.
    point : float
        Price of one spread point; NaN where the source has no spread column.
    pair : bool
        Bid and ask come as two files.
    calendar : str
        A name in :data:`mlwb.data.CALENDARS`.
    volume_unit : str
        Empty where the source has no volume.
    symbols : tuple of str
        Prefixes the profile is for; empty is any. Sniffing minds it.
    """

    name: str
    about: str
    columns: Mapping[str, str]
    optional: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    is_json: bool = False
    time_unit: str = "magnitude"
    time_format: str = ""
    clock: str = "utc"
    stamp: str = "open"
    price_scale: float = 1.0
    point: float = field(default=math.nan)
    pair: bool = False
    calendar: str = "24/7"
    volume_unit: str = ""
    symbols: tuple[str, ...] = ()

    def sources(self, name: str) -> tuple[str, ...]:
        """Source columns a canonical field is made of."""
        return tuple(self.columns[name].split("+"))

    @property
    def required(self) -> frozenset[str]:
        """Source columns that must be there."""
        wanted = (name for name in self.columns if name not in self.optional)
        return frozenset(
            (*self.marks, *(column for name in wanted for column in self.sources(name)))
        )

    @property
    def known(self) -> frozenset[str]:
        """Source columns that may be there."""
        mapped = {column for name in self.columns for column in self.sources(name)}
        return frozenset((*mapped, *self.marks, *self.ignored))


_MT5 = SourceProfile(
    name="mt5",
    about="MetaTrader 5 export with a spread column; needs `point`, see the YAML example",
    columns={**_OHLC, "ts": "time", "volume": "tick_volume", "spread_points": "spread"},
    ignored=("real_volume",),
    clock="new-york-close",
    calendar="fx",
    volume_unit="quote changes",
)

_ALL = (
    SourceProfile(
        name="mlwb",
        about="canonical csv or parquet",
        columns={
            **_OHLCV,
            "ts": "ts",
            "bid": "bid",
            "ask": "ask",
            "bid_size": "bid_size",
            "ask_size": "ask_size",
        },
        optional=("volume", "bid", "ask", "bid_size", "ask_size"),
        ignored=("mid", "spread_bp", "trades", "taker_buy_volume", "quality", "source", "symbol"),
        volume_unit="base",
    ),
    SourceProfile(
        name="binance_ohlcv",
        about="exchange bars with a `date` column, as freqtrade stores them (csv, feather)",
        columns={**_OHLCV, "ts": "date"},
        volume_unit="base",
    ),
    SourceProfile(
        name="binance_kline",
        about="Binance public archive klines (csv or zip, with or without header, ms or us)",
        columns={**_OHLCV, "ts": "open_time"},
        ignored=_KLINE_NAMES,
        names=_KLINE_NAMES,
        volume_unit="base (COIN-M: contracts)",
    ),
    SourceProfile(
        name="binance_api",
        about="exchange API answers, `[[ms, o, h, l, c, v], ...]` (json)",
        columns={**_OHLCV, "ts": "open_time"},
        ignored=_KLINE_NAMES,
        names=_KLINE_NAMES[:6],
        is_json=True,
        volume_unit="base",
    ),
    SourceProfile(
        name="bybit",
        about="Bybit bars with `ts` and `turnover` (csv)",
        columns={**_OHLCV, "ts": "ts"},
        marks=("turnover",),
        volume_unit="base",
    ),
    SourceProfile(
        name="kraken",
        about="Kraken OHLCVT (csv without header); a bar exists only for minutes with a trade",
        columns={**_OHLCV, "ts": "time"},
        names=("time", "open", "high", "low", "close", "volume", "trades"),
        time_unit="s",
        calendar="trade-only",
        volume_unit="base",
    ),
    SourceProfile(
        name="fxcm_pair",
        about="bid and ask candles in two files, `..._bid_...` and `..._ask_...`",
        columns={**_OHLC, "ts": "timestamp"},
        pair=True,
        calendar="fx",
    ),
    SourceProfile(
        name="lean_quote",
        about="Lean quote bars with a UTC stamp added, bid and ask OHLC in one row",
        columns={
            **{name: name for name in SIDE_FIELDS},
            "ts": "timestamp_utc",
            "bid_size": "bid_size",
            "ask_size": "ask_size",
        },
        ignored=("yyyymmdd", "ms_since_midnight"),
        calendar="fx",
    ),
    _MT5,
    SourceProfile(
        name="mt5_xauusd",
        about="MetaTrader 5 gold, one spread point = 0.01 USD",
        columns=_MT5.columns,
        ignored=_MT5.ignored,
        clock=_MT5.clock,
        point=0.01,
        calendar="metals",
        volume_unit=_MT5.volume_unit,
        symbols=("XAUUSD", "GOLD"),
    ),
    SourceProfile(
        name="histdata",
        about="HistData ASCII M1: `YYYYMMDD HHMMSS;o;h;l;c;v`, bid side, no header",
        columns={**_OHLC, "ts": "stamp"},
        names=("stamp", "open", "high", "low", "close", "volume"),
        ignored=("volume",),
        time_format="%Y%m%d %H%M%S",
        clock="utc-5",
        calendar="fx",
    ),
)

PROFILES: Mapping[str, SourceProfile] = MappingProxyType({item.name: item for item in _ALL})
"""Name to profile, the ones that ship with mlwb."""


def profile_names() -> tuple[str, ...]:
    """Names that ``profile=`` takes, besides ``auto`` and the path of a YAML profile.

    Examples
    --------
    >>> "kraken" in profile_names()
    True
    """
    return tuple(PROFILES)


def describe(profile: str) -> str:
    """One line about a profile, for help texts.

    Raises
    ------
    SourceUndecidableError
        No such profile.

    Examples
    --------
    >>> describe("kraken")
    'kraken: Kraken OHLCVT (csv without header); a bar exists only for minutes with a trade'
    """
    found = named_profile(profile)
    return f"{found.name}: {found.about}"


def named_profile(name: str) -> SourceProfile:
    """The profile of a name.

    Raises
    ------
    SourceUndecidableError
        No such profile.
    """
    try:
        return PROFILES[name]
    except KeyError as error:
        raise SourceUndecidableError(
            "no such source profile",
            expected=f"auto, a .yml file, or one of {', '.join(PROFILES)}",
            got=repr(name),
        ) from error
