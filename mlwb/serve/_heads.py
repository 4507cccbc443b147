"""Heads of requests that were read before: the same bytes say the same again."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["HEAD", "Heads", "KnownHead"]

HEAD = "mlwb.head"
"""Where a scope keeps what its headers say, once a request with them was answered."""

_END = b"\r\n\r\n"
_CAPACITY, _MOST_BYTES = 256, 2_048
_OF_ONE = b"x-request-id"
_OF_A_REQUEST = ("method", "path", "query_string", "headers", HEAD)


class KnownHead(NamedTuple):
    """A head, and what it said.

    Parameters
    ----------
    url : bytes
        The target.
    n_body : int
        Bytes of the body that follows.
    scope : dict of str to object
        Of the request, without its connection; to be copied, not changed.
    """

    url: bytes
    n_body: int
    scope: dict[str, Any]


class Heads:
    """Heads by their bytes; a client on a kept connection writes one again and again.

    What differs between two requests of a bot is the body, and with its length one line of the
    head: there are a few dozen. A head that names its request is never seen again, and not kept;
    neither is one of a request that was refused.

    Parameters
    ----------
    capacity : int
        Heads kept; one more, and all are forgotten.
    """

    __slots__ = ("_capacity", "_known")

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._known: dict[bytes, KnownHead] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, data: bytes) -> tuple[KnownHead, bytes] | None:
        """What is known of a whole request: its head, and its body.

        Parameters
        ----------
        data : bytes
            What arrived at once, with nothing before it.
        """
        end = data.find(_END) + 4
        known = self._known.get(data[:end])
        if known is None or len(data) - end != known.n_body:
            return None
        return known, data[end:]

    def keep(self, data: bytes, url: bytes, body: bytes, scope: dict[str, Any]) -> None:
        """Remember the head of a request that was read to its end.

        Parameters
        ----------
        data : bytes
            What arrived at once, the beginning of the request first.
        url : bytes
            Its target.
        body : bytes
            As the parser gave it.
        scope : dict of str to object
            As the route left it.
        """
        end = data.find(_END) + 4
        # A body in chunks is longer on the wire; behind a whole request another may stand.
        is_whole = len(data) - end == len(body) and end <= _MOST_BYTES
        if (
            not is_whole
            or HEAD not in scope
            or any(name == _OF_ONE for name, _ in scope["headers"])
        ):
            return
        if len(self._known) >= self._capacity:
            self._known.clear()
        kept = {"type": "http", **{name: scope[name] for name in _OF_A_REQUEST}}
        self._known[data[:end]] = KnownHead(url, len(body), kept)
