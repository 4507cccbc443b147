"""Read market files into a market."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlwb.core.errors import DataNotFoundError, SourceUndecidableError
from mlwb.data._assemble import assemble
from mlwb.data._clocks import to_utc_ns
from mlwb.data._files import SourceBytes, open_source
from mlwb.data._instrument import rows_of_instrument, symbol_of
from mlwb.data._lobster import book_of, messages_of, timed_book
from mlwb.data._market import InputFile, Market, RawBars, SourceInfo
from mlwb.data._minutes import join_minutes, minutes_of_quotes
from mlwb.data._pair import other_side, pair_rows, side_of
from mlwb.data._profile import SourceProfile
from mlwb.data._simulate import simulate_market
from mlwb.data._sniff import fit_profile
from mlwb.data._tables import Table, column_of, read_table
from mlwb.data._values import values_of

__all__ = ["load_market", "read_market"]

_METALS = ("XAU", "XAG", "XPT", "XPD")
_GLOBEX = 1
"""Databento's publisher of CME Globex."""


@dataclass(frozen=True)
class _Part:
    """One file, read."""

    files: tuple[InputFile, ...]
    profile: SourceProfile
    decisions: tuple[str, ...]
    raw: RawBars
    symbol: str
    calendar: str


def load_market(
    source: str | Sequence[str],
    *,
    profile: str = "auto",
    symbol: str = "",
    days: int = 90,
    seed: int = 7,
) -> Market:
    """The market a parameter file names.

    Parameters
    ----------
    source : str or sequence of str
        ``"synthetic"``, or what :func:`read_market` takes.
    profile, symbol : str
        See :func:`read_market`.
    days, seed : int
        Of the synthetic market.

    Returns
    -------
    Market

    Raises
    ------
    DataError
        See :func:`read_market`.
    ParamsError
        ``days`` is out of range.

    Examples
    --------
    >>> load_market("synthetic", days=2).source.origin
    'simulated'
    """
    names = (source,) if isinstance(source, str) else tuple(source)
    if names == ("synthetic",):
        return simulate_market(days=days, seed=seed, symbol=symbol or "SYNTH")
    return read_market([Path(name) for name in names], profile=profile, symbol=symbol)


def read_market(paths: Sequence[Path], *, profile: str = "auto", symbol: str = "") -> Market:
    """Read the files of one symbol.

    Parameters
    ----------
    paths : sequence of Path
        One file, several of one kind (months of an archive; rows in the order given), or bid
        and ask files of a pair. A lone ``..._bid_...`` finds its ``..._ask_...`` beside it, a
        LOBSTER book its messages.
    profile : str, default="auto"
        A profile's name, a YAML profile's path, or ``auto`` to find out.
    symbol : str, default=""
        Picks one of several instruments in a file. Empty takes the only one, or the name of
        the first file.

    Returns
    -------
    Market

    Raises
    ------
    DataNotFoundError
        A file is missing, empty, or holds no row.
    DataSchemaError
        Columns, cells or rows do not fit.
    SourceUndecidableError
        Format, unit, clock, side or instrument cannot be told.
    ParamsError
        A YAML profile is wrong.
    """
    if not paths:
        raise DataNotFoundError("no file was named", expected="one file, or a bid/ask pair")
    paths = tuple(dict.fromkeys(book_of(path) for path in paths))
    part = _read_part(paths[0], profile=profile, symbol=symbol)
    if part.profile.pair:
        raw, parts = _read_pair(part, paths, profile=profile, symbol=symbol)
    else:
        others = [_read_part(path, profile=profile, symbol=symbol) for path in paths[1:]]
        parts = [part, *others]
        _check_same_profile(parts)
        raw = _stacked(parts)
    return assemble(raw, symbol=part.symbol, source=_source(parts))


def _source(parts: list[_Part]) -> SourceInfo:
    profile = parts[0].profile
    return SourceInfo(
        profile=profile.name,
        inputs=tuple(file for part in parts for file in part.files),
        decisions=tuple(dict.fromkeys(line for part in parts for line in part.decisions)),
        clock=profile.clock,
        calendar=parts[0].calendar,
        origin="live",
        volume_unit=profile.volume_unit,
        session=profile.session,
    )


def _read_part(path: Path, *, profile: str, symbol: str) -> _Part:
    opened, table, beside = _opened(path)
    named = symbol or symbol_of(Path(opened.member).name if _is_date(path) else path.name)
    fit = fit_profile(table, file=opened.name, profile=profile, symbol=named)
    chosen = fit.profile
    frame, instrument = rows_of_instrument(fit.frame, chosen, wanted=symbol, file=opened.name)
    raw = _raw(frame, chosen, opened.name)
    if table.kind == "feed":
        raw = dataclasses.replace(raw, skew_ms=table.skew_ms)
    named = symbol or instrument or named
    calendar, why = _calendar(frame, chosen, named)
    role = (side_of(opened.uri) or "bars") if chosen.pair else chosen.kind
    files = (_input(role, opened, len(table.frame)), *beside)
    said = (*fit.decisions, *table.notes, *_row_decisions(instrument, chosen), *why)
    return _Part(files, chosen, said, raw, named, calendar)


def _opened(path: Path) -> tuple[SourceBytes, Table, tuple[InputFile, ...]]:
    """A file, its table, and the files it needs beside it."""
    opened = open_source(path)
    table = read_table(opened)
    messages = messages_of(path)
    if messages is None:
        return opened, table, ()
    found = open_source(messages)
    times = read_table(found)
    beside = (_input("messages", found, len(times.frame)),)
    return opened, timed_book(table, times, file=opened.name), beside


def _input(role: str, opened: SourceBytes, rows: int) -> InputFile:
    return InputFile(role, opened.uri, opened.sha256, rows, opened.published_sha256)


def _is_date(path: Path) -> bool:
    """Lean names its zips by the day alone and the file inside also by the symbol."""
    return path.name[:8].isdigit() and path.suffix == ".zip"


def _raw(frame: pd.DataFrame, profile: SourceProfile, file: str) -> RawBars:
    ts_ns = to_utc_ns(column_of(frame, profile.sources("ts")), profile, file=file)
    cells = values_of(frame, profile, file=file)
    if profile.kind == "bars":
        return RawBars(ts_ns=ts_ns, cells=cells)
    received_ns = None
    if "received" in profile.columns:
        received = column_of(frame, profile.sources("received"))
        received_ns = to_utc_ns(received, profile, file=file)
    if "side" in profile.columns:  # rows of one stamp are one update of both sides
        is_last = np.append(np.diff(ts_ns) != 0, True)
        ts_ns, cells = ts_ns[is_last], cells[is_last]
        received_ns = None if received_ns is None else received_ns[is_last]
    return minutes_of_quotes(ts_ns, cells, received_ns)


def _calendar(
    frame: pd.DataFrame, profile: SourceProfile, symbol: str
) -> tuple[str, tuple[str, ...]]:
    if profile.calendar == "session" and profile.session is not None:
        return "session", (f"calendar session: {profile.session.about}",)
    if profile.calendar == "fx" and symbol.upper().startswith(_METALS):
        return "metals", (f"calendar metals: {symbol} is a metal and has a daily break",)
    if profile.calendar == "trade-only" and "publisher_id" in frame.columns:
        if frame["publisher_id"].iloc[0] == _GLOBEX:
            return "globex", ("calendar globex: publisher 1 is CME Globex",)
        return "trade-only", ("calendar trade-only: set calendar or session where it closes",)
    return profile.calendar, ()


def _row_decisions(instrument: str, profile: SourceProfile) -> tuple[str, ...]:
    said = []
    if instrument:
        said.append(f"instrument {instrument}: what the rows say")
    if profile.kind == "quotes":
        said.append("minutes: opening, highest, lowest and closing mid, last quote of each minute")
    if profile.stamp == "close":
        said.append("stamp close: it names the end of its minute, which opens 60 s before")
    return tuple(said)


def _check_same_profile(parts: list[_Part]) -> None:
    other = next((part for part in parts if part.profile.name != parts[0].profile.name), None)
    if other is not None:
        raise SourceUndecidableError(
            "the files are of different kinds",
            expected=f"{parts[0].profile.name} as in {parts[0].files[0].uri}",
            got=f"{other.profile.name} in {other.files[0].uri}",
        )
    symbols = list(dict.fromkeys(part.symbol for part in parts))
    if len(symbols) > 1 and parts[0].profile.instrument:
        raise SourceUndecidableError(
            "the files hold different instruments", expected=symbols[0], got=", ".join(symbols[1:])
        )


def _stacked(parts: list[_Part]) -> RawBars:
    if len(parts) == 1:
        return parts[0].raw
    if parts[0].profile.kind == "quotes":
        return join_minutes([part.raw for part in parts])
    return RawBars(
        ts_ns=np.concatenate([part.raw.ts_ns for part in parts]),
        cells=np.concatenate([part.raw.cells for part in parts]),
    )


def _read_pair(
    first: _Part, paths: Sequence[Path], *, profile: str, symbol: str
) -> tuple[RawBars, list[_Part]]:
    parts = [first]
    if len(paths) == 1:
        beside = _sibling(paths[0])
        found = _read_part(beside, profile=profile, symbol=symbol)
        why = f"pair: {beside.name} found beside {paths[0].name}"
        parts.append(dataclasses.replace(found, decisions=(*found.decisions, why)))
    parts += [_read_part(path, profile=profile, symbol=symbol) for path in paths[1:]]
    _check_same_profile(parts)
    bids, asks = ([part for part in parts if part.files[0].role == side] for side in ("bid", "ask"))
    if len(bids) + len(asks) != len(parts) or not bids or not asks:
        raise SourceUndecidableError(
            "the sides of a bid/ask pair cannot be told",
            expected="_bid_ in one file's name and _ask_ in the other's",
            got=", ".join(part.files[0].uri for part in parts),
        )
    return pair_rows(_stacked(bids), _stacked(asks)), [*bids, *asks]


def _sibling(path: Path) -> Path:
    beside = path.with_name(other_side(path.name) or path.name)
    if beside != path and beside.is_file():
        return beside
    wanted = beside.name if beside != path else "_bid_ and _ask_ in the names of two files"
    raise SourceUndecidableError(
        f"{path} is one side of a bid/ask pair", expected=wanted, todo="name both files"
    )
