"""A market as a canonical file that reads back as the same market."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd

from mlwb.core.errors import ParamsError
from mlwb.core.fsops import write_atomic
from mlwb.data._market import VALUE_FIELDS, Market
from mlwb.data._session import session_values

__all__ = ["write_market"]

_KINDS = (".parquet", ".csv", ".csv.gz")
_ALWAYS = ("open", "high", "low", "close")


def write_market(market: Market, path: Path, *, as_read: bool = False) -> tuple[Path, ...]:
    """Write the bars as a canonical parquet or csv file, in one step.

    Columns that the source does not have are left out. Where bars are not expected around the
    clock, a YAML profile beside the file says so, and is to be named when the file is read.

    Parameters
    ----------
    market : Market
    path : Path
        ``.parquet``, ``.csv`` or ``.csv.gz``; replaced when it is there.
    as_read : bool, default=False
        The rows as the source had them, repeats and faults included, in place of one clean bar a
        minute.

    Returns
    -------
    tuple of Path
        What was written: the file, and its profile where one is needed.

    Raises
    ------
    ParamsError
        The name's ending is none of these.
    """
    if not path.name.endswith(_KINDS):
        raise ParamsError("no kind of file", expected=", ".join(_KINDS), got=path.name)
    write_atomic(path, _encoded(_rows(market, as_read=as_read), path.name))
    profile = _profile(market, path)
    return (path,) if profile is None else (path, profile)


def _rows(market: Market, *, as_read: bool) -> pd.DataFrame:
    if as_read:
        stamps = pd.DatetimeIndex(market.raw.ts_ns.astype("datetime64[ns]"), tz="UTC")
        rows = pd.DataFrame(market.raw.cells, columns=list(VALUE_FIELDS))
        rows.insert(0, "ts", stamps)
    else:
        rows = market.frame[["ts", *VALUE_FIELDS]]
    is_there = [
        name
        for name in VALUE_FIELDS
        if name in _ALWAYS or bool(np.isfinite(rows[name].to_numpy()).any())
    ]
    return rows[["ts", *is_there]]


def _encoded(rows: pd.DataFrame, name: str) -> bytes:
    if name.endswith(".parquet"):
        sink = io.BytesIO()
        rows.to_parquet(sink, index=False, compression="zstd")
        return sink.getvalue()
    as_text = rows.assign(ts=rows["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    text = as_text.to_csv(index=False).encode()
    return gzip.compress(text, 6, mtime=0) if name.endswith(".gz") else text


def _profile(market: Market, path: Path) -> Path | None:
    calendar = market.source.calendar
    beside = path.with_name(f"{path.name.split('.')[0]}.profile.yml")
    if calendar == "24/7":
        return None
    text = (
        f"about: {market.symbol} as imported from {market.source.profile}\n"
        f"extends: mlwb\ncalendar: {calendar}\nvolume_unit: {market.source.volume_unit!r}\n"
    )
    if market.source.session is not None and calendar == "session":
        text += f"session: {json.dumps(session_values(market.source.session))}\n"
    write_atomic(beside, text.encode())
    return beside
