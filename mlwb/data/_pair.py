"""Bid and ask in two files: which is which, and rows put together."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from mlwb.core.errors import DataSchemaError
from mlwb.data._market import VALUE_FIELDS, RawBars

__all__ = ["other_side", "pair_rows", "side_of"]

_SIDE = re.compile(r"(?:^|(?<=[_\-.]))(bid|ask)(?=$|[_\-.])", re.IGNORECASE)
_OTHER = {"bid": "ask", "ask": "bid", "BID": "ASK", "ASK": "BID", "Bid": "Ask", "Ask": "Bid"}


def side_of(file_name: str) -> str:
    """``bid`` or ``ask`` when a file's name says so, else empty.

    Examples
    --------
    >>> side_of("GBPUSD_fxcm_m1_bid_201202.csv.gz"), side_of("ETHUSDT_1m.csv")
    ('bid', '')
    """
    found = _SIDE.search(file_name)
    return found.group(1).lower() if found else ""


def other_side(file_name: str) -> str:
    """The name the other file of a pair has; empty when the name says no side.

    Examples
    --------
    >>> other_side("GBPUSD_fxcm_m1_bid_201202.csv.gz")
    'GBPUSD_fxcm_m1_ask_201202.csv.gz'
    """
    found = _SIDE.search(file_name)
    if found is None or found.group(1) not in _OTHER:
        return ""
    return file_name[: found.start()] + _OTHER[found.group(1)] + file_name[found.end() :]


def pair_rows(bids: RawBars, asks: RawBars) -> RawBars:
    """Rows of both sides matched by minute and by occurrence, in the order of the bids.

    Parameters
    ----------
    bids, asks : RawBars
        One side each, its prices in ``open .. close``.

    Returns
    -------
    RawBars
        ``open .. close`` the mean of both sides, ``bid`` and ``ask`` their closes.

    Raises
    ------
    DataSchemaError
        The sides share no minute.
    """
    if np.array_equal(bids.ts_ns, asks.ts_ns):
        bid_rows = ask_rows = np.arange(len(bids.ts_ns))
    else:
        both = _numbered(bids).merge(_numbered(asks), on=["ts", "nth"], suffixes=("_bid", "_ask"))
        bid_rows, ask_rows = both["row_bid"].to_numpy(), both["row_ask"].to_numpy()
    if not len(bid_rows):
        raise DataSchemaError("the bid and the ask file share no minute")
    left, right = bids.cells[bid_rows], asks.cells[ask_rows]
    values = np.full((len(bid_rows), len(VALUE_FIELDS)), np.nan)
    values[:, :4] = (left[:, :4] + right[:, :4]) / 2.0
    close = VALUE_FIELDS.index("close")
    values[:, VALUE_FIELDS.index("bid")] = left[:, close]
    values[:, VALUE_FIELDS.index("ask")] = right[:, close]
    n_unpaired = len(bids.ts_ns) + len(asks.ts_ns) - 2 * len(bid_rows)
    return RawBars(ts_ns=bids.ts_ns[bid_rows], cells=values, n_unpaired=n_unpaired)


def _numbered(side: RawBars) -> pd.DataFrame:
    table = pd.DataFrame({"ts": side.ts_ns, "row": np.arange(len(side.ts_ns))})
    table["nth"] = table.groupby("ts").cumcount()
    return table
