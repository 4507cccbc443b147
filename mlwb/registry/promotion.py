"""Promotion on evidence: the one way a person or a route makes a decided version `latest`.

A door of its own: the registry itself needs neither evidence nor policy, and a server that never
promotes does not load them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from mlwb.core.clock import Clock
from mlwb.core.errors import BrokenChainError, EvidenceMissingError, PromotionRefusedError
from mlwb.evidence import EvidenceStore
from mlwb.params import Policy
from mlwb.registry._admission import confirmations
from mlwb.registry._registry import Registry
from mlwb.registry._remote import RemoteRegistry
from mlwb.registry._state import State

__all__ = ["promote_on_evidence"]


def promote_on_evidence(
    registry: Registry | RemoteRegistry,
    store: EvidenceStore,
    version: str,
    *,
    policy: Policy,
    clock: Clock,
    expect_current: str | None,
    reason: str,
    load_check: Callable[[Path], None],
    confirmation: str = "",
) -> State:
    """Make a version `latest` on the newest decision about it, and sign the evidence it rests on.

    Parameters
    ----------
    registry : Registry or RemoteRegistry
        Where the version is published.
    store : EvidenceStore
        Where the decision is; all of it must be as it was written.
    version : str
        The candidate.
    policy : Policy
        Says how old a decision may be.
    clock : Clock
        Says how old it is.
    expect_current, reason, load_check
        As for :meth:`Registry.promote`.
    confirmation : str, default=""
        Run id of the confirmation that the caller means; the decision must rest on it.

    Returns
    -------
    State
        After the promotion.

    Raises
    ------
    BrokenChainError
        Evidence was changed.
    EvidenceMissingError
        Nobody decided about this version.
    PromotionRefusedError, ArtifactError
        As :meth:`Registry.promote`; or the decision rests on another confirmation.
    """
    problems = [str(problem) for problem in store.verify()]
    if problems:
        raise BrokenChainError(
            "evidence was changed, so nothing is promoted on it", got="; ".join(problems[:3])
        )
    about = [item for item in store.records("decision") if item.model_version == version]
    if not about:
        raise EvidenceMissingError(
            f"no decision about {version}", todo="run the release review: mlwb run"
        )
    decision = about[-1].to_json()
    if confirmation and confirmation not in confirmations(decision):
        raise PromotionRefusedError(
            "the newest decision does not rest on that confirmation",
            todo="let the gates decide again: mlwb gate decide",
        )
    head = store.head()
    hours = float(Decimal(policy.limit("promotion.decision_age_h").value))
    state = registry.promote(
        version,
        decision=decision,
        expect_current=expect_current,
        reason=reason,
        oldest=clock.now() - timedelta(hours=hours),
        evidence_head=head.sha256 if head else "",
        load_check=load_check,
    )
    store.sign_head(clock)
    return state
