"""How numbers are written: the same decimals for the same thing, everywhere."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

__all__ = [
    "NOT_MEASURED",
    "bounded",
    "count",
    "count_of",
    "decimals_of",
    "duration",
    "interval",
    "minute",
    "moment",
    "number",
    "several",
    "signed",
    "significant",
]

NOT_MEASURED = "not measured"
_GAP = "\u00a0"  # keeps a number and its unit on one line

_DECIMALS = {
    "1": 3,
    "p": 3,
    "nats": 3,
    "%": 1,
    "ms": 2,
    "s": 1,
    "bp": 2,
    "d": 1,
    "h": 1,
    "count": 0,
    "equity/day": 2,
}
_SUFFIX = {"1": "", "p": "", "nats": "", "count": ""}


def number(value: float | None, unit: str = "1", *, decimals: int | None = None) -> str:
    r"""A number with its unit.

    Parameters
    ----------
    value : float or None
        A share for ``%``; None and NaN are not measured.
    unit : str, default="1"
        ``1``, ``%``, ``p`` (a p value), ``nats``, ``ms``, ``s``, ``bp``, ``d``, ``h``; any other
        unit is counted in whole numbers.
    decimals : int, optional
        Other than the unit's own.

    Returns
    -------
    str

    Examples
    --------
    >>> number(0.6614), number(20160, "rows"), number(0.0004, "p"), number(None)
    ('0.661', '20,160\xa0rows', '< 0.001', 'not measured')
    >>> number(0.973, "%"), number(0.99996, "%")
    ('97.3\xa0%', '> 99.9\xa0%')
    """
    if value is None or math.isnan(value):
        return NOT_MEASURED
    places = _DECIMALS.get(unit, 0) if decimals is None else decimals
    shown = 100.0 * value if unit == "%" else float(value)
    is_tiny = unit == "1" and decimals is None and 0.0 < abs(shown) < 0.0005
    digits = _scientific(shown) if is_tiny else _edge(shown, places, unit) or _fixed(shown, places)
    return digits + _SUFFIX.get(unit, _GAP + unit)


def _edge(value: float, places: int, unit: str) -> str:
    """Nothing is rounded to a certainty: a small share is not 0 %, a p value is never 0."""
    least = 10.0**-places
    if unit in ("p", "nats", "%") and (0.0 < value < least or (unit == "p" and value == 0.0)):
        return f"< {least:.{places}f}"
    if unit == "%" and 100.0 - least < value < 100.0:
        return f"> {100.0 - least:.{places}f}"
    return ""


def _fixed(value: float, places: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    said = f"{value:,.{places}f}"
    return said.removeprefix("-") if not float(said.replace(",", "")) else said.replace("-", "−")


def _scientific(value: float) -> str:
    return f"{value:.1e}".replace("-", "−")


def decimals_of(unit: str) -> int:
    """Decimals a unit is written with."""
    return _DECIMALS.get(unit, 0)


def signed(value: float | None, unit: str = "1", *, decimals: int | None = None) -> str:
    """A difference, with its sign.

    Examples
    --------
    >>> signed(0.012), signed(-0.012)
    ('+0.012', '−0.012')
    """
    said = number(value, unit, decimals=decimals)
    return f"+{said}" if value is not None and value > 0.0 else said


def interval(low: float, high: float, unit: str = "1", *, decimals: int | None = None) -> str:
    """Two bounds.

    Examples
    --------
    >>> interval(0.61, 0.68)
    '0.610 to 0.680'
    """
    if math.isnan(low) or math.isnan(high):
        return NOT_MEASURED
    places = _DECIMALS.get(unit, 0) if decimals is None else decimals
    factor = 100.0 if unit == "%" else 1.0
    bounds = " to ".join(_fixed(factor * bound, places) for bound in (low, high))
    return bounds + _SUFFIX.get(unit, _GAP + unit)


def bounded(comparator: str, limit: str, unit: str = "1") -> str:
    r"""A limit as the policy writes it; shares in percent.

    Examples
    --------
    >>> bounded(">=", "0.62"), bounded("<", "0.01", "%")
    ('≥ 0.62', '< 1\xa0%')
    """
    sign = {">=": "≥", "<=": "≤", "==": "="}.get(comparator, comparator)
    said = f"{int(limit):,}" if limit.isdigit() else limit
    if unit == "%":
        said = f"{(Decimal(limit) * 100).normalize():f}"
    suffix = _SUFFIX.get(unit, _GAP + unit)
    return f"{sign} {said}{suffix}"


def count(value: int) -> str:
    """A whole number.

    Examples
    --------
    >>> count(129600)
    '129,600'
    """
    return f"{value:,}"


def several(n: int, noun: str) -> str:
    """So many of a thing whose plural ends in s.

    Examples
    --------
    >>> several(1, "record"), several(1200, "record")
    ('1 record', '1,200 records')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def count_of(k: int, n: int) -> str:
    r"""So many of so many, with the share.

    Examples
    --------
    >>> count_of(3, 1000)
    '3 of 1,000 (0.3\xa0%)'
    """
    return f"{k:,} of {n:,} ({number(k / n, '%')})" if n else "0 of 0"


def duration(seconds: float) -> str:
    """A span in the largest unit that fits.

    Examples
    --------
    >>> duration(60), duration(5400), duration(7776000)
    ('1 min', '1.5 h', '90 d')
    """
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{seconds:.3g} s"


def moment(seconds: float, *, with_time: bool = False) -> str:
    """A UTC date, or a minute of it.

    Examples
    --------
    >>> moment(1735689600, with_time=True)
    '2025-01-01 00:00'
    """
    pattern = "%Y-%m-%d %H:%M" if with_time else "%Y-%m-%d"
    return datetime.fromtimestamp(seconds, UTC).strftime(pattern)


def significant(value: float | None) -> str:
    """Three significant digits, for quantities whose size is not known beforehand.

    Examples
    --------
    >>> significant(0.00012345), significant(1234.5)
    ('0.000123', '1,234')
    """
    if value is None or math.isnan(value):
        return NOT_MEASURED
    if value == 0.0 or math.isinf(value):
        return _fixed(value, 0)
    places = max(2 - math.floor(math.log10(abs(value))), 0)
    return _fixed(value, places) if places <= 6 else _scientific(value)


def minute(utc: str) -> str:
    """An ISO 8601 stamp up to its minute, for reading.

    Examples
    --------
    >>> minute("2026-11-21T11:12:03.5Z")
    '2026-11-21 11:12'
    """
    return utc[:16].replace("T", " ")
