"""The line of the access log."""

from __future__ import annotations

from datetime import datetime

import msgspec

__all__ = ["AccessLine"]


class AccessLine(msgspec.Struct, frozen=True, gc=False):
    """One request of the access log: nothing of its query, its body or its key.

    Parameters
    ----------
    ts : datetime
        UTC, when it was answered.
    request_id : str
        Of the answer.
    key : str
        Id of the key; empty without a valid one.
    method : str
        Of the request.
    route : str
        Pattern of the route; ``"-"`` where there is none.
    status : int
        Of the answer; 0 when the client was gone.
    ms : float
        From the first look at the headers to the end of the answer.
    """

    ts: datetime
    request_id: str
    key: str
    method: str
    route: str
    status: int
    ms: float
