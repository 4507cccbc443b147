"""A recorded Binance websocket: a receive stamp and a message a line, read for its quotes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DataNotFoundError, DataSchemaError

__all__ = ["FEED_COLUMNS", "Feed", "is_feed", "parse_feed"]

FEED_COLUMNS = ("ts", "received", "symbol", "bid", "bid_size", "ask", "ask_size")
"""Columns of :attr:`Feed.quotes`."""

_LINE = re.compile(rb"(\d{18,19}) (\{.*\})\s*")
_EVENT_MS = re.compile(rb'"E"\s*:\s*(\d{13})\D')
_QUOTE = re.compile(rb'"B"\s*:\s*"')


@dataclass(frozen=True)
class Feed:
    """What a recording of a websocket holds for 1-minute bars.

    Parameters
    ----------
    quotes : DataFrame
        One row a bookTicker message, :data:`FEED_COLUMNS`; ``ts`` and ``received`` int64 ns.
    skew_ms : ndarray of shape (n_messages,), float64, or None
        Receive minus exchange time of every message that has both; None where none has.
    notes : tuple of str
        What was decided and why.
    """

    quotes: pd.DataFrame
    skew_ms: Float1D | None
    notes: tuple[str, ...]


def is_feed(head: bytes) -> bool:
    """Whether content begins as a recorded feed does.

    Examples
    --------
    >>> is_feed(b'1723161253937085768 {"stream":'), is_feed(b"1723161253937,1.0")
    (True, False)
    """
    return re.match(rb"\d{18,19} \{", head) is not None


def parse_feed(data: bytes, *, file: str) -> Feed:
    """Quotes of a recorded feed, on the exchange's clock.

    Spot quotes carry no exchange time. They are put on the exchange's clock by the median of
    receive minus exchange time of the messages that have both: minutes cut by a clock that is
    behind would hold quotes of the minute after.

    Parameters
    ----------
    data : bytes
        Lines of ``<receive time, ns since 1970> <message>``.
    file : str
        What messages call the file.

    Returns
    -------
    Feed

    Raises
    ------
    DataSchemaError
        A line is not of that form.
    DataNotFoundError
        No bookTicker message.
    """
    received: list[int] = []
    event_ms: list[int] = []
    quotes: list[tuple[Any, ...]] = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise _not_a_message(file, number, line)
        received.append(int(found[1]))
        event = _EVENT_MS.search(found[2])
        event_ms.append(int(event[1]) if event else 0)
        if _QUOTE.search(found[2]):
            quotes.append((len(received) - 1, *_quote(found[2], file, number)))
    if not quotes:
        raise DataNotFoundError(
            f"{file} holds no bookTicker message", expected="a stream of best bid and ask"
        )
    return _on_exchange_clock(np.array(received), np.array(event_ms), quotes)


def _on_exchange_clock(
    received_ns: np.ndarray, event_ms: np.ndarray, quotes: list[tuple[Any, ...]]
) -> Feed:
    has_event = event_ms > 0
    skew_ns = (received_ns - event_ms * 10**6)[has_event]
    shift_ns = int(np.median(skew_ns)) if len(skew_ns) else 0
    at = np.array([row[0] for row in quotes])
    exchange_ns = np.where(has_event, event_ms * 10**6, received_ns - shift_ns)
    frame = pd.DataFrame([row[1:] for row in quotes], columns=list(FEED_COLUMNS[2:]))
    frame.insert(0, "received", received_ns[at])
    frame.insert(0, "ts", exchange_ns[at])
    note = _note(has_event[at], len(skew_ns), shift_ns)
    return Feed(frame, skew_ns / 1e6 if len(skew_ns) else None, (note,))


def _note(has_event: np.ndarray, n_both: int, shift_ns: int) -> str:
    if has_event.all():
        return "clock: quotes carry the exchange's event time"
    if not n_both:
        return "clock: no message carries the exchange's time; minutes are the receiver's"
    return (
        f"clock: quotes without exchange time are shifted by {-shift_ns / 1e6:+.0f} ms, the median "
        f"of {n_both} messages that have both clocks"
    )


def _quote(message: bytes, file: str, number: int) -> tuple[Any, ...]:
    try:
        body = json.loads(message)
        body = body.get("data", body)
        return (body["s"], *(float(body[key]) for key in ("b", "B", "a", "A")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _not_a_message(file, number, message) from error


def _not_a_message(file: str, number: int, line: bytes) -> DataSchemaError:
    return DataSchemaError(
        f"{file}, line {number}: not a message of a recorded feed",
        expected="<receive time in ns> <JSON>",
        got=repr(line[:60].decode("utf-8", errors="replace")),
    )
