"""Which requests a candidate takes: a sticky share, the same for whoever computes it."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from mlwb.serve._http import Scope
from mlwb.serve._models import Live

__all__ = ["Split", "sticky_key"]

_PARTS = 10_000
_HEADER = b"x-canary-key"


class Split(NamedTuple):
    """An open canary as the hot path needs it.

    Parameters
    ----------
    share : int
        Requests the candidate takes, of 10,000.
    salt : bytes
        Of this canary: the next one draws other requests.
    is_live : bool
        Whether the candidate answers; else it is only compared.
    candidate : Live
        Takes the share.
    """

    share: int
    salt: bytes
    is_live: bool
    candidate: Live

    def takes(self, key: bytes) -> bool:
        """Whether a request is the candidate's.

        ``blake2b(salt, key) mod 10,000 < share``: a key stays where it is while the share is, and
        a larger share keeps every key that a smaller one had.
        """
        drawn = hashlib.blake2b(key, digest_size=8, key=self.salt).digest()
        return int.from_bytes(drawn, "big") % _PARTS < self.share


def sticky_key(scope: Scope, request_id: str) -> bytes:
    """What a request is drawn by: its ``X-Canary-Key`` header, else its id."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            return bytes(value)
    return request_id.encode()
