"""What a registry needs of an object store, and how little of its answers is believed.

Four calls change or read one object; listing is for people. A refused write may have been made by
ourselves (a client that repeated a request whose answer was lost is told that the key is
taken), and a call that failed may have happened. So nobody acts on either: :func:`write_once`
looks at what stands there, and what is written once says by its bytes whose it is.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple, Protocol, TypeVar

from mlwb.core.errors import StorageError, StoreUnavailableError

__all__ = [
    "MemoryStore",
    "ObjectStore",
    "Stored",
    "Tag",
    "in_parallel",
    "probe",
    "put_right",
    "wait",
    "write_once",
]

_TRIES = 6

_K = TypeVar("_K")
_T = TypeVar("_T")


class Tag(NamedTuple):
    """State of an object as the store names it: an ETag, a generation, or both.

    Parameters
    ----------
    e_tag, version : str, default=""
        Empty where the store has none.
    """

    e_tag: str = ""
    version: str = ""


class Stored(NamedTuple):
    """An object as it was read.

    Parameters
    ----------
    data : bytes
        All of it.
    tag : Tag
        Which state of it.
    """

    data: bytes
    tag: Tag


class ObjectStore(Protocol):
    """Objects by key, below one prefix of one bucket.

    Every call raises `StorageError` where the store refuses for good (no such bucket, no
    permission), and `StoreUnavailableError` where it does not answer: a write may then have
    happened or not.

    Attributes
    ----------
    name : str
        For people, such as ``"s3://bucket/prefix"``; no credentials.
    pause_s : float
        First pause before a call is repeated, seconds.
    n_parallel : int
        Calls that are made at the same time where order does not matter.
    """

    name: str
    pause_s: float
    n_parallel: int

    def get(self, key: str) -> Stored | None:
        """An object, None when there is none."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> Tag | None:
        """Create an object; None when the store says there is one, or a writer was quicker."""
        ...

    def compare_and_swap(self, key: str, data: bytes, tag: Tag) -> Tag | None:
        """Replace an object that still has a tag; None when the store says it has another."""
        ...

    def list(self, prefix: str) -> tuple[str, ...]:
        """Keys below a prefix, by name. For people: no reader of `latest` lists."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine."""
        ...


class MemoryStore:
    """An object store in this process, for tests and examples; safe between threads.

    Examples
    --------
    >>> store = MemoryStore()
    >>> tag = store.put_if_absent("a", b"1")
    >>> store.put_if_absent("a", b"2") is None
    True
    >>> tag = store.compare_and_swap("a", b"2", tag)
    >>> store.get("a").data
    b'2'
    """

    name, pause_s, n_parallel = "memory", 0.0, 1

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Stored | None:
        """An object, None when there is none."""
        with self._lock:
            data = self.objects.get(key)
        return None if data is None else Stored(data, _tag(data))

    def put_if_absent(self, key: str, data: bytes) -> Tag | None:
        """Create an object; None when there is one."""
        with self._lock:
            if key in self.objects:
                return None
            self.objects[key] = data
        return _tag(data)

    def compare_and_swap(self, key: str, data: bytes, tag: Tag) -> Tag | None:
        """Replace an object that still has a tag; None when it has another."""
        with self._lock:
            if key not in self.objects or _tag(self.objects[key]) != tag:
                return None
            self.objects[key] = data
        return _tag(data)

    def list(self, prefix: str) -> tuple[str, ...]:
        """Keys below a prefix, by name."""
        with self._lock:
            return tuple(sorted(key for key in self.objects if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine."""
        with self._lock:
            self.objects.pop(key, None)


def _tag(data: bytes) -> Tag:
    return Tag(hashlib.sha256(data).hexdigest())  # as S3 does: the same bytes have the same tag


def write_once(store: ObjectStore, key: str, data: bytes) -> bool:
    """Create an object that nobody changes afterwards; whether it now holds exactly these bytes.

    False is certain: other bytes stand there, and stay. A conflict that the store wants repeated,
    a lost answer and a refusal of our own repeated request all end with a look.

    Raises
    ------
    StoreUnavailableError
        It is not known whether the object was written; reading its key tells.
    StorageError
        The store refuses for good.
    """
    failed: StoreUnavailableError | None = None
    for attempt in range(_TRIES):
        try:
            if store.put_if_absent(key, data) is not None:
                return True
            if (there := store.get(key)) is not None:
                return there.data == data
        except StoreUnavailableError as error:
            failed = error
            with suppress(StoreUnavailableError):
                if (there := store.get(key)) is not None:
                    return there.data == data
        wait(store, attempt)
    raise StoreUnavailableError(
        f"it is not known whether {key} was written to {store.name}",
        got=failed.what if failed else "one conflict after the other",
        todo="when it answers again: mlwb registry status says what is there",
    ) from failed


def put_right(store: ObjectStore, key: str, data: bytes) -> None:
    """Make an object hold the bytes that belong there, whatever stood there.

    Raises
    ------
    StorageError
        It does not come to hold them.
    """
    for attempt in range(_TRIES):
        if write_once(store, key, data):
            return
        with suppress(StoreUnavailableError):  # the next round looks
            if (there := store.get(key)) is not None:
                store.compare_and_swap(key, data, there.tag)
        wait(store, attempt)
    raise StorageError(f"{key} does not take the bytes that belong there", got=store.name)


def wait(store: ObjectStore, attempt: int) -> None:
    """Pause before a call is repeated: longer each time, and not in step with others."""
    time.sleep(store.pause_s * 2**attempt * (0.5 + secrets.randbelow(1000) / 1000))


def in_parallel(store: ObjectStore, job: Callable[[_K], _T], items: Iterable[_K]) -> list[_T]:
    """The results of a job for every item, in order, several at a time."""
    wanted: Sequence[_K] = tuple(items)
    if store.n_parallel < 2 or len(wanted) < 2:
        return [job(item) for item in wanted]
    with ThreadPoolExecutor(min(store.n_parallel, len(wanted))) as pool:
        return list(pool.map(job, wanted))


def probe(store: ObjectStore) -> None:
    """Find out by trying whether the store keeps the promises everything here rests on.

    A random key is created twice and swapped with a stale tag; both must be refused.

    Raises
    ------
    StorageError
        It took what it must refuse, as stores do that do not know the conditional headers: two
        promotions at a time would both win. Or it refuses everything.
    StoreUnavailableError
        It does not answer.
    """
    try:
        _try_out(store)
    except StoreUnavailableError as error:
        asked = error.__cause__ if isinstance(error.__cause__, StoreUnavailableError) else error
        raise StoreUnavailableError(
            f"{store.name} does not answer, and nothing was changed there",
            got=asked.got,
            todo=asked.todo,
        ) from error


def _try_out(store: ObjectStore) -> None:
    key = f"probe/{secrets.token_hex(16)}"
    store.get(key)  # where nobody answers, this says so before a write is tried again and again
    if not write_once(store, key, b"1") or (first := store.get(key)) is None:
        raise StorageError(f"{store.name} does not keep an object it created", got=key)
    try:
        if store.put_if_absent(key, b"2") is not None:
            raise _careless(store, "it created the same object twice")
        if store.compare_and_swap(key, b"3", first.tag) is None:
            there = store.get(key)  # refused perhaps only to a repetition of our own
            if there is None or there.data != b"3":
                raise StorageError(f"{store.name} refuses to replace an object by its tag")
        if store.compare_and_swap(key, b"4", first.tag) is not None:
            raise _careless(store, "it replaced an object whose tag was stale")
    finally:
        with suppress(StorageError):  # a writer that may not delete leaves a byte behind
            store.delete(key)


def _careless(store: ObjectStore, what: str) -> StorageError:
    return StorageError(
        f"{store.name} ignores conditional writes, so it cannot hold a registry: {what}",
        expected="If-None-Match and If-Match to be enforced",
        todo="use a store, or a version of it, that enforces them",
    )
