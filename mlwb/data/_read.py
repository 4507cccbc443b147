"""Read market files into a market."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import DataNotFoundError, SourceUndecidableError
from mlwb.data._assemble import assemble
from mlwb.data._clocks import to_utc_ns
from mlwb.data._files import open_source
from mlwb.data._market import VALUE_FIELDS, InputFile, Market, RawBars, SourceInfo
from mlwb.data._pair import other_side, pair_rows, side_of
from mlwb.data._profiles import SIDE_FIELDS, SourceProfile
from mlwb.data._simulate import simulate_market
from mlwb.data._sniff import fit_profile, symbol_of
from mlwb.data._tables import column_of, numbers_of, read_table

__all__ = ["load_market", "read_market"]

_METALS = ("XAU", "XAG", "XPT", "XPD")
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class _Part:
    """One file, read."""

    file: InputFile
    profile: SourceProfile
    decisions: tuple[str, ...]
    raw: RawBars


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
        and ask files of a pair. A lone ``..._bid_...`` finds its ``..._ask_...`` beside it.
    profile : str, default="auto"
        A profile's name, a YAML profile's path, or ``auto`` to find out.
    symbol : str, default=""
        Empty takes it from the first file's name.

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
        Format, unit, clock or side cannot be told.
    ParamsError
        A YAML profile is wrong.
    """
    if not paths:
        raise DataNotFoundError("no file was named", expected="one file, or a bid/ask pair")
    symbol = symbol or symbol_of(paths[0].name)
    part = _read_part(paths[0], profile=profile, symbol=symbol)
    if part.profile.pair:
        raw, parts = _read_pair(part, paths, profile=profile, symbol=symbol)
    else:
        others = [_read_part(path, profile=profile, symbol=symbol) for path in paths[1:]]
        parts = [part, *others]
        _check_same_profile(parts)
        raw = _stacked(parts)
    return assemble(raw, symbol=symbol, source=_source(parts, symbol))


def _source(parts: list[_Part], symbol: str) -> SourceInfo:
    profile = parts[0].profile
    decisions = list(dict.fromkeys(line for part in parts for line in part.decisions))
    calendar = profile.calendar
    if calendar == "fx" and symbol.upper().startswith(_METALS):
        calendar = "metals"
        decisions.append(f"calendar metals: {symbol} is a metal and has a daily break")
    return SourceInfo(
        profile=profile.name,
        inputs=tuple(part.file for part in parts),
        decisions=tuple(decisions),
        clock=profile.clock,
        calendar=calendar,
        origin="live",
        volume_unit=profile.volume_unit,
    )


def _read_part(path: Path, *, profile: str, symbol: str) -> _Part:
    opened = open_source(path)
    table = read_table(opened)
    fit = fit_profile(table, file=opened.name, profile=profile, symbol=symbol)
    chosen = fit.profile
    stamps = column_of(fit.frame, chosen.sources("ts"))
    raw = RawBars(
        ts_ns=to_utc_ns(stamps, chosen, file=opened.name),
        cells=_values(fit.frame, chosen, opened.name),
    )
    role = (side_of(opened.uri) or "bars") if chosen.pair else "bars"
    file = InputFile(role, opened.uri, opened.sha256, len(raw.ts_ns), opened.published_sha256)
    return _Part(file, chosen, fit.decisions, raw)


def _values(frame: pd.DataFrame, profile: SourceProfile, file: str) -> Float2D:
    """The value columns of a table, two-sided bars averaged, quotes derived."""
    found: dict[str, Float1D] = {}
    for name in profile.columns:
        sources = profile.sources(name)
        if name == "ts" or not set(sources) <= set(frame.columns):
            continue
        column = numbers_of(column_of(frame, sources), file=file, column=sources[0])
        is_price = name in {*_PRICES, "bid", "ask", *SIDE_FIELDS}
        found[name] = column * profile.price_scale if is_price else column
    if "spread_points" in found:
        found["bid"] = found["close"]
        found["ask"] = found["close"] + found["spread_points"] * _point(profile, file)
    if "bid_close" in found:
        found.update(_both_sides(found))
    absent = np.full(len(frame), np.nan)
    values = np.column_stack([found.get(name, absent) for name in VALUE_FIELDS])
    return _without_unrecorded_sizes(values)


def _both_sides(found: dict[str, Float1D]) -> dict[str, Float1D]:
    means = {name: (found[f"bid_{name}"] + found[f"ask_{name}"]) / 2.0 for name in _PRICES}
    return {**means, "bid": found["bid_close"], "ask": found["ask_close"]}


def _without_unrecorded_sizes(values: Float2D) -> Float2D:
    """Sizes that are 0 in every row were not recorded."""
    for name in ("bid_size", "ask_size"):
        column = VALUE_FIELDS.index(name)
        if np.all(values[:, column] == 0):
            values[:, column] = np.nan
    return values


def _point(profile: SourceProfile, file: str) -> float:
    if np.isnan(profile.point):
        raise SourceUndecidableError(
            f"{file}: the price of one spread point is not in the file",
            expected="point, for example 0.01 for XAUUSD or 0.00001 for EURUSD",
            todo=f"set it in a YAML profile that extends {profile.name}",
        )
    return profile.point


def _check_same_profile(parts: list[_Part]) -> None:
    other = next((part for part in parts if part.profile.name != parts[0].profile.name), None)
    if other is not None:
        raise SourceUndecidableError(
            "the files are of different kinds",
            expected=f"{parts[0].profile.name} as in {parts[0].file.uri}",
            got=f"{other.profile.name} in {other.file.uri}",
        )


def _stacked(parts: list[_Part]) -> RawBars:
    if len(parts) == 1:
        return parts[0].raw
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
    bids, asks = ([part for part in parts if part.file.role == side] for side in ("bid", "ask"))
    if len(bids) + len(asks) != len(parts) or not bids or not asks:
        raise SourceUndecidableError(
            "the sides of a bid/ask pair cannot be told",
            expected="_bid_ in one file's name and _ask_ in the other's",
            got=", ".join(part.file.uri for part in parts),
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
