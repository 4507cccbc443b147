"""Profiles of sources that write one row an update of the book's top."""

from __future__ import annotations

from dataclasses import replace

from mlwb.data._feed import FEED_COLUMNS
from mlwb.data._profile import SourceProfile

__all__ = ["QUOTE_PROFILES"]

_TARDIS = SourceProfile(
    name="tardis_quotes",
    about="Tardis quotes or book_ticker: one row an update, us, exchange and local clock",
    kind="quotes",
    columns={
        "ts": "timestamp",
        "received": "local_timestamp",
        "bid": "bid_price",
        "ask": "ask_price",
        "bid_size": "bid_amount",
        "ask_size": "ask_amount",
    },
    marks=("exchange", "symbol"),
    instrument=("symbol",),
    single=("exchange",),
)

QUOTE_PROFILES = (
    SourceProfile(
        name="binance_book_ticker",
        about="Binance public archive bookTicker (USD-M, COIN-M): one row an update, ms",
        kind="quotes",
        columns={
            "ts": "transaction_time",
            "bid": "best_bid_price",
            "ask": "best_ask_price",
            "bid_size": "best_bid_qty",
            "ask_size": "best_ask_qty",
        },
        ignored=("update_id", "event_time"),
    ),
    SourceProfile(
        name="binance_feed",
        about="raw Binance websocket feed, `<receive ns> <message>` a line: its bookTicker stream",
        kind="quotes",
        columns={name: name for name in FEED_COLUMNS if name != "symbol"},
        instrument=("symbol",),
    ),
    _TARDIS,
    replace(
        _TARDIS,
        name="tardis_book",
        about="Tardis book_snapshot_5 or _25: the top level of each snapshot",
        columns={
            "ts": "timestamp",
            "received": "local_timestamp",
            "bid": "bids[0].price",
            "ask": "asks[0].price",
            "bid_size": "bids[0].amount",
            "ask_size": "asks[0].amount",
        },
        ignored=tuple(
            f"{side}[{level}].{field}"
            for level in range(1, 25)
            for side in ("asks", "bids")
            for field in ("price", "amount")
        ),
    ),
    SourceProfile(
        name="kaiko_top_of_book",
        about="Kaiko top of book: one side a row, ns, exchange and collection clock",
        kind="quotes",
        columns={
            "ts": "ts_exchange",
            "received": "ts_collection",
            "side": "type",
            "price": "price",
            "size": "size",
        },
        marks=("exchange", "symbol"),
        ignored=("class",),
        instrument=("symbol",),
        single=("exchange", "class"),
    ),
    SourceProfile(
        name="lobster",
        about="LOBSTER, `..._orderbook_N.csv` with its `..._message_N.csv`: the top level",
        kind="quotes",
        columns={
            "ts": "time",
            "bid": "bid",
            "ask": "ask",
            "bid_size": "bid_size",
            "ask_size": "ask_size",
        },
        time_unit="s",
        date_in_name=True,
        clock="new-york",
        price_scale=1e-4,
        undefined_price=999_999.0,  # an empty level is 9999999999
        calendar="us-equities",
    ),
    SourceProfile(
        name="histdata_ticks",
        about="HistData ASCII ticks: `YYYYMMDD HHMMSSmmm,bid,ask,0`, no header",
        kind="quotes",
        columns={"ts": "stamp", "bid": "bid", "ask": "ask"},
        names=("stamp", "bid", "ask", "volume"),
        ignored=("volume",),
        first_cell=r"\d{8} \d{9}",
        file_name="DAT_ASCII_",
        time_format="%Y%m%d %H%M%S%f",
        clock="utc-5",
        calendar="fx",
    ),
)
"""In the order of the table in ``docs/data.md``."""
