"""What people are told, once each: a box of messages that outlives the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mlwb.core.canonical import canonical_bytes, digest_bytes
from mlwb.core.clock import format_utc
from mlwb.core.errors import EvidenceSchemaError

__all__ = ["Notice", "Outbox"]

_MOST_TRIES = 10
_MOST_WAITING = 64
_MOST_REMEMBERED = 256


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One message.

    Parameters
    ----------
    event : str
        ``fired``, ``cleared``, ``acted``, ``held``, ``failed`` or ``retrain``.
    version : str
        The version it is about.
    about : str
        Name of the trigger, or what a version was rolled back to.
    text : str
        A sentence for people.
    since : str
        What makes it this event and no other of its kind: the same is not sent twice.
    at : str
        When it was noticed, UTC with ``Z``.
    tries : int, default=0
        Times it was sent in vain.
    """

    event: str
    version: str
    about: str
    text: str
    since: str
    at: str
    tries: int = 0

    @property
    def id(self) -> str:
        """Digest of what it is about: the same event has the same id, also after a crash."""
        return digest_bytes(
            canonical_bytes([self.event, self.version, self.about, self.since])
        ).removeprefix("sha256:")[:32]

    def body(self) -> bytes:
        """What is sent: canonical JSON."""
        return canonical_bytes({
            "schema": "mlwb.notice/1", "id": self.id, "event": self.event,
            "model_version": self.version, "about": self.about, "text": self.text, "at": self.at,
        })  # fmt: skip


@dataclass(frozen=True)
class Outbox:
    """Messages that wait, and ids of those that need not be sent again.

    Parameters
    ----------
    waiting : tuple of Notice
        Oldest first; 64 at most, the oldest are dropped.
    known : tuple of str
        Ids that were put in before; the newest 256.
    given_up : int, default=0
        Messages that were dropped, or tried ten times in vain.
    """

    waiting: tuple[Notice, ...] = ()
    known: tuple[str, ...] = ()
    given_up: int = 0

    def put(self, notice: Notice) -> Outbox:
        """Add a message, unless it was added before."""
        if notice.id in self.known:
            return self
        waiting = (*self.waiting, notice)
        return Outbox(
            waiting[-_MOST_WAITING:],
            (*self.known, notice.id)[-_MOST_REMEMBERED:],
            self.given_up + max(0, len(waiting) - _MOST_WAITING),
        )

    def send(self, deliver: Callable[[Notice], str]) -> Outbox:
        """Try each message once; at the first that fails the others wait for the next time.

        Parameters
        ----------
        deliver : callable
            Returns what went wrong; empty when it was delivered.
        """
        left = list(self.waiting)
        given_up = self.given_up
        while left:
            if not deliver(left[0]):
                left.pop(0)
                continue
            left[0] = replace(left[0], tries=left[0].tries + 1)
            if left[0].tries >= _MOST_TRIES:
                left.pop(0)
                given_up += 1
            break
        return Outbox(tuple(left), self.known, given_up)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "waiting": [vars(notice) for notice in self.waiting],
            "known": list(self.known),
            "given_up": self.given_up,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Outbox:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        EvidenceSchemaError
            It is no such state.
        """
        try:
            waiting = tuple(Notice(**item) for item in value["waiting"])
            return cls(waiting, tuple(map(str, value["known"])), int(value["given_up"]))
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceSchemaError("not a box of messages", got=str(error)) from error


def notice(event: str, version: str, about: str, text: str, *, since: str, at: datetime) -> Notice:
    """A message noticed now."""
    return Notice(
        event=event, version=version, about=about, text=text, since=since, at=format_utc(at)
    )
