"""A recorded Binance websocket: a receive stamp and a message a line, read for its quotes."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pandas as pd

from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.errors import DataNotFoundError, DataSchemaError

__all__ = ["FEED_COLUMNS", "Feed", "is_feed", "parse_feed"]

FEED_COLUMNS = ("ts", "received", "symbol", "bid", "bid_size", "ask", "ask_size")
"""Columns of :attr:`Feed.quotes`."""

_RECEIVED = re.compile(rb"\d{18,19}")
_MICROSECONDS = 10**14
"""An event time of this size counts microseconds, a smaller one milliseconds."""
_QUOTE_EVENTS = frozenset(("", "bookTicker"))
"""Spot quotes do not name their event, futures quotes do; other events have fields of their own."""
_NOTHING = msgspec.Raw(b"")


class _Body(msgspec.Struct):
    """The fields of a message that matter here; prices stay as they stand in it."""

    e: str = ""
    E: int = 0
    s: str = ""
    b: msgspec.Raw = _NOTHING
    B: msgspec.Raw = _NOTHING
    a: msgspec.Raw = _NOTHING
    A: msgspec.Raw = _NOTHING


class _Message(_Body):
    """A message of one stream, or of a combined one, which wraps it."""

    data: _Body | None = None


_DECODE = msgspec.json.Decoder(_Message).decode
_Quote = tuple[int, str, float, float, float, float]


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
        Lines of ``<receive time, ns since 1970> <message>``; a last one without its end is left
        out.
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
    event_ns: list[int] = []
    quotes: list[_Quote] = []
    notes: tuple[str, ...] = ()
    for number, line in enumerate(io.BytesIO(data), start=1):
        if not line.strip():
            continue
        try:
            at, body = _parse_line(line)
            if body.e in _QUOTE_EVENTS and bytes(body.B):
                quotes.append((len(received), *_quote(body)))
        except (ValueError, msgspec.MsgspecError) as error:
            if not line.endswith(b"\n"):  # the recorder was stopped in mid-write
                notes = (f"rows: line {number}, the last, is cut and left out",)
                break
            raise _not_a_message(file, number, line) from error
        received.append(at)
        event_ns.append(body.E * (1000 if body.E >= _MICROSECONDS else 10**6))
    if not quotes:
        raise DataNotFoundError(
            f"{file} holds no bookTicker message", expected="a stream of best bid and ask"
        )
    feed = _on_exchange_clock(np.array(received), np.array(event_ns), quotes)
    return replace(feed, notes=(*feed.notes, *notes))


def _parse_line(line: bytes) -> tuple[int, _Body]:
    stamp, _, text = line.partition(b" ")
    if _RECEIVED.fullmatch(stamp) is None:
        raise ValueError(stamp)
    message = _DECODE(text)
    return int(stamp), message.data or message


def _quote(body: _Body) -> tuple[str, float, float, float, float]:
    """Prices and sizes are quoted text."""
    bid, bid_size, ask, ask_size = (
        float(bytes(field)[1:-1]) for field in (body.b, body.B, body.a, body.A)
    )
    return body.s, bid, bid_size, ask, ask_size


def _on_exchange_clock(received_ns: Int1D, event_ns: Int1D, quotes: list[_Quote]) -> Feed:
    has_event = event_ns > 0
    skew_ns = (received_ns - event_ns)[has_event]
    shift_ns = int(np.median(skew_ns)) if len(skew_ns) else 0
    at = np.array([row[0] for row in quotes])
    exchange_ns = np.where(has_event, event_ns, received_ns - shift_ns)
    frame = pd.DataFrame([row[1:] for row in quotes], columns=list(FEED_COLUMNS[2:]))
    frame.insert(0, "received", received_ns[at])
    frame.insert(0, "ts", exchange_ns[at])
    note = _note(has_event[at], len(skew_ns), shift_ns)
    return Feed(frame, skew_ns / 1e6 if len(skew_ns) else None, (note,))


def _note(has_event: Bool1D, n_both: int, shift_ns: int) -> str:
    if has_event.all():
        return "clock: quotes carry the exchange's event time"
    if not n_both:
        return "clock: no message carries the exchange's time; minutes are the receiver's"
    return (
        f"clock: quotes without exchange time are shifted by {-shift_ns / 1e6:+.0f} ms, the median "
        f"of {n_both} messages that have both clocks"
    )


def _not_a_message(file: str, number: int, line: bytes) -> DataSchemaError:
    return DataSchemaError(
        f"{file}, line {number}: not a message of a recorded feed",
        expected="<receive time in ns> <JSON>",
        got=repr(line[:60].decode("utf-8", errors="replace")),
    )
