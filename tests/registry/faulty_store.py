"""Stores that misbehave on purpose, each in one way, at a place that a test names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mlwb.core.errors import StoreUnavailableError
from mlwb.registry import ObjectStore
from mlwb.registry._store import Stored, Tag

T = TypeVar("T")

WRITES = ("put_if_absent", "compare_and_swap", "delete")


class Died(BaseException):
    """The process is gone: nothing may catch this."""


@dataclass
class Faulty:
    """A store in front of another: it counts the calls and lets some go wrong.

    Parameters
    ----------
    behind : ObjectStore
        Does the work.
    faults : mapping of int to str
        What happens to the n-th call, from 1: ``"lost"`` (done, but the answer never comes),
        ``"timeout"`` (not done), ``"conflict"`` (409: not done, repeat), ``"die before"``,
        ``"die after"``.
    is_away : bool
        No call is answered.
    """

    behind: ObjectStore
    faults: Mapping[int, str] = field(default_factory=dict)
    is_away: bool = False
    calls: list[str] = field(default_factory=list)
    name: str = "faulty"
    pause_s: float = 0.0
    n_parallel: int = 1

    def get(self, key: str) -> Stored | None:
        """As the store behind."""
        return self._done("get", key, lambda: self.behind.get(key))

    def put_if_absent(self, key: str, data: bytes) -> Tag | None:
        """As the store behind."""
        return self._done("put_if_absent", key, lambda: self.behind.put_if_absent(key, data))

    def compare_and_swap(self, key: str, data: bytes, tag: Tag) -> Tag | None:
        """As the store behind."""
        return self._done(
            "compare_and_swap", key, lambda: self.behind.compare_and_swap(key, data, tag)
        )

    def list(self, prefix: str) -> tuple[str, ...]:
        """As the store behind."""
        return self._done("list", prefix, lambda: self.behind.list(prefix)) or ()

    def delete(self, key: str) -> None:
        """As the store behind."""
        self._done("delete", key, lambda: self.behind.delete(key))

    def _done(self, call: str, key: str, job: Callable[[], T]) -> T | None:
        self.calls.append(f"{call} {key}")
        fault = "timeout" if self.is_away else self.faults.get(len(self.calls), "")
        if fault == "die before":
            raise Died(self.calls[-1])
        if fault == "timeout":
            raise StoreUnavailableError("no answer", got=self.calls[-1])
        if fault == "conflict" and call in WRITES:
            return None
        result = job()
        if fault == "lost":
            raise StoreUnavailableError("the answer was lost", got=self.calls[-1])
        if fault == "die after":
            raise Died(self.calls[-1])
        return result


class Careless(Faulty):
    """A clone that takes the conditional headers and does not look at them."""

    def put_if_absent(self, key: str, data: bytes) -> Tag | None:
        """Create or replace, whatever is there."""
        self.behind.delete(key)
        return self.behind.put_if_absent(key, data)


class Stale(Faulty):
    """A clone that knows If-None-Match, but not If-Match."""

    def compare_and_swap(self, key: str, data: bytes, tag: Tag) -> Tag | None:  # noqa: ARG002 - the fault
        """Replace, whatever the tag."""
        self.behind.delete(key)
        return self.behind.put_if_absent(key, data)
