"""What the promotion log remembers of the evidence ledger and of the audit log."""

from __future__ import annotations

from pathlib import Path

from mlwb.core.chain import Chain, Head
from mlwb.core.errors import BrokenChainError

__all__ = ["audit_head", "audit_heads", "evidence_heads"]


def evidence_heads(log: Path) -> tuple[Head, ...]:
    """Ledger lines that promotions were made on: each must still be in the evidence ledger.

    Parameters
    ----------
    log : Path
        ``promotions.log``; need not exist.

    Raises
    ------
    BrokenChainError
        The log was edited.
    """
    return _remembered(log, "evidence_head")


def audit_heads(log: Path) -> tuple[Head, ...]:
    """Lines of ``audit.log`` beside the promotion log that were its last when something changed.

    Parameters
    ----------
    log : Path
        ``promotions.log``; need not exist.

    Raises
    ------
    BrokenChainError
        The log was edited.
    """
    return _remembered(log, "audit_head")


def audit_head(home: Path) -> str:
    """Digest of the last line of the audit log in a registry's home; empty where there is none.

    Parameters
    ----------
    home : Path
        Where ``promotions.log`` stands.
    """
    try:
        head = Chain(home / "audit.log").head()
    except (BrokenChainError, OSError):
        return ""  # a change of the registry does not wait for a log that is not its own
    return "" if head is None else head.sha256


def _remembered(log: Path, field: str) -> tuple[Head, ...]:
    return tuple(
        Head(0, str(link.body[field]), kept_by=f"line {link.seq} of {log.name}")
        for link in Chain(log).links()
        if link.body.get(field)
    )
