"""What a vendor's file looks like, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlwb.data._calendars import Calendar

__all__ = ["KINDS", "SIDE_FIELDS", "SourceProfile"]

KINDS = ("bars", "quotes")
"""``bars``: one row a minute. ``quotes``: one row an update of the book's top."""

SIDE_FIELDS = tuple(
    f"{side}_{price}" for side in ("bid", "ask") for price in ("open", "high", "low", "close")
)


@dataclass(frozen=True)
class SourceProfile:
    """How to read one vendor's files.

    Parameters
    ----------
    name : str
    about : str
        One line for people.
    columns : mapping of str to str
        Canonical field to source column. Fields: ``ts``, ``open high low close volume bid ask
        bid_size ask_size``, ``spread_points``, ``bid_open .. ask_close`` for two-sided bars,
        ``received`` for the stamp of a second clock, and ``side price size`` where a row holds
        one side of the book. ``"<DATE>+<TIME>"`` joins two text columns with a blank.
    kind : str
        A name in :data:`KINDS`.
    optional : tuple of str
        Fields that may be absent.
    marks : tuple of str
        Source columns that must be there and are not read: they tell one vendor from another.
    ignored : tuple of str
        Source columns that may stand in the file and are not read.
    names : tuple of str
        Column names where the file has no header; empty when it must have one.
    first_cell : str
        Regular expression of the first cell of a file without header, by which it is known.
    file_name : str
        Regular expression of how the vendor's files are named, where others write the same form
        on other clocks; sniffing decides for the profile only then.
    instrument : tuple of str
        Source columns that may name the instrument of a row; the first one present is used.
    single : tuple of str
        Source columns that must hold one value in all rows that are read.
    is_json : bool
        Rows of a JSON array, so never a table with a header.
    time_unit : str
        Of numeric stamps: ``s ms us ns``, or ``magnitude`` (decided row by row, since one
        vendor changed from ms to us at a year's end).
    time_format : str
        ``strptime`` format of text stamps; empty is ISO 8601.
    date_in_name : bool
        Stamps count from midnight of the date in the file's name.
    clock : str
        Of stamps without a zone; a name in :data:`mlwb.data.CLOCKS`. Empty where the vendor's
        files have more than one and do not say which.
    stamp : str
        ``open`` or ``close``: which end of the bar the stamp names.
    price_scale : float
        Factor from the file's price to the price.
    integer_price_scale : float
        The factor where the file writes its prices as integers; NaN where it is the same.
    undefined_price : float
        A price of this size or more stands for none; NaN where the vendor has no such number.
    point : float
        Price of one spread point; NaN where the source has no spread column.
    pair : bool
        Bid and ask come as two files.
    calendar : str
        A name in :data:`mlwb.data.CALENDARS`, or ``session``.
    session : Calendar or None
        Opening hours of the user's own, for the calendar ``session``.
    volume_unit : str
        Empty where the source has no volume.
    symbols : tuple of str
        Regular expressions of how a symbol begins that the profile is for; empty is any.
        Sniffing minds it.
    """

    name: str
    about: str
    columns: Mapping[str, str]
    kind: str = "bars"
    optional: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    first_cell: str = ""
    file_name: str = ""
    instrument: tuple[str, ...] = ()
    single: tuple[str, ...] = ()
    is_json: bool = False
    time_unit: str = "magnitude"
    time_format: str = ""
    date_in_name: bool = False
    clock: str = "utc"
    stamp: str = "open"
    price_scale: float = 1.0
    integer_price_scale: float = math.nan
    undefined_price: float = math.nan
    point: float = math.nan
    pair: bool = False
    calendar: str = "24/7"
    session: Calendar | None = None
    volume_unit: str = ""
    symbols: tuple[str, ...] = ()

    def sources(self, name: str) -> tuple[str, ...]:
        """Source columns a canonical field is made of."""
        return tuple(self.columns[name].split("+"))

    @property
    def required(self) -> frozenset[str]:
        """Source columns that must be there."""
        wanted = (name for name in self.columns if name not in self.optional)
        return frozenset(
            (*self.marks, *(column for name in wanted for column in self.sources(name)))
        )

    @property
    def known(self) -> frozenset[str]:
        """Source columns that may be there."""
        mapped = {column for name in self.columns for column in self.sources(name)}
        return frozenset((*mapped, *self.marks, *self.ignored, *self.instrument, *self.single))
