"""Whether a decision lets exactly these bytes through."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlwb.core.canonical import digest
from mlwb.core.clock import parse_utc
from mlwb.core.errors import PromotionRefusedError
from mlwb.registry._state import State
from mlwb.registry._version import VersionInfo

__all__ = ["check_decision", "cited_decision", "confirmations"]


def check_decision(
    state: State,
    info: VersionInfo,
    decision: Mapping[str, Any] | None,
    *,
    is_bootstrap: bool,
    oldest: datetime | None,
) -> None:
    """Raise unless the decision is a yes to this version.

    Raises
    ------
    PromotionRefusedError
        No decision, a no, made before `oldest`, about another version or other bytes, or used
        before; or a bootstrap of a registry that already had a `latest`.
    """
    if is_bootstrap:
        if state.history:
            raise PromotionRefusedError("only an empty registry is bootstrapped")
        return
    if decision is None:
        raise PromotionRefusedError(
            f"{info.version} has no decision", todo="let the gates decide: mlwb gate decide"
        )
    details = decision.get("details")
    if decision.get("kind") != "decision" or not isinstance(details, Mapping):
        raise PromotionRefusedError("that is no decision record", got=str(decision.get("kind")))
    if details.get("promote") is not True:
        reasons = "; ".join(str(reason) for reason in details.get("reasons", ()))
        raise PromotionRefusedError(f"the gates did not pass: {reasons or 'no reason given'}")
    _check_age(details, oldest)
    _check_subject(state, info, details, digest(decision))


def _check_age(details: Mapping[str, Any], oldest: datetime | None) -> None:
    made = str(details.get("now", ""))
    try:
        is_young = oldest is None or parse_utc(made) >= oldest
    except ValueError:
        is_young = False
    if not is_young:
        raise PromotionRefusedError(
            "the decision is too old", expected=f"made since {oldest:%Y-%m-%dT%H:%M:%SZ}",
            got=made or "no time", todo="let the gates decide again: mlwb gate decide",
        )  # fmt: skip


def cited_decision(decision: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the log says of a decision: its digest, its policy's, its confirmations."""
    policy = decision["details"].get("policy", {}) if decision else {}
    return {
        "decision_sha256": digest(decision) if decision else "",
        "policy_sha256": str(policy.get("digest", "")),
        "confirmations": confirmations(decision),
    }


def _check_subject(
    state: State, info: VersionInfo, details: Mapping[str, Any], decision_sha256: str
) -> None:
    if details.get("model_version") != info.version:
        raise PromotionRefusedError(
            "the decision is about another version",
            expected=info.version,
            got=str(details.get("model_version")),
        )
    if details.get("manifest_sha256") != info.sha256:
        raise PromotionRefusedError(
            "the decision is about other bytes",
            expected=info.sha256,
            got=str(details.get("manifest_sha256")) or "none",
        )
    if decision_sha256 in state.used_decisions:
        raise PromotionRefusedError(
            "the decision was used before", todo="let the gates decide again: mlwb gate decide"
        )
    reused = state.used_confirmations & set(confirmations({"details": details}))
    if reused:
        raise PromotionRefusedError("the confirmation was used before", got=", ".join(reused))


def confirmations(decision: Mapping[str, Any] | None) -> list[str]:
    """Run ids of the confirmations a decision rests on."""
    verdicts = decision["details"].get("verdicts", ()) if decision else ()
    return [
        str(cited["run_id"])
        for verdict in verdicts
        if verdict["gate"] == "confirmation"
        for cited in verdict["evidence"]
    ]
