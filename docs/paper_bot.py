"""A trading bot on paper: bars in, decisions out, and on it goes when the model does not answer.

    MLWB_OBSERVE_MAX_AGE_S=0 mlwb serve                     # made bars may be of any age
    python docs/paper_bot.py http://127.0.0.1:4010 --bars 60

It trades the default label, volatility: it holds its cap while quiet minutes are expected and
nothing while restless ones are. Nobody's money: bars are made, fills are at the close less costs.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from mlwb.client import Observation, PredictClient

Bar = dict[str, Any]
BATCH = 250
"""Bars of one request while history is told: within the server's default limit of a body."""


@dataclass
class Book:
    """What is owned, on paper.

    Parameters
    ----------
    cap : float
        Units that are never exceeded.
    loss_limit : float
        Loss, in money, after which nothing is traded any more.
    cost_bp : float
        Costs of a fill, in hundredths of a percent of its value.
    """

    cap: float
    loss_limit: float
    cost_bp: float = 1.0
    units: float = 0.0
    cash: float = 0.0

    def equity(self, price: float) -> float:
        """Gain so far, in money."""
        return self.cash + self.units * price

    def is_stopped(self, price: float) -> bool:
        """Whether the loss limit is reached: a person has to look."""
        return self.equity(price) <= -self.loss_limit

    def fill(self, target: float, price: float) -> None:
        """Trade to a target."""
        traded = target - self.units
        self.cash -= traded * price + abs(traded) * price * self.cost_bp * 1e-4
        self.units = target


class Client(Protocol):
    """As much of a client as the bot needs."""

    def observe(self, symbol: str, bars: Any) -> Observation:
        """Tell of bars."""
        ...


def target_of(found: Observation, book: Book, price: float) -> float | None:
    """Units to own now; None to leave things as they are.

    Without a fresh score of the model nothing is traded, in either direction.
    """
    if not found.may_trade or book.is_stopped(price):
        return None
    if found.score <= 0.45:
        return book.cap
    if found.score >= 0.55:
        return 0.0
    return None


def trade(
    client: Client, symbol: str, bars: Iterator[Bar], book: Book, *, say: Callable[[str], object]
) -> None:
    """Tell the server of each bar as it closes, and act on what it makes of it."""
    for bar in bars:
        found = client.observe(symbol, bar)
        price = float(bar["close"])
        target = target_of(found, book, price)
        traded = target is not None and target != book.units
        if target is not None and traded:
            book.fill(target, price)
        why = "stopped: loss limit" if book.is_stopped(price) else found.reason or "model"
        what = f"trade to {book.units:g}" if traded else "hold"
        say(
            f"{bar['ts']:%H:%M} close {price:.5f} score {found.score:.3f} ({why}) "
            f"{found.latency_ms:.1f} ms: {what}, {book.equity(price):+.5f}"
        )


def made_bars(n: int, end: datetime, seed: int) -> list[Bar]:
    """Minutes of a walk that is now quiet, now restless; the last one closes at ``end``."""
    rng = random.Random(seed)  # noqa: S311 - a made market
    price, bars = 1.1, []
    for minute in range(n):
        step = 1e-4 if minute // 120 % 2 else 3e-5
        start = price
        price *= 1.0 + rng.gauss(0.0, step)
        high, low = max(start, price) * (1 + step / 2), min(start, price) * (1 - step / 2)
        bars.append(
            {
                "ts": end - timedelta(minutes=n - minute),
                "open": start,
                "high": high,
                "low": low,
                "close": price,
                "volume": rng.uniform(1.0, 9.0),
                "bid": price * (1 - 2e-5),
                "ask": price * (1 + 2e-5),
            }
        )
    return bars


def main(given: Sequence[str] | None = None) -> None:
    """Run the bot."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("url", help="of the server, such as http://127.0.0.1:4010")
    parser.add_argument("--bars", type=int, default=60, help="bars to trade")
    parser.add_argument("--history", type=int, default=1500, help="bars told before")
    parser.add_argument("--every", type=float, default=0.0, help="seconds between two bars")
    parser.add_argument("--cap", type=float, default=1.0, help="units never exceeded")
    parser.add_argument("--loss-limit", type=float, default=0.01, help="loss that stops it")
    parser.add_argument("--dry-run", action="store_true", help="ask, but never trade")
    parser.add_argument("--key-env", default="MLWB_API_KEY", help="variable with the key")
    options = parser.parse_args(given)
    now = datetime.now(UTC).replace(second=0, microsecond=0)  # noqa: TID251 - a bot of its own
    symbol = f"PAPER{os.getpid()}"  # each run makes a market of its own
    bars = made_bars(options.history + options.bars, now, seed=7)
    with PredictClient(
        options.url,
        api_key=os.environ.get(options.key_env, ""),
        timeout_s=0.5,
        fallback=0.5,  # "no opinion": with it, nothing is traded
        dry_run=options.dry_run,
    ) as client:
        for begin in range(0, options.history, BATCH):
            client.observe(symbol, bars[begin : min(begin + BATCH, options.history)])

        def live() -> Iterator[Bar]:
            for bar in bars[options.history :]:
                time.sleep(options.every)
                yield bar

        trade(client, symbol, live(), Book(options.cap, options.loss_limit), say=print)


if __name__ == "__main__":
    main()
