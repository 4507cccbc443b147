"""The log of a registry on an object store: one immutable object a line, none replaced.

``log/000000000012.json`` holds line 12 as ``promotions.log`` would, and, where its writer has a
key, a second line: the signature of the log up to it. Creating the object of the next number is
the compare-and-swap of the whole registry: of several writers one gets the number, the others
see what it wrote and look again whether what they want still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.chain import Link, Problem, next_link, out_of_place, parse_link
from mlwb.core.errors import BrokenChainError, EvidenceSchemaError, SignatureError
from mlwb.core.signing import Signer
from mlwb.registry._signed_head import HEAD_TYPE
from mlwb.registry._state import State, fold
from mlwb.registry._store import ObjectStore, Stored, in_parallel, write_once

__all__ = ["RemoteLog", "slot"]

_DIGITS = 12
_FOLDER = "log/"
_AHEAD = 32


def slot(seq: int) -> str:
    """Key of a line."""
    return f"{_FOLDER}{seq:0{_DIGITS}d}.json"


class RemoteLog:
    """The lines, as far as they were read; reading goes on from there.

    Parameters
    ----------
    store : ObjectStore
        Of the registry.
    signer : Signer
        Signs lines where it holds a private key.
    known : sequence of Link, optional
        Lines that were read before, such as those of a mirror; the last must still be there.
    """

    def __init__(self, store: ObjectStore, signer: Signer, known: Sequence[Link] = ()) -> None:
        self._store, self._signer = store, signer
        self._links = list(known)
        self._envelopes: dict[int, object] = {}
        self._is_checked, self._n_known = not known, len(known)
        self._state = State()

    @property
    def links(self) -> tuple[Link, ...]:
        """What was read so far."""
        return tuple(self._links)

    def state(self, until: int = 0) -> State:
        """The fold of what was read so far, or of its first lines."""
        if until and until != len(self._links):
            return fold(self._links[:until])
        if self._state.seq != len(self._links):
            self._state = fold(self._links[self._state.seq :], self._state)
        return self._state

    def envelope(self, seq: int) -> object:
        """Signature of the log up to a line as it was read, None where there is none."""
        return self._envelopes.get(seq)

    def read_on(self, until: int = 0) -> State:
        """Read what came since, and give the state.

        Parameters
        ----------
        until : int, default=0
            Read no further than this line; 0 for all there is.

        Raises
        ------
        BrokenChainError
            A line is damaged or out of place, or what was read before is gone.
        StoreUnavailableError
            The store does not answer.
        """
        self._check_known()
        ahead = 1
        while found := self._next(min(ahead, until - len(self._links)) if until else ahead):
            ahead = min(_AHEAD, 2 * len(found))
        return self.state()

    def append(self, body: Mapping[str, Any], holds: Callable[[State], None]) -> State:
        """Add a line behind whatever others add meanwhile, as long as it still may be said.

        Parameters
        ----------
        body : mapping
            What the line says. Holds something unique, so that no two writers have the same line.
        holds : callable
            Is given the state the line would follow, every time that is another; raises when the
            line may not be said any more.

        Returns
        -------
        State
            After the line.

        Raises
        ------
        StoreUnavailableError
            It is not known whether the line was written.
        """
        while True:
            holds(self.read_on())
            link = next_link(body, self._links[-1] if self._links else None)
            envelope = self._sign(link)
            data = b"".join(part + b"\n" for part in (link.line, envelope) if part)
            if write_once(self._store, slot(link.seq), data):
                self._take(link, parse_json(envelope) if envelope else None)
                return self.state()

    def signed(self, since: int = 1) -> int:
        """Number of the last line, not before a line, that a pinned key signed; 0 for none.

        Since each line names the digest of the one before, it vouches for all before it too.
        """
        for link in reversed(self._links[max(since, 1) - 1 :]):
            if link.seq <= self._n_known and link.seq not in self._envelopes:
                stored = self._store.get(slot(link.seq))
                self._envelopes[link.seq] = _parsed(stored, link.seq)[1] if stored else None
            try:
                self._signer.verify(self.envelope(link.seq), HEAD_TYPE, _said(link))
            except SignatureError:
                continue
            return link.seq
        return 0

    def check_signed(self, flipped: int) -> None:
        """Raise where a key is pinned and none of those vouches for a move of `latest`.

        Parameters
        ----------
        flipped : int
            The line that moved it, 0 when none did.

        Raises
        ------
        SignatureError
            That line, and all after it, are signed by nobody that counts.
        """
        if self._signer.is_pinned and flipped and not self.signed(flipped):
            raise SignatureError(
                f"line {flipped} of the log moved latest and no pinned key vouches for it",
                todo="mlwb registry sign",
            )

    def problems(self) -> Iterator[Problem]:
        """What is wrong with the lines, read anew; lists, so it is for people."""
        before: Link | None = None
        numbers = _numbers(self._store.list(_FOLDER))
        for number in range(1, max(numbers, default=0) + 1):
            stored = self._store.get(slot(number))
            if stored is None:
                yield Problem("missing", slot(number), "there are lines after it")
                before = None
                continue
            try:
                link, _ = _parsed(stored, number)
            except BrokenChainError as error:
                yield Problem("edited", slot(number), error.what)
                before = None
                continue
            if misplaced := out_of_place(link, before, number):
                yield Problem("reordered", slot(number), misplaced)
            before = link

    def _next(self, wanted: int) -> list[Link]:
        """Read up to so many lines at once, up to the first that is not there."""
        first = len(self._links) + 1
        numbers = range(first, first + max(0, wanted))
        found = in_parallel(self._store, lambda number: self._store.get(slot(number)), numbers)
        taken = []
        for number, stored in zip(numbers, found, strict=True):
            if stored is None:
                break
            link, envelope = _parsed(stored, number)
            before = self._links[-1] if self._links else None
            if misplaced := out_of_place(link, before, number):
                raise BrokenChainError(f"{slot(number)}: {misplaced}")
            self._take(link, envelope)
            taken.append(link)
        return taken

    def _check_known(self) -> None:
        if self._is_checked:
            return
        last = self._links[-1]
        stored = self._store.get(slot(last.seq))
        link, envelope = (None, None) if stored is None else _parsed(stored, last.seq)
        if link is None or link.sha256 != last.sha256:
            raise BrokenChainError(
                f"{self._store.name}: line {last.seq} of the log is not the one read before",
                todo="somebody cut or replaced the log there; look before you trust it",
            )
        self._envelopes[last.seq] = envelope
        self._is_checked = True

    def _take(self, link: Link, envelope: object) -> None:
        self._links.append(link)
        if envelope is not None:
            self._envelopes[link.seq] = envelope

    def _sign(self, link: Link) -> bytes:
        if not self._signer.can_sign:
            return b""
        return canonical_bytes(self._signer.sign(HEAD_TYPE, _said(link)))


def _said(link: Link) -> bytes:
    return canonical_bytes({"seq": link.seq, "sha256": link.sha256})


def _parsed(stored: Stored, number: int) -> tuple[Link, object]:
    line, _, rest = stored.data.partition(b"\n")
    link = parse_link(line, slot(number))
    envelope = rest.removesuffix(b"\n")
    try:
        return link, parse_json(envelope) if envelope else None
    except EvidenceSchemaError as error:
        raise BrokenChainError(f"{slot(number)} ends in something that is no signature") from error


def _numbers(keys: Sequence[str]) -> list[int]:
    names = (key.removeprefix(_FOLDER).removesuffix(".json") for key in keys)
    return [int(name) for name in names if name.isdecimal() and len(name) == _DIGITS]
