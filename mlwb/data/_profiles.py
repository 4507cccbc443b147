"""The source profiles that ship with mlwb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from mlwb.core.errors import SourceUndecidableError
from mlwb.data._profile import SIDE_FIELDS, SourceProfile
from mlwb.data._profiles_quotes import QUOTE_PROFILES

__all__ = ["PROFILES", "describe", "named_profile", "profile_names"]

_OHLC = {"open": "open", "high": "high", "low": "low", "close": "close"}
_OHLCV = {**_OHLC, "volume": "volume"}
_SIDES = {name: name for name in SIDE_FIELDS}
_SIZES = {"bid_size": "bid_size", "ask_size": "ask_size"}
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
_KLINE_STAMP = r"\d{12,16}"
_GOLD = ("XAUUSD", "GOLD")

_KLINE = SourceProfile(
    name="binance_kline",
    about="Binance public archive klines, spot and USD-M (csv or zip, header or none, ms or us)",
    columns={**_OHLCV, "ts": "open_time"},
    ignored=_KLINE_NAMES,
    names=_KLINE_NAMES,
    first_cell=_KLINE_STAMP,
    volume_unit="base",
)
_LEAN = SourceProfile(
    name="lean_minute",
    about="Lean `YYYYMMDD_quote.zip`, ms since midnight; its clock is the vendor's: set `clock`",
    columns={**_SIDES, **_SIZES, "ts": "ms"},
    names=("ms", *SIDE_FIELDS[:4], "bid_size", *SIDE_FIELDS[4:], "ask_size"),
    first_cell=r"\d{1,8}",
    time_unit="ms",
    date_in_name=True,
    clock="",
    calendar="fx",
)
_MT5 = SourceProfile(
    name="mt5",
    about="MetaTrader 5 from Python, spread in points; needs `point`, see the YAML example",
    columns={**_OHLC, "ts": "time", "volume": "tick_volume", "spread_points": "spread"},
    ignored=("real_volume",),
    clock="new-york-close",
    calendar="fx",
    volume_unit="quote changes",
)
_MT5_TERMINAL = replace(
    _MT5,
    name="mt5_terminal",
    about="MetaTrader 5 from the terminal: tab, `<DATE> <TIME> ... <SPREAD>`; needs `point`",
    columns={
        **{name: f"<{name.upper()}>" for name in _OHLC},
        "ts": "<DATE>+<TIME>",
        "volume": "<TICKVOL>",
        "spread_points": "<SPREAD>",
    },
    ignored=("<VOL>",),
    time_format="%Y.%m.%d %H:%M:%S",
)
_HISTDATA = SourceProfile(
    name="histdata",
    about="HistData ASCII M1: `YYYYMMDD HHMMSS;o;h;l;c;v`, bid side, no header",
    columns={**_OHLC, "ts": "stamp"},
    names=("stamp", "open", "high", "low", "close", "volume"),
    ignored=("volume",),
    first_cell=r"\d{8} \d{6}",
    file_name="DAT_ASCII_",
    time_format="%Y%m%d %H%M%S",
    clock="utc-5",
    calendar="fx",
)
_HISTDATA_MT = replace(
    _HISTDATA,
    name="histdata_mt",
    about="HistData MetaTrader form: `YYYY.MM.DD,HH:MM,o,h,l,c,v`, bid side, no header",
    columns={**_OHLC, "ts": "date+time"},
    names=("date", "time", "open", "high", "low", "close", "volume"),
    first_cell=r"\d{4}\.\d\d\.\d\d",
    file_name="DAT_MT_",
    time_format="%Y.%m.%d %H:%M",
)
_DATABENTO = SourceProfile(
    name="databento_ohlcv",
    about="Databento ohlcv-1m csv (raw or pretty), stamped by the interval's start",
    columns={**_OHLCV, "ts": "ts_event"},
    marks=("rtype", "publisher_id", "instrument_id"),
    instrument=("symbol", "instrument_id"),
    single=("rtype", "publisher_id"),
    integer_price_scale=1e-9,
    undefined_price=9.2e9,  # 9223372036854775807 x 1e-9
    calendar="trade-only",
    volume_unit="contracts or shares",
)


def _gold(profile: SourceProfile, name: str, about: str) -> SourceProfile:
    return replace(profile, name=name, about=about, point=0.01, calendar="metals", symbols=_GOLD)


_ALL = (
    SourceProfile(
        name="mlwb",
        about="canonical csv or parquet",
        columns={**_OHLCV, **_SIZES, "ts": "ts", "bid": "bid", "ask": "ask"},
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
    _KLINE,
    replace(
        _KLINE,
        name="binance_kline_cm",
        about="Binance public archive klines, COIN-M: `quote_volume` is the base volume",
        columns={**_KLINE.columns, "volume": "quote_volume"},
        symbols=(r"[A-Z0-9]+USD_(?:PERP|\d{6})$",),
    ),
    SourceProfile(
        name="binance_api",
        about="exchange API answers, `[[ms, o, h, l, c, v], ...]` (json)",
        columns={**_OHLCV, "ts": "open_time"},
        ignored=_KLINE_NAMES,
        names=_KLINE_NAMES[:6],
        first_cell=r"\d{12,14}",
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
        first_cell=r"\d{9,11}",
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
        columns={**_SIDES, **_SIZES, "ts": "timestamp_utc"},
        ignored=("yyyymmdd", "ms_since_midnight"),
        calendar="fx",
    ),
    _LEAN,
    replace(
        _LEAN,
        name="lean_fxcm",
        about="the same from FXCM, five hours behind UTC",
        first_cell="",
        clock="utc-5",
    ),
    replace(_LEAN, name="lean_oanda", about="the same from Oanda, UTC", first_cell="", clock="utc"),
    _MT5,
    _gold(_MT5, "mt5_xauusd", "the same for gold, one spread point = 0.01 USD"),
    _MT5_TERMINAL,
    _gold(_MT5_TERMINAL, "mt5_terminal_xauusd", "the same for gold, one point = 0.01 USD"),
    _HISTDATA,
    _HISTDATA_MT,
    replace(
        _HISTDATA_MT,
        name="mt4",
        about="MetaTrader 4 history, the form of histdata_mt on the server's clock: to be named",
        columns={**_HISTDATA_MT.columns, "volume": "volume"},
        first_cell="",
        clock=_MT5.clock,
        volume_unit=_MT5.volume_unit,
    ),
    _DATABENTO,
    replace(
        _DATABENTO,
        name="databento_bbo",
        about="Databento bbo-1m csv (raw or pretty), stamped by the interval's END",
        columns={
            "ts": "ts_recv",  # the interval's end, not a receiver's clock
            "bid": "bid_px_00",
            "ask": "ask_px_00",
            "bid_size": "bid_sz_00",
            "ask_size": "ask_sz_00",
        },
        ignored=(
            "ts_event",
            "side",
            "price",
            "size",
            "flags",
            "sequence",
            "bid_ct_00",
            "ask_ct_00",
        ),
        stamp="close",
        volume_unit="",
    ),
    *QUOTE_PROFILES,
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
    """What a profile reads, in one line for help texts.

    Raises
    ------
    SourceUndecidableError
        No such profile.

    Examples
    --------
    >>> describe("kraken")
    'Kraken OHLCVT (csv without header); a bar exists only for minutes with a trade'
    """
    return named_profile(profile).about


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
