"""A person's yes: the phrase they are asked to type, and whether a record is that yes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mlwb.core.clock import format_utc, parse_utc
from mlwb.core.errors import PromotionRefusedError
from mlwb.evidence import Context, Record, new_record
from mlwb.gates._view import EvidenceView
from mlwb.params import Policy

__all__ = ["confirmation_faults", "confirmation_record", "phrase_of"]

_LONG_AGO = "1970-01-01T00:00:00Z"


def phrase_of(view: EvidenceView, policy: Policy) -> str:
    """The phrase that confirms a candidate, with the numbers a person should have seen.

    Parameters
    ----------
    view : EvidenceView
        The candidate and its evidence.
    policy : Policy
        Its ``confirmation.settings.phrase``: ``{model_version}`` is the candidate, ``{psi}`` its
        overall PSI, ``{abort_...}`` a limit of ``watch.canary_abort`` as written.

    Returns
    -------
    str
        Empty where the policy asks for no phrase, which confirms nothing.
    """
    phrase = str(policy.gates["confirmation"].settings.get("phrase", ""))
    record = view.newest("psi_snapshot")
    found = [m.value for m in record.metrics if m.name == "psi_overall"] if record else []
    psi = f"{found[0]:.4f}" if found and found[0] is not None else "not measured"
    shown = {"model_version": view.model_version, "psi": psi}
    shown |= {
        f"abort_{limit.id.rpartition('.')[2]}": limit.value
        for limit in policy.watch["canary_abort"]
    }
    for name, value in shown.items():
        phrase = phrase.replace("{" + name + "}", value)
    return phrase


def confirmation_record(
    view: EvidenceView, policy: Policy, context: Context, *, typed: str, by: str
) -> Record:
    """A confirmation as a record; nothing is written.

    Parameters
    ----------
    view : EvidenceView
        What the person was shown.
    policy : Policy
        What it is judged by.
    context : Context
        Stamps the record; its version and origin are replaced.
    typed : str
        What the person typed.
    by : str
        Who typed it.

    Returns
    -------
    Record
        Bound to policy, measurements and model bytes; it expires when the policy's
        ``confirmation.valid`` grows too old.

    Raises
    ------
    PromotionRefusedError
        The phrase is another, or nobody is named.
    """
    asked = phrase_of(view, policy)
    if not asked or typed != asked:
        raise PromotionRefusedError("that is not the phrase", expected=asked, got=typed)
    if not by.strip():
        raise PromotionRefusedError("a confirmation says who gives it")
    hours = policy.limit("confirmation.valid").max_age_h
    return new_record(
        "confirmation",
        [],
        replace(context, model_version=view.model_version, origin="live"),
        details={
            "phrase": typed,
            "by": by.strip(),
            "policy_digest": policy.digest,
            "evidence_digest": view.evidence_digest,
            "manifest_sha256": view.manifest_sha256,
            "expires_at": format_utc(context.clock.now() + timedelta(hours=hours)),
        },
    )


def confirmation_faults(
    record: Record, view: EvidenceView, policy: Policy, now: datetime
) -> list[str]:
    """Why a confirmation does not confirm this; empty when it does."""
    said, phrase, manifest = record.details, phrase_of(view, policy), view.manifest_sha256
    bindings = [
        ("the typed phrase is not the asked one", bool(phrase) and said.get("phrase") == phrase),
        ("it was given under another policy", said.get("policy_digest") == policy.digest),
        ("it was given for other evidence", said.get("evidence_digest") == view.evidence_digest),
        (
            "it was given for other model bytes",
            bool(manifest) and said.get("manifest_sha256") == manifest,
        ),
        ("it has expired", now < parse_utc(str(said.get("expires_at", _LONG_AGO)))),
        ("it was used before", record.run_id not in view.used_confirmations),
    ]
    return [what for what, is_right in bindings if not is_right]
