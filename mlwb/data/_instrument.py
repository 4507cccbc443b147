"""Which of a file's rows are the market that was asked for, and what its name is."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from mlwb.core.errors import DataSchemaError, SourceUndecidableError
from mlwb.data._profile import SourceProfile

__all__ = ["rows_of_instrument", "symbol_of"]

_FORMS = (
    r"DAT_(?:ASCII|MT|NT|MS)_([A-Za-z0-9]+)_",  # HistData
    r"([A-Z0-9]+_(?:PERP|\d{6}))-",  # Binance futures
    r"\d{8}_([a-z0-9]+)_(?:minute|second|tick)_",  # Lean, inside the zip
)
_LISTED = 10


def symbol_of(file_name: str) -> str:
    """The symbol a file's name begins with.

    Examples
    --------
    >>> symbol_of("BTCUSDT-PERP_1m_20250504.csv.gz"), symbol_of("BTCUSDT-1m-2025-01.zip")
    ('BTCUSDT-PERP', 'BTCUSDT')
    >>> symbol_of("BTCUSD_PERP-1m-2025-01.zip"), symbol_of("DAT_ASCII_EURUSD_M1_2012.csv")
    ('BTCUSD_PERP', 'EURUSD')
    >>> symbol_of("20140501_eurusd_minute_quote.csv")
    'EURUSD'
    """
    for form in _FORMS:
        found = re.match(form, file_name)
        if found:
            return found[1].upper()
    return re.split(r"_|\.|-\d+(?:s|m|h|d|w|mo)(?=[-.]|$)", file_name)[0]


def rows_of_instrument(
    frame: pd.DataFrame, profile: SourceProfile, *, wanted: str, file: str
) -> tuple[pd.DataFrame, str]:
    """The rows of one instrument.

    Parameters
    ----------
    frame : DataFrame
    profile : SourceProfile
        Names the columns that say the instrument, and those that must hold one value.
    wanted : str
        What the user asked for; empty takes the only one there is.
    file : str
        What messages call the file.

    Returns
    -------
    rows : DataFrame
    instrument : str
        Empty where the rows do not say.

    Raises
    ------
    SourceUndecidableError
        Several instruments and none of them asked for.
    DataSchemaError
        Rows of several venues or of several kinds.
    """
    columns = [name for name in profile.instrument if name in frame.columns]
    instrument = ""
    if columns:
        frame, instrument = _picked(frame, columns, wanted, file)
    for name in profile.single:
        if name in frame.columns and (frame[name] != frame[name].iloc[0]).any():
            raise DataSchemaError(
                f"{file}: several values of {name} for one instrument",
                expected="one",
                got=_listed(frame[name]),
                todo="split the file by it",
            )
    return frame, instrument


def _picked(
    frame: pd.DataFrame, columns: list[str], wanted: str, file: str
) -> tuple[pd.DataFrame, str]:
    first = frame[columns[0]].astype("str")
    if (first == first.iloc[0]).all():
        return frame, str(first.iloc[0])
    for name in columns:
        is_wanted = (frame[name].astype("str").str.lower() == wanted.lower()).to_numpy()
        if np.any(is_wanted):
            return frame[is_wanted].reset_index(drop=True), str(frame[name][is_wanted].iloc[0])
    raise SourceUndecidableError(
        f"{file} holds several instruments",
        expected=f"symbol, one of {_listed(first)}",
        got=repr(wanted) if wanted else "no symbol",
        todo="name it: symbol=, --symbol, or data.symbol in a parameter file",
    )


def _listed(cells: pd.Series) -> str:
    names = sorted({str(cell) for cell in cells.unique()})
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
