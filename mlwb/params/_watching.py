"""Parameters of what is done every day beside a running server."""

from __future__ import annotations

from dataclasses import dataclass

from mlwb.params._fields import between, may_be_empty

__all__ = ["CheckParams", "DailyParams", "ShadowLogParams", "TradedMarketParams"]


@dataclass(frozen=True)
class CheckParams:
    """How the daily check looks at live counts.

    Parameters
    ----------
    rolling_days : int
        UTC days of the rolling window, which ends with yesterday.
    """

    rolling_days: int = between(1, 31)


@dataclass(frozen=True)
class DailyParams:
    """How the days are told.

    Parameters
    ----------
    trend_days : int
        UTC days that the page and its pictures show.
    """

    trend_days: int = between(2, 366)


@dataclass(frozen=True)
class ShadowLogParams:
    """Which comparisons are looked at.

    Parameters
    ----------
    log : str
        Shadow log of a server; empty is the one that `mlwb serve` writes. Any other counts as
        replayed.
    champion : str
        Version that answered; empty is the one that answered last.
    """

    log: str
    champion: str


@dataclass(frozen=True)
class TradedMarketParams:
    """The market that served scores are traded on, on paper.

    Parameters
    ----------
    profile : str
        Source profile; ``auto`` sniffs and says why.
    symbol : str
        Empty is the file's name.
    source : tuple of str
        One market file, or the two files of a bid/ask pair; empty where nobody has named one.
    """

    profile: str
    symbol: str
    source: tuple[str, ...] = may_be_empty()
