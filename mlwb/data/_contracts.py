"""Whether the volume of an exchange's klines counts coins or contracts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlwb.data._tables import numbers_of

__all__ = ["counts_contracts"]

_SIZES_USD = (10.0, 100.0)
"""Face values of the exchange's coin-margined contracts."""


def counts_contracts(klines: pd.DataFrame, *, file: str) -> bool | None:
    """Whether ``volume`` counts contracts of some USD rather than coins.

    Parameters
    ----------
    klines : DataFrame
        ``close``, ``volume`` and ``quote_volume``.
    file : str
        What messages call the file.

    Returns
    -------
    bool or None
        False where ``quote_volume`` is ``volume`` times the price; True where ``volume`` times
        the size of a contract is ``quote_volume`` times the price; None where it is neither or
        nothing was traded.

    Raises
    ------
    DataSchemaError
        A cell holds text.

    Examples
    --------
    >>> spot = pd.DataFrame({"close": [100.0], "volume": [3.0], "quote_volume": [299.0]})
    >>> coin = pd.DataFrame({"close": [100.0], "volume": [3.0], "quote_volume": [3.01]})
    >>> counts_contracts(spot, file="a"), counts_contracts(coin, file="b")
    (False, True)
    """
    names = ("close", "volume", "quote_volume")
    close, volume, quoted = (numbers_of(klines[name], file=file, column=name) for name in names)
    traded = (volume > 0) & (quoted > 0) & (close > 0)
    if not traded.any():
        return None
    close, volume, quoted = close[traded], volume[traded], quoted[traded]
    if _is_near(float(np.median(quoted / (volume * close))), 1.0):
        return False
    size = float(np.median(quoted * close / volume))
    return True if any(_is_near(size, usual) for usual in _SIZES_USD) else None


def _is_near(value: float, wanted: float) -> bool:
    """Closes stand for the prices of a minute's trades: a per cent, not more."""
    return abs(value / wanted - 1.0) < 0.05
