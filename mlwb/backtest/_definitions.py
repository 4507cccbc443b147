"""One definition for each number of a book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["DEFINITIONS", "Definition"]


@dataclass(frozen=True)
class Definition:
    """What a number means.

    Parameters
    ----------
    name : str
        As in evidence.
    unit : str
        ``1`` for a share of equity or a pure number.
    formula : str
        In words.
    annualised : str
        By what it is scaled to a year; empty where it is not.
    ddof : int or None
        Of its standard deviation; None where it has none.
    edge : str
        What happens where it does not exist or could be read two ways.
    """

    name: str
    unit: str
    formula: str
    annualised: str = ""
    ddof: int | None = None
    edge: str = ""

    @property
    def sentence(self) -> str:
        """All of it in one line, for evidence."""
        scaled = f"x {self.annualised}" if self.annualised else ""
        ddof = f"ddof {self.ddof}" if self.ddof is not None else ""
        return "; ".join(part for part in (self.formula, scaled, ddof, self.edge) if part)


_NO_RATIO = "null below two days and for equal days"

_ALL = (
    Definition("net_return", "1", "sum of net simple returns of the steps, after all costs"),
    Definition("gross_return", "1", "the same before costs"),
    Definition(
        "net_p",
        "p",
        "(1 + resampled mean hour <= 0) / (B + 1), circular block bootstrap of hours",
        edge="blocks by Politis and White",
    ),
    Definition(
        "sharpe",
        "1",
        "mean / sd of the net returns of UTC days",
        "sqrt(365)",
        1,
        f"a day without a bar is a day with return 0; {_NO_RATIO}",
    ),
    Definition(
        "sharpe_se",
        "1",
        "sqrt((1 - g3 SR + (g4 - 1)/4 SR^2) / (n - 1)), SR a day, g3 and g4 plain moments",
        "sqrt(365)",
        edge=_NO_RATIO,
    ),
    Definition("sharpe_upper", "1", "sharpe + 1.645 sharpe_se, one-sided 95 %", edge=_NO_RATIO),
    Definition(
        "sharpe_bars",
        "1",
        "mean / sd of the net returns of steps, flat ones too",
        "sqrt(open minutes of the calendar a year; 525,600 around the clock)",
        1,
        "null below two steps and for equal steps",
    ),
    Definition(
        "sharpe_lo",
        "1",
        "daily ratio times Lo's eta(365) = 365 / sqrt(365 + 2 sum_k (365 - k) rho_k)",
        "eta(365)",
        1,
        f"lags up to 4 (n/100)^(2/9); {_NO_RATIO}, and where autocorrelation leaves no variance",
    ),
    Definition("psr", "p", "P(true daily ratio > 0) = Phi(sharpe / sharpe_se)", edge=_NO_RATIO),
    Definition(
        "min_track_record",
        "d",
        "days until a ratio of this size is shown above 0 at 95 %",
        edge="null where the ratio is not above 0: no length would do",
    ),
    Definition(
        "max_drawdown",
        "1",
        "largest fall from a peak of compounded equity, 1.0 before the first step",
        edge="positive, at most 1",
    ),
    Definition(
        "calmar",
        "1",
        "compounded growth a year / max_drawdown",
        "power 365 / days",
        edge="null without a drawdown",
    ),
    Definition(
        "win_rate",
        "1",
        "closed round trips with net > 0 / closed round trips, Wilson interval",
        edge="a flip closes one and opens one; one open at the end is not closed; null without any",
    ),
    Definition("win_rate_upper", "1", "its one-sided 95 % upper bound (Wilson)"),
    Definition(
        "turnover",
        "equity/day",
        "sum of position changes over UTC days, one way",
        edge="the final liquidation counts",
    ),
    Definition("exposure_mean", "1", "mean absolute position over steps"),
    Definition("exposure_max", "1", "largest absolute position"),
    Definition("days", "d", "UTC days from the first step to the last"),
    Definition(
        "break_even_bp",
        "bp",
        "1e4 x gross / traded, one way: the cost at which nothing is left",
        edge="below 0 where it lost before costs; null without trades",
    ),
    Definition("paid_bp", "bp", "1e4 x cost / traded, one way", edge="null without trades"),
    Definition(
        "cap_breaches", "1", "steps beyond a cap, counted from the ledger and not by the broker"
    ),
    Definition("clips", "1", "orders a cap changed, by cap; one that lasts counts once"),
    Definition(
        "variance_ratio",
        "1",
        "sum of squared net returns of steps, timed over constant exposure of the same mean",
        edge="90 % interval by paired circular block bootstrap of hours; only for timed exposure",
    ),
    Definition("variance_upper", "1", "its one-sided 95 % upper bound"),
    Definition("variance_lower", "1", "its one-sided 95 % lower bound"),
    Definition("tail_ratio", "1", "mean of the worst 1 % of hours, timed over constant exposure"),
    Definition("drawdown_timed", "1", "max_drawdown of the timed book itself"),
    Definition("drawdown_constant", "1", "max_drawdown of constant exposure of the same mean"),
    Definition("regime_net", "1", "net_return in a regime known at the decision"),
    Definition("regime_decisions", "1", "scores traded in the regime"),
    Definition(
        "regime_p_negative",
        "p",
        "(1 + resampled mean hour >= 0) / (B + 1) of the regime's net, Holm over regimes",
    ),
    Definition("cost_net", "1", "net_return at a multiple of costs and a latency in bars"),
    Definition(
        "identity_error",
        "1",
        "difference of two ways to the same sum; beyond rounding it is an error, not a number",
    ),
)

DEFINITIONS: Mapping[str, Definition] = MappingProxyType({item.name: item for item in _ALL})
"""Name in evidence to its definition."""
