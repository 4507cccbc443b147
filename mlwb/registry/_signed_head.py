"""The signed head of ``promotions.log``: the log reached this line, and a key vouches for it.

A log cut below that line, or chained anew before it, no longer holds it, and nobody without the
private key can sign another. Whoever can put back an old log together with its old signature
is not noticed here: keep the head outside too (the evidence cites it, a report, a tag).
"""

from __future__ import annotations

from collections.abc import Iterator

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.chain import Chain, Problem
from mlwb.core.errors import BrokenChainError, EvidenceSchemaError, SignatureError
from mlwb.core.signing import Signer

__all__ = ["HEAD_TYPE", "SignedHead"]

HEAD_TYPE = "application/vnd.mlwb.promotions-head+json"


class SignedHead:
    """``promotions.sig`` beside the log.

    Parameters
    ----------
    chain : Chain
        The log.
    signer : Signer
        Keys of this process; may hold none.
    """

    def __init__(self, chain: Chain, signer: Signer) -> None:
        self._chain, self._signer = chain, signer
        self.path = chain.path.with_suffix(".sig")

    def sign(self) -> int:
        """Sign the last line; its number.

        Raises
        ------
        SignatureError
            There is no usable private key, or nothing to sign.
        BrokenChainError
            The log no longer holds the line signed before.
        """
        head = self._chain.head()
        if head is None:
            raise SignatureError("the log is empty, there is nothing to sign")
        if self.path.exists() and self._signer.is_pinned:
            self.check()
        said = {"seq": head.seq, "sha256": head.sha256}
        envelope = self._signer.sign(HEAD_TYPE, canonical_bytes(said))
        fsops.write_atomic(self.path, canonical_bytes({"head": said, "envelope": envelope}))
        return head.seq

    def check(self) -> int:
        """Number of the line that a pinned key signed, still in the log.

        Raises
        ------
        SignatureError
            It is not signed, or by another key.
        BrokenChainError
            The log does not hold that line.
        """
        try:
            stored = parse_json(fsops.read_bytes(self.path))
            said, envelope = stored["head"], stored["envelope"]
        except FileNotFoundError as error:
            raise SignatureError(
                "promotions.log is not signed, and a key is pinned", todo="mlwb registry sign"
            ) from error
        except (EvidenceSchemaError, KeyError, TypeError) as error:
            raise SignatureError(f"{self.path.name} cannot be read") from error
        self._signer.verify(envelope, HEAD_TYPE, canonical_bytes(said))
        if not any(link.sha256 == said["sha256"] for link in self._chain.links()):
            raise BrokenChainError(
                f"{self._chain.path.name} was cut or replaced: line {said['seq']} was signed",
                todo="restore the file from a copy",
            )
        return int(said["seq"])

    def problems(self, flipped: int) -> Iterator[Problem]:
        """What is wrong, where a key is pinned.

        Parameters
        ----------
        flipped : int
            Number of the line that announced the last move of `latest`; 0 before the first.
        """
        if not self._signer.is_pinned or not flipped:
            return
        try:
            signed = self.check()
        except BrokenChainError as error:
            yield Problem("truncated", self._chain.path.name, error.what)
        except SignatureError as error:
            yield Problem("unsigned", self.path.name, error.what)
        else:
            if signed < flipped:
                what = f"line {flipped} moved latest, only line {signed} is signed"
                yield Problem("unsigned", self.path.name, what)
