"""Before a canary: whether server, versions, policy and evidence are in order, and the phrase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock
from mlwb.evidence import Input, Metric, Record, new_record
from mlwb.gates import EvidenceView, Verdict, evaluate, phrase_of
from mlwb.params import CanaryRolloutParams, Policy
from mlwb.stages.canary_rollout import Lock
from mlwb.stages.common import context, null, registry_of, store_of, write_all

__all__ = ["Check", "Preflight", "Seen", "lock_of", "measure", "record", "thresholds_of"]

_EVIDENCE = ("shadow", "psi")
"""Gates about the candidate that a live split rests on."""

_SHORT = 19
"""Characters of a digest that are shown."""


@dataclass(frozen=True)
class Seen:
    """What a server says about itself.

    Parameters
    ----------
    base_url : str
        Its address.
    reasons : tuple of str
        Why predictions are refused or degraded; empty where all is well.
    champion, candidate : str
        Versions; empty where there is none.
    digests : mapping of str to str
        Of the manifests it knows, by version.
    canary : str
        ``off``, or the mode of the one that is open.
    policy_sha256 : str
        Digest of its policy; empty where it does not say.
    """

    base_url: str
    reasons: tuple[str, ...]
    champion: str
    candidate: str
    digests: Mapping[str, str]
    canary: str
    policy_sha256: str = ""


@dataclass(frozen=True)
class Check:
    """One thing that is in order, or not.

    Parameters
    ----------
    name : str
        Such as ``"candidate"``.
    is_fine : bool
        In order.
    said : str
        What was found.
    is_for_live : bool, default=False
        Only a live split needs it.
    """

    name: str
    is_fine: bool
    said: str
    is_for_live: bool = False


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Parameters
    ----------
    lock : Lock
        What a rollout would be about.
    checks : tuple of Check
        All of them.
    psi : float or None
        Overall PSI of the candidate's features, None where it was not measured.
    phrase : str
        To be typed before the candidate answers anybody.
    thresholds : mapping of str to str
        Limits that stop the rollout, and those it has to be shown to keep.
    base_url : str
        The server.
    """

    lock: Lock
    checks: tuple[Check, ...]
    psi: float | None
    phrase: str
    thresholds: Mapping[str, str]
    base_url: str

    def missing(self, *, live: bool) -> tuple[str, ...]:
        """What stands in the way."""
        wanted = [check for check in self.checks if live or not check.is_for_live]
        return tuple(f"{check.name}: {check.said}" for check in wanted if not check.is_fine)


def lock_of(params: CanaryRolloutParams, policy: Policy) -> Lock:
    """What a rollout of this home would be about: the registry's champion and candidate."""
    registry = registry_of(params.run)
    champion = registry.latest() or ""
    candidate = params.run.model_version or registry.candidate() or ""
    digests = [
        digest_file(registry.resolve(version) / "manifest.json") if version else ""
        for version in (champion, candidate)
    ]
    return Lock(champion, digests[0], candidate, digests[1], policy.digest)


def thresholds_of(policy: Policy) -> dict[str, str]:
    """Limits as the policy writes them, by id."""
    limits = (*policy.watch["canary_abort"], *policy.gates["canary"].limits)
    return {limit.id: f"{limit.metric} {limit.comparator} {limit.value}" for limit in limits}


def measure(
    seen: Seen, view: EvidenceView, params: CanaryRolloutParams, *, policy: Policy, clock: Clock
) -> Preflight:
    """Hold the server against the registry, and the evidence against the policy.

    Parameters
    ----------
    seen : Seen
        What the server says.
    view : EvidenceView
        The candidate and its evidence.
    params : CanaryRolloutParams
        Whose home it is.
    policy : Policy
        In force.
    clock : Clock
        Tells how old evidence is.
    """
    lock = lock_of(params, policy)
    snapshot = view.newest("psi_snapshot")
    values = [m.value for m in snapshot.metrics if m.name == "psi_overall"] if snapshot else []
    verdicts = [evaluate(gate, view, policy, clock.now()) for gate in _EVIDENCE]
    return Preflight(
        lock=lock,
        checks=(
            *_checks_of_server(seen, lock),
            _policy_check(seen, lock),
            _candidate_check(lock, params),
            *map(_gate_check, verdicts),
        ),
        psi=None if not values or values[0] is None else float(values[0]),
        phrase=phrase_of(view, policy),
        thresholds=thresholds_of(policy),
        base_url=seen.base_url,
    )


def _gate_check(verdict: Verdict) -> Check:
    said = f"{verdict.outcome}: {verdict.reason}" if verdict.reason else str(verdict.outcome)
    return Check(verdict.gate, verdict.is_pass or bool(verdict.waived), said, is_for_live=True)


def _checks_of_server(seen: Seen, lock: Lock) -> list[Check]:
    found = [
        Check("server", not seen.reasons, ", ".join(seen.reasons) or "it answers"),
        Check("canary", seen.canary == "off", f"the server's is {seen.canary}"),
        Check(
            "versions",
            bool(lock.champion and lock.candidate) and lock.champion != lock.candidate,
            f"{lock.candidate or 'no candidate'} over {lock.champion or 'no champion'}",
        ),
    ]
    sides = (
        ("champion", seen.champion, lock.champion, lock.champion_sha256),
        ("candidate", seen.candidate, lock.candidate, lock.candidate_sha256),
    )
    for name, served, version, sha256 in sides:
        digest = seen.digests.get(served, "")
        fine = bool(version) and served == version and digest == sha256
        theirs = f"{served} {digest[:_SHORT]}".rstrip() or "none"
        said = f"the server has {theirs}, the registry {version} {sha256[:_SHORT]}"
        found.append(Check(name, fine, said))
    return found


def _policy_check(seen: Seen, lock: Lock) -> Check:
    """The server ends a canary about another policy than its own."""
    if seen.policy_sha256 in ("", lock.policy_sha256):
        return Check("policy", is_fine=True, said="the server's")
    theirs, ours = seen.policy_sha256[:_SHORT], lock.policy_sha256[:_SHORT]
    said = f"the server's is {theirs}, this is {ours}: --policy, or MLWB_POLICY of the server"
    return Check("policy", is_fine=False, said=said)


def _candidate_check(lock: Lock, params: CanaryRolloutParams) -> Check:
    """Every byte of the candidate is the one that was registered."""
    if not lock.candidate:
        return Check("bytes", is_fine=False, said="no candidate")
    problems = registry_of(params.run).verify(lock.candidate)
    said = ", ".join(problem.kind for problem in problems) or "as registered"
    return Check("bytes", not problems, said)


def record(found: Preflight, params: CanaryRolloutParams, clock: Clock) -> tuple[Record, ...]:
    """Write the evidence of kind ``canary_preflight``."""
    lock = found.lock
    inputs: Sequence[Input] = [
        Input(role=role, uri=f"models/{version}/manifest.json", sha256=sha256, rows=1)
        for role, version, sha256 in (
            ("champion", lock.champion, lock.champion_sha256),
            ("candidate", lock.candidate, lock.candidate_sha256),
        )
        if version
    ]
    shared = context(
        "canary_rollout", params, clock, version=lock.candidate, origin="live", inputs=inputs
    )
    metrics = [
        *(Metric("in_order", int(check.is_fine), segment=check.name) for check in found.checks),
        null("psi_overall", "not measured")
        if found.psi is None
        else Metric("psi_overall", found.psi),
    ]
    details = {
        "lock": asdict(lock),
        "phrase": found.phrase,
        "thresholds": dict(found.thresholds),
        "said": {check.name: check.said for check in found.checks},
        "server": found.base_url,
    }
    made = new_record("canary_preflight", metrics, shared, details=details)
    return write_all(store_of(params.run), [made])
