"""Signed heads of the ledger: who holds the key vouches that the ledger reached this line.

``heads.jsonl`` beside the ledger, a chain of its own. A ledger cut below a signed line, or chained
anew before it, no longer holds that line; without the private key nobody can sign another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlwb.core.canonical import JsonValue, canonical_bytes
from mlwb.core.chain import Chain, Head, Link, Problem
from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import BrokenChainError, SignatureError
from mlwb.core.signing import Signer

__all__ = ["SignedHeads"]

_TYPE = "application/vnd.mlwb.ledger-head+json"


class SignedHeads:
    """The signed heads of one evidence directory.

    Parameters
    ----------
    root : Path
        Evidence directory.
    signer : Signer
        Keys of this process; may hold none.
    """

    def __init__(self, root: Path, signer: Signer) -> None:
        self._chain, self._signer = Chain(root / "heads.jsonl"), signer

    def sign(self, head: Head, clock: Clock) -> None:
        """Sign a ledger line and keep the signature; the caller holds the ledger's lock.

        Raises
        ------
        SignatureError
            There is no usable private key.
        BrokenChainError
            The file of heads was edited.
        """
        said = {"seq": head.seq, "sha256": head.sha256, "at": format_utc(clock.now())}
        envelope = self._signer.sign(_TYPE, canonical_bytes(said))
        self._chain.append({"head": said, "envelope": envelope})

    def heads(self) -> tuple[Head, ...]:
        """Every ledger line that was signed, oldest first; none from a file that was edited."""
        try:
            return tuple(_head(link) for link in self._chain.links())
        except BrokenChainError:
            return ()

    def problems(self, decided: Head | None) -> Iterator[Problem]:
        """What is wrong with the signatures.

        Parameters
        ----------
        decided : Head, optional
            Ledger line of the newest decision. Where a public key is pinned, a signed head must
            cover it.
        """
        found = self._chain.problems()
        yield from found
        if found or not self._signer.is_pinned:
            return
        for link in self._chain.links():
            try:
                said = canonical_bytes(link.body["head"])
                self._signer.verify(link.body["envelope"], _TYPE, said)
            except SignatureError as error:
                yield Problem("forged", f"{self._chain.path.name} line {link.seq}", error.what)
        reached = max((head.seq for head in self.heads()), default=0)
        if decided is not None and reached < decided.seq:
            what = "a key is pinned, and no signed head covers the newest decision"
            yield Problem("unsigned", f"ledger line {decided.seq}", what)


def _head(link: Link) -> Head:
    said: JsonValue = link.body["head"]
    return Head(said["seq"], said["sha256"], kept_by=f"signed head {link.seq}")
