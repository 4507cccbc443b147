"""Which profile a table fits: decided with a reason, or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlwb.core.errors import DataSchemaError, SourceUndecidableError
from mlwb.data._clocks import CLOCKS, has_zone
from mlwb.data._contracts import counts_contracts
from mlwb.data._profile import SourceProfile
from mlwb.data._profiles import PROFILES, named_profile
from mlwb.data._tables import Table, column_of
from mlwb.data._yaml_profile import read_profile

__all__ = ["Fit", "fit_profile"]

_JSON_WIDTH = 12
"""An API answers with all twelve fields; stores keep the first six."""
_KLINES = ("binance_kline", "binance_kline_cm")


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
        ``auto`` finds no profile, more than one, or stamps without a zone; the vendor's files
        have more than one clock.
    DataSchemaError
        The columns do not fit the profile that was named, or their volume is of another unit.
    ParamsError
        The YAML profile is wrong.
    """
    if profile != "auto":
        chosen = _load(profile)
        why = f"profile {chosen.name}: given"
    else:
        chosen, why = _sniff(table, file=file, symbol=symbol)
    frame = _named_columns(table, chosen, file)
    _check_clock(chosen, file)
    clock = (_clock_decision(frame, chosen, file),) if profile == "auto" else ()
    return Fit(chosen, frame, (why, *clock, *_volume(frame, chosen, file)))


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
        header = f"header {','.join(table.frame.columns)}"
        fitting, seen = _by_header(table), "a recorded feed" if table.kind == "feed" else header
    else:
        fitting, seen = _by_shape(table), _shape(table)
    _check_file_name(fitting, file)
    for_symbol = [item for item in fitting if _is_for(item, symbol)]
    chosen = for_symbol or [item for item in fitting if not item.symbols]
    also = f" and the symbol {symbol}" if for_symbol else ""
    if tuple(item.name for item in fitting) == _KLINES:
        chosen = _by_volume(table, chosen, file)
    if len(chosen) == 1:
        return chosen[0], f"profile {chosen[0].name}: the only one that fits {seen[:120]}{also}"
    raise SourceUndecidableError(
        f"{file}: {'more than one' if chosen else 'no'} source profile fits",
        expected=f"one of {', '.join(item.name for item in chosen) or ', '.join(PROFILES)}",
        got=seen[:200],
        todo="name it with profile=, or describe the columns in a YAML profile",
    )


def _check_file_name(fitting: list[SourceProfile], file: str) -> None:
    """A form that several vendors write, each on its own clock, is decided by the file's name."""
    names = [item for item in fitting if item.file_name]
    if names and not any(re.match(item.file_name, Path(file).name) for item in names):
        form = names[0]
        raise SourceUndecidableError(
            f"{file}: this form is written on more than one clock",
            expected=f"a name that begins with {form.file_name}, or a profile",
            todo=f"name {form.name} if its clock is {form.clock}, else set clock in a YAML profile",
        )


def _is_for(profile: SourceProfile, symbol: str) -> bool:
    return any(re.match(form, symbol) for form in profile.symbols)


def _by_volume(table: Table, by_symbol: list[SourceProfile], file: str) -> list[SourceProfile]:
    """A file's name can be changed; what its volume counts cannot."""
    frame = _named_columns(table, PROFILES[_KLINES[0]], file)
    is_contracts = counts_contracts(frame, file=file)
    if is_contracts is None:
        return by_symbol
    return [PROFILES[_KLINES[int(is_contracts)]]]


def _volume(frame: pd.DataFrame, profile: SourceProfile, file: str) -> tuple[str, ...]:
    if profile.name not in _KLINES or "quote_volume" not in frame.columns:
        return ()
    is_contracts = counts_contracts(frame, file=file)
    if is_contracts is None:
        return (f"volume: nothing was traded that tells its unit; as {profile.name} has it",)
    if is_contracts is not (profile.name == _KLINES[1]):
        raise DataSchemaError(
            f"{file}: volume counts {'contracts' if is_contracts else 'coins'}",
            expected=f"profile {_KLINES[int(is_contracts)]}",
            got=profile.name,
        )
    if is_contracts:
        return ("volume: it counts contracts, so quote_volume is the base volume",)
    return ("volume: it times the price is quote_volume, so it is the base volume",)


def _by_header(table: Table) -> list[SourceProfile]:
    columns = set(table.frame.columns)
    tabular = [item for item in PROFILES.values() if not item.is_json]
    return [item for item in tabular if item.required <= columns <= item.known]


def _shape(table: Table) -> str:
    first = ", ".join(str(cell) for cell in table.frame.iloc[0].tolist()[:7])
    return f"{len(table.frame.columns)} {table.kind} columns without a header, first row {first}"


def _by_shape(table: Table) -> list[SourceProfile]:
    width = len(table.frame.columns)
    first = str(table.frame.iloc[0, 0]).removesuffix(".0")
    return [
        item
        for item in PROFILES.values()
        if item.is_json == (table.kind == "json")
        and (width == len(item.names) or (item.is_json and width == _JSON_WIDTH))
        and item.first_cell
        and re.fullmatch(item.first_cell, first)
    ]


def _check_clock(profile: SourceProfile, file: str) -> None:
    if not profile.clock:
        raise SourceUndecidableError(
            f"{file}: the clock of {profile.name} stamps is the vendor's, which no file says",
            expected="profile lean_fxcm (five hours behind UTC) or lean_oanda (UTC)",
            todo=f"name one, or set clock in a YAML profile that extends {profile.name}",
        )


def _clock_decision(frame: pd.DataFrame, profile: SourceProfile, file: str) -> str:
    stamps = column_of(frame, profile.sources("ts"))
    if pd.api.types.is_numeric_dtype(stamps.dtype) and not profile.time_format:
        since = "midnight of the date in the name" if profile.date_in_name else "1970"
        return f"clock {profile.clock}: numbers since {since}, unit by {profile.time_unit}"
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
