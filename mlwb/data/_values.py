"""From a table with named columns to the value columns of a market."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import DataSchemaError, SourceUndecidableError
from mlwb.data._market import VALUE_FIELDS
from mlwb.data._profile import SIDE_FIELDS, SourceProfile
from mlwb.data._tables import column_of, numbers_of

__all__ = ["values_of"]

_PRICES = ("open", "high", "low", "close")
_IS_PRICE = frozenset((*_PRICES, "bid", "ask", "price", *SIDE_FIELDS))
_NOT_VALUES = frozenset(("ts", "received", "side"))
_SIDES = {"b": "bid", "bid": "bid", "buy": "bid", "a": "ask", "ask": "ask", "sell": "ask"}


def values_of(frame: pd.DataFrame, profile: SourceProfile, *, file: str) -> Float2D:
    """The value columns of a table, two-sided bars averaged, quotes derived.

    Parameters
    ----------
    frame : DataFrame
        Source columns under the names the profile uses.
    profile : SourceProfile
    file : str
        What messages call the file.

    Returns
    -------
    ndarray of shape (n_rows, 9), float64
        :data:`VALUE_FIELDS`; NaN where the source has nothing. A source of quotes alone has
        their mid as ``close``.

    Raises
    ------
    DataSchemaError
        A cell holds text, or a side that is none.
    SourceUndecidableError
        Spreads in points whose price nobody said.
    """
    found = _numbers(frame, profile, file)
    if "spread_points" in found:
        found["bid"] = found["close"]
        found["ask"] = found["close"] + found["spread_points"] * _point(profile, file)
    if "bid_close" in found:
        found.update(_both_sides(found))
    if "price" in found:
        found.update(_carried(_sides(frame[profile.columns["side"]], file), found))
    if "close" not in found:
        found["close"] = (found["bid"] + found["ask"]) / 2.0
    absent = np.full(len(frame), np.nan)
    values = np.column_stack([found.get(name, absent) for name in VALUE_FIELDS])
    return _without_unrecorded_sizes(values)


def _numbers(frame: pd.DataFrame, profile: SourceProfile, file: str) -> dict[str, Float1D]:
    found = {}
    for name in profile.columns:
        sources = profile.sources(name)
        if name in _NOT_VALUES or not set(sources) <= set(frame.columns):
            continue
        cells = column_of(frame, sources)
        column = numbers_of(cells, file=file, column=sources[0])
        found[name] = _priced(column, cells, profile) if name in _IS_PRICE else column
    return found


def _priced(column: Float1D, cells: pd.Series, profile: SourceProfile) -> Float1D:
    scale = profile.price_scale
    if pd.api.types.is_integer_dtype(cells.dtype) and not np.isnan(profile.integer_price_scale):
        scale = profile.integer_price_scale
    prices = _scaled(column, scale)
    if np.isnan(profile.undefined_price):
        return prices
    return np.where(np.abs(prices) >= profile.undefined_price, np.nan, prices)


def _scaled(column: Float1D, scale: float) -> Float1D:
    """``column * scale``; by a division where that rounds once (``x / 100``, not ``x * 0.01``)."""
    inverse = round(1.0 / scale)
    if scale < 1.0 and np.isclose(inverse * scale, 1.0, rtol=1e-12, atol=0.0):
        return column / inverse
    return column if scale == 1.0 else column * scale


def _both_sides(found: dict[str, Float1D]) -> dict[str, Float1D]:
    means = {name: (found[f"bid_{name}"] + found[f"ask_{name}"]) / 2.0 for name in _PRICES}
    return {**means, "bid": found["bid_close"], "ask": found["ask_close"]}


def _sides(cells: pd.Series, file: str) -> pd.Series:
    sides = cells.astype("str").str.lower().map(_SIDES)
    wrong = sides.isna().to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataSchemaError(
            f"{file}, data row {row + 1}: no side of a book",
            expected="a (ask) or b (bid)",
            got=repr(str(cells.iloc[row])[:40]),
        )
    return sides


def _carried(sides: pd.Series, found: dict[str, Float1D]) -> dict[str, Float1D]:
    """Both sides at every row: the one that was not updated stands as it stood."""
    carried: dict[str, Float1D] = {}
    for side in ("bid", "ask"):
        is_side = (sides == side).to_numpy()
        for name, field in ((side, "price"), (f"{side}_size", "size")):
            if field in found:
                known = pd.Series(found[field]).where(is_side).ffill()
                carried[name] = np.asarray(known, dtype=np.float64)
    return carried


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
