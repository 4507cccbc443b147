"""What the promotion log remembers of the evidence ledger."""

from __future__ import annotations

from pathlib import Path

from mlwb.core.chain import Chain, Head

__all__ = ["evidence_heads"]


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
    return tuple(
        Head(0, str(link.body["evidence_head"]), kept_by=f"line {link.seq} of {log.name}")
        for link in Chain(log).links()
        if link.body.get("evidence_head")
    )
