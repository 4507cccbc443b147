"""From the stamps a source has to bar opens in UTC nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.errors import DataSchemaError, SourceUndecidableError
from mlwb.data._profile import SourceProfile

__all__ = ["CLOCKS", "has_zone", "to_utc_ns"]

CLOCKS: Mapping[str, str] = MappingProxyType(
    {
        "utc": "UTC",
        "utc-5": "five hours behind UTC all year (HistData, FXCM)",
        "new-york": "New York with its summer time",
        "new-york-close": "New York plus seven hours, so that a trading day ends at midnight "
        "(UTC+2 in winter, UTC+3 in summer; most MetaTrader servers)",
    }
)
"""Names a profile's ``clock`` may have."""

_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# Each unit covers 1973 to 5138; below is neither time nor a unit anybody stamps bars with.
_MAGNITUDES = ((10**17, "ns"), (10**14, "us"), (10**11, "ms"), (10**8, "s"))
_YEARS = (1990, 2100)
_DATE = re.compile(r"(?<!\d)(\d{4})-?(\d\d)-?(\d\d)(?!\d)")


def has_zone(text: str) -> bool:
    """Whether a text stamp says its offset from UTC.

    Examples
    --------
    >>> has_zone("2025-05-04T15:34:00Z"), has_zone("2026-03-24 17:00:00")
    (True, False)
    """
    tail = text.strip()[10:]
    return text.strip().endswith(("Z", "z")) or "+" in tail or "-" in tail


def to_utc_ns(stamps: pd.Series, profile: SourceProfile, *, file: str) -> Int1D:
    """Bar opens of a source's time column.

    Parameters
    ----------
    stamps : Series
        Text, integers, floats or datetimes, as read.
    profile : SourceProfile
        Says unit, format, clock and which end of the bar is stamped.
    file : str
        What messages call the file; its name holds the date where the profile says so.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Nanoseconds since 1970 UTC of the bar's open.

    Raises
    ------
    DataSchemaError
        A cell is no time; the message names its row.
    SourceUndecidableError
        The size of a number fits no unit, or the file's name holds no date.
    """
    dtype = stamps.dtype
    if pd.api.types.is_bool_dtype(dtype):
        raise DataSchemaError(f"{file}: the time column holds true and false")
    if profile.date_in_name:
        utc_ns = _from_midnight(stamps, profile, file)
    elif pd.api.types.is_numeric_dtype(dtype) and not profile.time_format:
        utc_ns = _from_numbers(stamps, profile, file)
    else:
        utc_ns = _from_times(stamps, profile, file)
    shift_ns = INTERVAL_S * 10**9 if profile.stamp == "close" else 0
    return utc_ns - shift_ns


def _from_times(stamps: pd.Series, profile: SourceProfile, file: str) -> Int1D:
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        found = stamps
    elif pd.api.types.is_datetime64_dtype(stamps.dtype):
        found = _on_clock(stamps, profile.clock)
    else:
        found = _from_text(stamps.astype("str"), profile, file)
    _refuse_missing(found, stamps, file)
    years = found.dt.year.to_numpy()
    _refuse_years((years < _YEARS[0]) | (years > _YEARS[1]), stamps, file)
    return _as_ns(found)


def _as_ns(found: pd.Series) -> Int1D:
    plain = found.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray(plain.to_numpy(dtype="datetime64[ns]").astype(np.int64))


def _from_numbers(stamps: pd.Series, profile: SourceProfile, file: str) -> Int1D:
    values = stamps.to_numpy()
    is_whole = np.issubdtype(values.dtype, np.integer)
    if not is_whole:
        _refuse_missing(stamps.where(np.isfinite(values)), stamps, file)
    if profile.time_unit == "magnitude":
        factors = _factors(values, stamps, file)
    else:
        factors = np.full(len(values), _UNIT_NS[profile.time_unit], dtype=np.int64)
    approximate = values.astype(np.float64) * factors
    low, high = (np.datetime64(f"{year}-01-01", "ns").astype(np.int64) for year in _YEARS)
    _refuse_years((approximate < low) | (approximate > high), stamps, file)
    utc_ns = values.astype(np.int64) * factors if is_whole else np.rint(approximate).astype("i8")
    if profile.clock == "utc":
        return np.asarray(utc_ns)
    return _as_ns(_on_clock(pd.Series(utc_ns.astype("datetime64[ns]")), profile.clock))


def _from_midnight(stamps: pd.Series, profile: SourceProfile, file: str) -> Int1D:
    """Stamps that count from midnight of the date in the file's name."""
    numbers = pd.to_numeric(stamps, errors="coerce")
    since = numbers.to_numpy(dtype=np.float64, na_value=np.nan) * _UNIT_NS[profile.time_unit]
    in_day = (since >= 0) & (since < 86_400e9)
    _refuse_missing(stamps.where(in_day), stamps, file)
    midnight = np.datetime64(_date_of(file), "ns")
    naive = midnight + np.rint(since).astype(np.int64).astype("timedelta64[ns]")
    return _as_ns(_on_clock(pd.Series(naive), profile.clock))


def _date_of(file: str) -> date:
    found = _DATE.search(Path(file).name)
    try:
        if found is not None:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass
    raise SourceUndecidableError(
        f"{file}: the stamps count from midnight of a day that is not named",
        expected="a file name with its date, such as 20140501_quote.zip",
    )


def _factors(values: np.ndarray, stamps: pd.Series, file: str) -> Int1D:
    factors = np.zeros(len(values), dtype=np.int64)
    for limit, unit in reversed(_MAGNITUDES):
        factors[values >= limit] = _UNIT_NS[unit]
    if np.any(factors == 0):
        row = int(np.argmin(factors != 0))
        raise SourceUndecidableError(
            f"{file}, data row {row + 1}: the size of a stamp fits no unit",
            expected="seconds, ms, us or ns since 1970",
            got=repr(stamps.iloc[row].item()),
            todo="set time_unit in a YAML profile",
        )
    return factors


def _from_text(stamps: pd.Series, profile: SourceProfile, file: str) -> pd.Series:
    form = profile.time_format or "ISO8601"
    found = pd.to_datetime(stamps, format=form, utc=True, errors="coerce")
    if not profile.time_format and found.isna().any():
        numbers = pd.to_numeric(stamps, errors="coerce")
        if numbers.notna().mean() > 0.5:  # numbers with some text between: name the text
            _refuse_missing(numbers, stamps, file)
        _refuse_missing(found, stamps, file)
    zoned = not profile.time_format and _all_have_zone(stamps, file)
    if zoned or profile.clock == "utc":
        return found
    return _on_clock(found.dt.tz_localize(None), profile.clock)


def _all_have_zone(stamps: pd.Series, file: str) -> bool:
    lengths = stamps.str.len().to_numpy()
    if (lengths == lengths[0]).all():
        return has_zone(str(stamps.iloc[0]))
    zoned = np.array([has_zone(str(stamp)) for stamp in stamps])
    if (zoned != zoned[0]).any():
        row = int(np.argmax(zoned != zoned[0]))
        raise DataSchemaError(
            f"{file}, data row {row + 1}: some stamps say their zone and others do not",
            got=repr(str(stamps.iloc[row])[:40]),
        )
    return bool(zoned[0])


def _on_clock(naive: pd.Series, clock: str) -> pd.Series:
    """Put a zone on stamps without one.

    Of the hour that autumn repeats the first reading is taken: FX and metals are closed then,
    and a market that is open shows the repeated minutes in its report.
    """
    hours = {"utc": 0, "utc-5": 5, "new-york": 0, "new-york-close": -7}[clock]
    local = pd.DatetimeIndex(naive.to_numpy() + np.timedelta64(hours, "h"))
    if not clock.startswith("new-york"):
        return pd.Series(local.tz_localize("UTC"))
    is_summer = np.ones(len(local), dtype=bool)
    zone = "America/New_York"
    return pd.Series(local.tz_localize(zone, ambiguous=is_summer, nonexistent="shift_forward"))


def _refuse_missing(found: pd.Series, stamps: pd.Series, file: str) -> None:
    missing = found.isna().to_numpy()
    if not missing.any():
        return
    row = int(np.argmax(missing))
    raise DataSchemaError(
        f"{file}, data row {row + 1}: not a time",
        expected="a stamp in every row",
        got=repr(str(stamps.iloc[row])[:40]),
    )


def _refuse_years(outside: Bool1D, stamps: pd.Series, file: str) -> None:
    if not outside.any():
        return
    row = int(np.argmax(outside))
    raise DataSchemaError(
        f"{file}, data row {row + 1}: not a time of this age",
        expected=f"a year from {_YEARS[0]} to {_YEARS[1]}",
        got=repr(str(stamps.iloc[row])[:40]),
        todo="set time_unit or time_format in a YAML profile",
    )
