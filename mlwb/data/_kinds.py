"""Market files that are not bars, told by their first line, so that the refusal can name them."""

from __future__ import annotations

from mlwb.core.errors import DataSchemaError

__all__ = ["refuse_other_kinds"]

_SIGNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (('{"stream"',), "a raw websocket feed without receive times"),
    (("bids_distance_0",), "order book snapshots"),
    (("agg_trade_id",), "aggregate trades"),
    (("is_snapshot", "side", "price"), "order book updates"),
    (("funding_rate",), "funding rates"),
    (("percentage", "depth", "notional"), "order book depth"),
    (("trade_id", "price", "size"), "trades"),
    (("id,price,qty", "time"), "trades"),
)


def refuse_other_kinds(first_line: str, name: str) -> None:
    """Raise when a file's first line shows that it holds something other than bars.

    Raises
    ------
    DataSchemaError
        The message says what the file holds.
    """
    for words, what in _SIGNS:
        if all(word in first_line for word in words):
            raise DataSchemaError(
                f"{name} holds {what}",
                expected="1-minute bars",
                todo="aggregate it to 1-minute bars first",
            )
