"""The policy's limits on traffic, as the canary's rules take them."""

from __future__ import annotations

from mlwb.canary import AbortLimits, JudgeLimits
from mlwb.params import Policy

__all__ = ["abort_limits", "judge_limits", "lease_s_of"]

_JUDGED = (
    "canary_abort.error_rate", "canary_abort.match_rate", "canary_abort.p95_ms",
    "canary.error_rate", "canary.match_rate", "canary.p95_ms", "canary.shadow_p95_ms",
    "canary.e_value",
)  # fmt: skip


def abort_limits(policy: Policy) -> AbortLimits:
    """Limits on the plain numbers of a phase, beyond which a canary stops at once."""
    least = policy.limit("canary.match_rate").min_n
    return AbortLimits(
        p95_ms=float(policy.limit("canary_abort.p95_ms").value),
        error_rate=float(policy.limit("canary_abort.error_rate").value),
        match_rate=float(policy.limit("canary_abort.match_rate").value),
        min_requests=least,
    )


def judge_limits(policy: Policy) -> JudgeLimits:
    """Limits of the judgement that may be made after any request."""
    limits = {name: float(policy.limit(name).value) for name in _JUDGED}
    return JudgeLimits(
        abort_error=limits["canary_abort.error_rate"],
        abort_mismatch=1.0 - limits["canary_abort.match_rate"],
        abort_p95_ms=limits["canary_abort.p95_ms"],
        error=limits["canary.error_rate"],
        mismatch=1.0 - limits["canary.match_rate"],
        p95_ms=limits["canary.p95_ms"],
        candidate_p95_ms=limits["canary.shadow_p95_ms"],
        level=1.0 / limits["canary.e_value"],
    )


def lease_s_of(policy: Policy) -> float:
    """Seconds after which a canary ends that nobody renewed."""
    return float(str(policy.watch_settings["canary_abort"]["lease_s"]))
