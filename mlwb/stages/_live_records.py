"""A day of trades as evidence of kind ``live_pnl``."""

from __future__ import annotations

import math
from typing import Any

from mlwb.backtest import DEFINITIONS
from mlwb.evidence import Metric
from mlwb.stages._live_fills import FillDay
from mlwb.stages._live_paper import PaperDay
from mlwb.stages._paper_records import no_win_rate, win_rates

__all__ = ["fill_details", "fill_metrics", "paper_details", "paper_metrics"]

_COST = "costs paid on the day, as a share of equity"
_FILLS = "trades of the desk closed on the day, after costs, as a share of equity"


def paper_metrics(found: PaperDay) -> list[Metric]:
    """Numbers of a day on paper; the definitions are those of the backtest."""
    ledger, steps = found.ledger, len(found.ledger.net)
    return [
        _known("net_return", found.risk.net_return, steps),
        _known("gross_return", float(ledger.gross.sum()), steps),
        Metric("cost_return", float(ledger.cost.sum()), n=steps, definition=_COST),
        *(win_rates(found.trips.wins, found.trips.n_closed) if found.is_bet else [no_win_rate()]),
        _known("max_drawdown", found.risk.max_drawdown, steps),
        _known("turnover", found.activity.turnover, steps),
        _known("exposure_mean", found.activity.exposure_mean, steps),
        Metric("scores", found.n_scores, unit="min", definition="minutes with a score"),
    ]


def paper_details(found: PaperDay, *, symbol: str, spread: str) -> dict[str, Any]:
    """What was traded, and that nobody traded it."""
    return {
        "date": str(found.day),
        "source": "paper",
        "simulated": True,
        "label": {"kind": found.label},
        "symbol": symbol,
        "rule": found.rule,
        "definition": found.meaning,
        "spread": spread,
    }


def fill_metrics(found: FillDay) -> list[Metric]:
    """Numbers of a day of a desk's own trades."""
    n = len(found.fills)
    return [
        Metric("net_return", math.fsum(f.net for f in found.fills), n=n, definition=_FILLS),
        Metric("gross_return", math.fsum(f.gross for f in found.fills), n=n,
               definition="the same before costs"),
        Metric("cost_return", math.fsum(f.cost for f in found.fills), n=n, definition=_COST),
        *win_rates(found.wins, n, "closed trades with net > 0 / closed trades, Wilson interval"),
    ]  # fmt: skip


def fill_details(found: FillDay, *, label: str) -> dict[str, Any]:
    """What the file says was traded."""
    return {
        "date": str(found.day),
        "source": "broker",
        "simulated": False,
        "label": {"kind": label},
        "symbol": ", ".join(sorted({fill.symbol for fill in found.fills})),
        "definition": _FILLS,
    }


def _known(name: str, value: float, n: int) -> Metric:
    what = DEFINITIONS[name]
    return Metric(name, value, unit=what.unit, n=n, definition=what.sentence)
