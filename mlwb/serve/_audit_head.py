"""The head of the audit log, kept beside it: how far it reached, signed where there is a key.

A chain shows what was changed in it, not what was cut off its end. The head is one line of the
chain, written down after it: a log that does not hold it was cut, or chained anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mlwb.core import fsops
from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.chain import GENESIS, Head, Problem
from mlwb.core.errors import BrokenChainError, EvidenceSchemaError, SignatureError
from mlwb.core.signing import Signer
from mlwb.registry import audit_heads
from mlwb.serve._audit_check import audit_problems, lost_heads, parts_of

__all__ = ["EMPTY", "AuditHead", "whole_audit_problems"]

EMPTY = Head(0, GENESIS)
"""Kept before the first line."""
_TYPE = "application/vnd.mlwb.audit-head+json"


class AuditHead:
    """``audit.head`` beside ``audit.log``.

    Parameters
    ----------
    log : Path
        The log.
    signer : Signer, optional
        Keys of this process; may hold none.
    """

    def __init__(self, log: Path, signer: Signer | None = None) -> None:
        self.path, self._signer = log.with_suffix(".head"), signer or Signer()

    def keep(self, head: Head) -> None:
        """Write down how far the log has come; the caller holds its lock.

        Raises
        ------
        OSError
            The disk refuses.
        SignatureError
            The private key cannot be used.
        """
        said = {"seq": head.seq, "sha256": head.sha256}
        content = {"head": said}
        if self._signer.can_sign:
            content["envelope"] = self._signer.sign(_TYPE, canonical_bytes(said))
        fsops.write_atomic(self.path, canonical_bytes(content) + b"\n")

    def read(self) -> Head | None:
        """The line that was written down, None without a file.

        Raises
        ------
        SignatureError
            It cannot be read, or a key is pinned and did not sign it.
        """
        try:
            content = parse_json(fsops.read_bytes(self.path))
            said = content["head"]
            head = Head(int(said["seq"]), str(said["sha256"]), kept_by=self.path.name)
        except FileNotFoundError:
            return None
        except (EvidenceSchemaError, KeyError, TypeError, ValueError) as error:
            raise SignatureError(f"{self.path.name} cannot be read") from error
        if self._signer.is_pinned:
            if "envelope" not in content:
                raise SignatureError(f"{self.path.name} is not signed, and a key is pinned")
            self._signer.verify(content["envelope"], _TYPE, canonical_bytes(said))
        return head


def whole_audit_problems(
    path: Path,
    *,
    signer: Signer | None = None,
    promotions: Path | None = None,
    newest: Iterable[Head] = (),
    is_quick: bool = False,
) -> tuple[Problem, ...]:
    """Everything wrong with an audit log, by all that is remembered of it.

    Parameters
    ----------
    path : Path
        ``audit.log``; need not exist.
    signer : Signer, optional
        Whose signature of the head is good, where one is pinned.
    promotions : Path, optional
        ``promotions.log``, whose lines remember how far this log had come.
    newest : iterable of Head
        What a running server remembers.
    is_quick : bool, default=False
        Ask only whether the newest of the remembered lines are there, not whether each line is
        whole: most of a long log is not even read.
    """
    heads, found = list(newest), list[Problem]()
    kept = AuditHead(path, signer)
    # Another process may be writing its first lines: the head is there before the log is, and is
    # never ahead of it.
    is_begun = any(part.exists() for part in parts_of(path))
    try:
        head = kept.read()
        if head is None and is_begun:
            found.append(Problem("missing", kept.path.name, "the kept head of the log is gone"))
        elif head is not None and head.seq:
            heads.append(head)
    except SignatureError as error:
        found.append(Problem("forged", kept.path.name, error.what))
    with suppress(BrokenChainError):  # which is the registry's to tell
        remembered = () if promotions is None else audit_heads(promotions)
        heads += remembered[-1:] if is_quick else remembered
    look = lost_heads if is_quick else audit_problems
    return (*look(path, heads), *found)
