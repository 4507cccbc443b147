"""How long a canary goes on without whoever ordered it: a lease that is renewed, or ends.

Time is monotonic and no file's: a server that starts anew holds no lease. Workers share the end of
it through a file beside that of the canary, read only when their own has come.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mlwb.core import fsops

__all__ = ["LEASE_EXPIRED", "Holder", "LeaseEnd", "LeaseTtl", "read_lease", "write_lease"]

LEASE_EXPIRED = "lease_expired"
"""Why a canary ended whose runner was silent for too long, or whose server started anew."""

Holder = Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9._-]*$")]
LeaseTtl = Annotated[float, Meta(ge=0.1, le=604_800.0)]


class LeaseEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a lease ends; the form of its file.

    Parameters
    ----------
    holder : str
        Whose it is.
    until_s : float
        On the monotonic clock of this machine since it was started.
    """

    holder: str
    until_s: float


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LeaseEnd).decode


def read_lease(path: Path, holder: str) -> float:
    """Until when somebody holds the canary; minus infinity where the file does not say so.

    Parameters
    ----------
    path : Path
        As :func:`write_lease` wrote it; need not exist.
    holder : str
        Whose lease is meant.
    """
    try:
        found = _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return float("-inf")
    return found.until_s if found.holder == holder else float("-inf")


def write_lease(path: Path, lease: LeaseEnd) -> None:
    """Tell the other workers.

    Raises
    ------
    OSError
        The disk refuses; they end the canary when the lease they know is over.
    """
    fsops.write_atomic(path, _encode(lease) + b"\n")
