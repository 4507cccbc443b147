"""Which profile a table fits: decided with a reason, or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlwb.core.errors import DataSchemaError, SourceUndecidableError
from mlwb.data._clocks import CLOCKS, has_zone
from mlwb.data._profiles import PROFILES, SourceProfile, named_profile
from mlwb.data._tables import Table, column_of
from mlwb.data._yaml_profile import read_profile

__all__ = ["Fit", "fit_profile", "symbol_of"]


@dataclass(frozen=True)
class Fit:
    """A table with named columns and the profile that reads it.

    Parameters
    ----------
    profile : SourceProfile
    frame : DataFrame
        Source columns under the names the profile uses.
    decisions : tuple of str
        What was decided and why.
    """

    profile: SourceProfile
    frame: pd.DataFrame
    decisions: tuple[str, ...]


def symbol_of(file_name: str) -> str:
    """The symbol a file's name begins with.

    Examples
    --------
    >>> symbol_of("BTCUSDT-PERP_1m_20250504.csv.gz"), symbol_of("BTCUSDT-1m-2025-01.zip")
    ('BTCUSDT-PERP', 'BTCUSDT')
    """
    return re.split(r"_|\.|-\d+(?:s|m|h|d|w|mo)(?=[-.]|$)", file_name)[0]


def fit_profile(table: Table, *, file: str, profile: str, symbol: str) -> Fit:
    """Name a table's columns by a profile, given or found.

    Parameters
    ----------
    table : Table
    file : str
        What messages call the file.
    profile : str
        ``auto``, a profile's name, or the path of a YAML profile.
    symbol : str
        Minded where a profile is for some symbols only.

    Returns
    -------
    Fit

    Raises
    ------
    SourceUndecidableError
        ``auto`` finds no profile, more than one, or stamps without a zone.
    DataSchemaError
        The columns do not fit the profile that was named.
    ParamsError
        The YAML profile is wrong.
    """
    if profile != "auto":
        chosen = _load(profile)
        return Fit(chosen, _named_columns(table, chosen, file), (f"profile {chosen.name}: given",))
    chosen, why = _sniff(table, file=file, symbol=symbol)
    frame = _named_columns(table, chosen, file)
    return Fit(chosen, frame, (why, _clock_decision(frame, chosen, file)))


def _load(profile: str) -> SourceProfile:
    if profile.endswith((".yml", ".yaml")):
        return read_profile(Path(profile))
    return named_profile(profile)


def _named_columns(table: Table, profile: SourceProfile, file: str) -> pd.DataFrame:
    frame = table.frame
    if not table.has_header:
        width = len(frame.columns)
        names = (*profile.names, *(f"extra_{i}" for i in range(len(profile.names), width)))
        if not profile.names or width < len(profile.names):
            raise DataSchemaError(
                f"{file} does not fit the profile {profile.name}",
                expected=f"{len(profile.names)} columns" if profile.names else "a header",
                got=f"{width} columns without a header",
            )
        return frame.set_axis(list(names[:width]), axis=1)
    missing = sorted(profile.required - set(frame.columns))
    if missing:
        raise DataSchemaError(
            f"{file} does not fit the profile {profile.name}",
            expected=f"a column {', '.join(missing)}",
            got=", ".join(map(str, frame.columns))[:200],
        )
    return frame


def _sniff(table: Table, *, file: str, symbol: str) -> tuple[SourceProfile, str]:
    if table.has_header:
        fitting, seen = _by_header(table), f"header {','.join(table.frame.columns)}"
    else:
        fitting, seen = _by_shape(table), _shape(table)
    for_symbol = [item for item in fitting if item.symbols and symbol.startswith(item.symbols)]
    chosen = for_symbol or [item for item in fitting if not item.symbols]
    if len(chosen) == 1:
        also = f" and the symbol {symbol}" if for_symbol else ""
        return chosen[0], f"profile {chosen[0].name}: the only one that fits {seen[:120]}{also}"
    raise SourceUndecidableError(
        f"{file}: {'more than one' if chosen else 'no'} source profile fits",
        expected=f"one of {', '.join(item.name for item in chosen) or ', '.join(PROFILES)}",
        got=seen[:200],
        todo="name it with profile=, or describe the columns in a YAML profile",
    )


def _by_header(table: Table) -> list[SourceProfile]:
    columns = set(table.frame.columns)
    tabular = [item for item in PROFILES.values() if not item.is_json]
    return [item for item in tabular if item.required <= columns <= item.known]


def _shape(table: Table) -> str:
    first = ", ".join(str(cell) for cell in table.frame.iloc[0].tolist()[:7])
    return f"{len(table.frame.columns)} {table.kind} columns without a header, first row {first}"


def _by_shape(table: Table) -> list[SourceProfile]:
    width, stamp = len(table.frame.columns), table.frame.iloc[0, 0]
    if table.kind == "json":
        is_api = width in {6, 12} and _is_between(stamp, 1e11, 1e14)
        return [PROFILES["binance_api"]] if is_api else []
    if width == 12 and _is_between(stamp, 1e11, 1e17):
        return [PROFILES["binance_kline"]]
    if width == 7 and _is_between(stamp, 1e8, 1e11):
        return [PROFILES["kraken"]]
    if width == 6 and table.delimiter == ";" and re.fullmatch(r"\d{8} \d{6}", str(stamp)):
        return [PROFILES["histdata"]]
    return []


def _is_between(stamp: object, low: float, high: float) -> bool:
    try:
        return low <= float(str(stamp)) < high
    except ValueError:
        return False


def _clock_decision(frame: pd.DataFrame, profile: SourceProfile, file: str) -> str:
    stamps = column_of(frame, profile.sources("ts"))
    if pd.api.types.is_numeric_dtype(stamps.dtype):
        return f"clock utc: numbers since 1970, unit by {profile.time_unit}"
    if isinstance(stamps.dtype, pd.DatetimeTZDtype) or has_zone(str(stamps.iloc[0])):
        return "clock utc: every stamp says its zone"
    if profile.clock != "utc":
        return f"clock {profile.clock}: what this vendor stamps with, {CLOCKS[profile.clock]}"
    raise SourceUndecidableError(
        f"{file}: the stamps do not say their zone",
        expected=f"a clock, one of {', '.join(CLOCKS)}",
        got=repr(str(stamps.iloc[0])[:40]),
        todo=f"if it is UTC name profile={profile.name}, else set clock in a YAML profile",
    )
