"""What became of features a server computed; its log of traffic says so too."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Difference", "Served"]


@dataclass(frozen=True)
class Difference:
    """A value that is not the same bits.

    Parameters
    ----------
    ts : str
        Open of the bar, UTC.
    feature : str
        Which one.
    served, offline : str
        Both values in full; ``"no bar"`` where the market has none for that minute.
    """

    ts: str
    feature: str
    served: str
    offline: str


@dataclass(frozen=True)
class Served:
    """What a feature log amounts to.

    Parameters
    ----------
    symbol : str
        As it stands in the log.
    schema_crc32, feature_spec_digest : str
        Of the version.
    rows, values : int
        Rows that could be compared, and the values in them.
    mismatches : int
        Values that differ in any bit.
    rows_outside : int
        Rows before the market's features are warm, or after its end.
    differences : tuple of Difference
        The first few.
    """

    symbol: str
    schema_crc32: str
    feature_spec_digest: str
    rows: int
    values: int
    mismatches: int
    rows_outside: int
    differences: tuple[Difference, ...]
