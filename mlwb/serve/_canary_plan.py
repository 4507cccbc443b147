"""What a canary is about and what was ordered: the form of its file."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["CanaryLock", "CanaryMode", "CanaryPlan", "Percent", "new_salt"]

CanaryMode = Literal["off", "observe", "live"]
Percent = Annotated[float, Meta(ge=0.0, le=100.0)]


class CanaryLock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a canary is about; another of any of these is another canary.

    Parameters
    ----------
    champion, candidate : str
        Versions.
    champion_sha256, candidate_sha256 : str
        Digests of their manifests.
    policy_sha256 : str
        Digest of the policy; empty for a server that knows none.
    """

    champion: str
    champion_sha256: str
    candidate: str
    candidate_sha256: str
    policy_sha256: str


class CanaryPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A canary as it was ordered, or how the last one ended; the form of the file.

    Parameters
    ----------
    mode : {"off", "observe", "live"}
        The candidate is not asked, is compared after the answer, or answers.
    percent : float
        Share of the requests, in [0, 100].
    salt : str
        Draws the requests; kept while the share grows.
    lock : CanaryLock or None
        None when off.
    reason, by, since : str
        Why, who and when (RFC 3339, UTC).
    ended : str
        Why the server went back to 0 by itself; empty otherwise. After a lease that was not
        renewed, salt and lock are kept: whoever goes on draws the same requests.
    holder : str
        Who may renew the lease and change the share; empty where anybody may.
    ttl_s : float
        How long it lasts unless it is renewed; 0 is until somebody ends it.
    """

    mode: CanaryMode = "off"
    percent: Percent = 0.0
    salt: str = ""
    lock: CanaryLock | None = None
    reason: str = ""
    by: str = ""
    since: str = ""
    ended: str = ""
    holder: str = ""
    ttl_s: float = 0.0

    def __str__(self) -> str:
        about = f" of {self.lock.candidate} over {self.lock.champion}" if self.lock else ""
        return f"{self.mode} {self.percent:g} %{about}"


def new_salt() -> str:
    """Sixteen random hex digits."""
    return secrets.token_hex(8)
