"""The policy: every limit a gate compares with, read strictly from ``params/policy*.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlwb.core.canonical import digest
from mlwb.core.errors import ParamsError, PolicyError
from mlwb.params import _policy_fields as read
from mlwb.params._yaml import read_yaml

__all__ = [
    "COMPARATORS",
    "GATE_IDS",
    "NEVER_WAIVED",
    "GatePolicy",
    "Limit",
    "Policy",
    "load_policy",
    "parse_policy",
]

GATE_IDS = (
    "data",
    "signal",
    "ablation",
    "wf",
    "pnl",
    "parity",
    "schema",
    "psi",
    "drift",
    "perf",
    "shadow",
    "canary",
    "nightly",
    "validation",
    "evidence",
    "confirmation",
)
"""All gates, in the order of the verdict table. A policy names every one of them."""

COMPARATORS = ("<", "<=", ">", ">=", "==")

_WATCHES = ("canary_abort", "drift_check", "rollback", "promotion")
NEVER_WAIVED = frozenset({"parity", "schema", "psi", "evidence"})
"""Gates that no policy can do without."""
_SETTINGS: Mapping[str, frozenset[str]] = {
    "ablation": frozenset({"harm", "level"}),
    "pnl": frozenset({"hard_for_labels", "level", "min_decisions"}),
    "psi": frozenset({"level", "not_gateable_allowed", "sure"}),
    "drift": frozenset({"loss_tolerance"}),
    "shadow": frozenset({"match_delta", "max_gap_s"}),
    "nightly": frozenset({"judged"}),
    "evidence": frozenset({"kinds", "waiver_max_days"}),
    "confirmation": frozenset({"phrase"}),
    "canary_abort": frozenset({"lease_s"}),
    "rollback": frozenset(
        {
            "looks",
            "at_once",
            "clear_margin",
            "cooldown_h",
            "never_back_h",
            "crash_window_s",
            "trading_days",
            "sharpe_days",
            "drift_days",
        }
    ),
}
_TOP = frozenset({"name", "about", "extends", "defaults", "gates", "watch"})
_DEFAULTS = frozenset({"max_age_h", "origins"})
_GATE = _DEFAULTS | {"about", "severity", "settings", "limits", "waived_by_policy", "reason"}
_LIMIT = _DEFAULTS | {
    "kind", "metric", "segment", "comparator", "value", "severity", "min_n", "source",
    "optional", "when", "refuted_by", "waived_by_policy", "reason",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit: ``metric comparator value`` must hold.

    Parameters
    ----------
    id : str
        ``"signal.auc"``: gate, dot, name.
    kind, metric, segment : str
        Which evidence and which of its numbers. Segment ``"*"`` means every segment there is,
        ``"a|b"`` that both must be there.
    comparator : {"<", "<=", ">", ">=", "=="}
        Holds when passing.
    value : str
        Decimal, as written in the file; compared without rounding.
    severity : {"hard", "soft"}
        A soft limit warns and never blocks.
    min_n : int
        Fewer observations than this leave the check unproven; 0 for numbers without a count.
    max_age_h : int
        Older evidence is stale.
    origins : tuple of str
        Accepted origins of the evidence.
    source : str
        Where the limit comes from, one sentence.
    optional : bool, default=False
        A number that was not measured is reported, and does not block.
    when : str, default=""
        Judge only segments whose metric of this name is 1.
    refuted_by : str, default=""
        The metric is a confidence bound and this is the opposite bound: missing the limit is a
        failure only when the opposite bound misses it too, and unproven otherwise.
    waived : str, default=""
        Why the policy waives the check; empty when it does not.
    """

    id: str
    kind: str
    metric: str
    segment: str
    comparator: str
    value: str
    severity: str
    min_n: int
    max_age_h: int
    origins: tuple[str, ...]
    source: str
    optional: bool = False
    when: str = ""
    refuted_by: str = ""
    waived: str = ""


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """One gate: its limits and what else it is told.

    Parameters
    ----------
    id : str
        One of :data:`GATE_IDS`.
    about : str
        What the gate is for, one sentence.
    severity : {"hard", "soft"}
        A soft gate never blocks a promotion.
    limits : tuple of Limit
        At least one; at least one hard.
    settings : mapping
        Text or tuple of text: lists the gate needs, never numbers.
    waived : str, default=""
        Why the policy waives the whole gate; empty when it does not.
    """

    id: str
    about: str
    severity: str
    limits: tuple[Limit, ...]
    settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    waived: str = ""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """All limits of one policy.

    Parameters
    ----------
    name : str
        ``"default"``, ``"demo"``, ``"strict"``.
    digest : str
        Of the resolved content; verdicts cite it.
    gates : mapping of str to GatePolicy
        Every gate of :data:`GATE_IDS`, in that order.
    watch : mapping of str to tuple of Limit
        ``canary_abort``, ``drift_check`` and ``rollback``: limits that must hold while serving.
    watch_settings : mapping of str to mapping
        What such a group is told beside its limits; of ``rollback``, when triggers fire.
    content : mapping
        The resolved file; :func:`parse_policy` makes the same policy of it.
    """

    name: str
    digest: str
    gates: Mapping[str, GatePolicy]
    watch: Mapping[str, tuple[Limit, ...]]
    watch_settings: Mapping[str, Mapping[str, str | tuple[str, ...]]] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def limits(self) -> Mapping[str, Limit]:
        """Every limit, by id."""
        groups = [gate.limits for gate in self.gates.values()] + list(self.watch.values())
        return {limit.id: limit for group in groups for limit in group}

    def limit(self, limit_id: str) -> Limit:
        """One limit.

        Raises
        ------
        PolicyError
            The policy has none of that id.
        """
        try:
            return self.limits[limit_id]
        except KeyError as error:
            raise PolicyError(f"policy {self.name!r} has no limit {limit_id!r}") from error

    def number(self, limit_id: str) -> float:
        """Value of a limit as a float, for drawing it in a figure; never for judging.

        Raises
        ------
        PolicyError
            The policy has none of that id.
        """
        return float(self.limit(limit_id).value)


def load_policy(path: Path) -> Policy:
    """Read a policy file, with what it extends.

    Parameters
    ----------
    path : Path
        ``params/policy.yml``. ``extends: other.yml`` names a file beside it, whose content is
        taken over key by key where this file is silent.

    Returns
    -------
    Policy

    Raises
    ------
    PolicyError
        The file is empty or not strict YAML, a gate is missing or unknown, a key is unknown or
        stands twice, a value is not a quoted decimal, or a gate that may not be waived is.
    """
    content = _resolve(path, seen=())
    try:
        return parse_policy(content)
    except PolicyError as error:
        raise PolicyError(f"{path.name}: {error}") from error


def _resolve(path: Path, *, seen: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except ParamsError as error:
        raise PolicyError(str(error)) from error
    parent = content.pop("extends", None)
    if parent is None:
        return content
    if not isinstance(parent, str) or not parent or Path(parent).name != parent:
        raise PolicyError(f"{path.name}: extends names a file beside it", got=repr(parent))
    if path.name in seen:
        raise PolicyError(f"{path.name} extends itself")
    return _merge(_resolve(path.with_name(parent), seen=(*seen, path.name)), content)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def parse_policy(content: Mapping[str, Any], *, is_old: bool = False) -> Policy:
    """A policy of a resolved file's content, as :attr:`Policy.content` keeps it.

    Parameters
    ----------
    content : mapping
        Plain values, as strict YAML or JSON gives them.
    is_old : bool, default=False
        From the ledger, where an earlier version put it: it may lack a group of watched limits
        that is newer than it. No file may.

    Returns
    -------
    Policy

    Raises
    ------
    PolicyError
        As :func:`load_policy`.
    """
    if not content:
        raise PolicyError("the policy is empty", todo="an empty policy would pass everything")
    read.check_known(content, _TOP, "the policy")
    defaults = read.mapping(content.get("defaults", {}), "defaults")
    read.check_known(defaults, _DEFAULTS, "defaults")
    written = read.mapping(content.get("gates"), "gates")
    read.check_complete(written, GATE_IDS, "gate")
    watched = read.mapping(content.get("watch"), "watch")
    watches = tuple(name for name in _WATCHES if name in watched or not is_old)
    read.check_complete(watched, watches, "watch")
    settings = {name: _watch_settings(name, watched[name], is_old=is_old) for name in watches}
    limits = {name: _unsettled(name, watched[name]) for name in watches}
    return Policy(
        name=read.text(content, "name", "the policy"),
        digest=digest(content),
        gates=MappingProxyType({gate: _gate(gate, written[gate], defaults) for gate in GATE_IDS}),
        watch=MappingProxyType({name: _limits(name, limits[name], defaults) for name in watches}),
        watch_settings=MappingProxyType(settings),
        content=content,
    )


def _gate(gate: str, value: object, defaults: Mapping[str, Any]) -> GatePolicy:
    body = read.mapping(value, gate)
    read.check_known(body, _GATE, gate)
    waived = read.waived(body, gate)
    limits = _limits(gate, body.get("limits"), {**defaults, **read.pick(body, _DEFAULTS)})
    if not any(limit.severity == "hard" for limit in limits):
        raise PolicyError(f"{gate} has no hard limit", todo="a gate needs at least one")
    if gate in NEVER_WAIVED and (waived or any(limit.waived for limit in limits)):
        raise PolicyError(f"{gate} may not be waived", todo="no policy can do without it")
    return GatePolicy(
        id=gate,
        about=read.text(body, "about", gate),
        severity=read.severity(body, gate),
        limits=limits,
        settings=_settings(gate, body.get("settings", {})),
        waived=waived,
    )


def _settings(gate: str, value: object) -> Mapping[str, str | tuple[str, ...]]:
    body = read.mapping(value, f"{gate}.settings")
    read.check_known(body, _SETTINGS.get(gate, frozenset()), f"{gate}.settings")
    found: dict[str, str | tuple[str, ...]] = {}
    for key, item in body.items():
        found[key] = item if isinstance(item, str) else read.texts(item, f"{gate}.settings.{key}")
    return MappingProxyType(found)


def _unsettled(group: str, value: object) -> Mapping[str, Any]:
    """The limits of a watched group, which stand beside its settings."""
    return {key: item for key, item in read.mapping(value, group).items() if key != "settings"}


def _watch_settings(
    group: str, value: object, *, is_old: bool
) -> Mapping[str, str | tuple[str, ...]]:
    found = _settings(group, read.mapping(value, group).get("settings", {}))
    if not is_old:
        read.check_complete(found, tuple(sorted(_SETTINGS.get(group, ()))), f"setting of {group}")
    return found


def _limits(group: str, value: object, defaults: Mapping[str, Any]) -> tuple[Limit, ...]:
    body = read.mapping(value, f"{group}.limits")
    if not body:
        raise PolicyError(f"{group} has no limits", todo="an empty gate would pass everything")
    return tuple(_limit(f"{group}.{name}", item, defaults) for name, item in body.items())


def _limit(limit_id: str, value: object, defaults: Mapping[str, Any]) -> Limit:
    body = {**defaults, **read.mapping(value, limit_id)}
    read.check_known(body, _LIMIT, limit_id)
    comparator = read.text(body, "comparator", limit_id)
    if comparator not in COMPARATORS:
        raise PolicyError(
            f"{limit_id} has no such comparator", expected=" ".join(COMPARATORS), got=comparator
        )
    return Limit(
        id=limit_id,
        kind=read.text(body, "kind", limit_id),
        metric=read.text(body, "metric", limit_id),
        segment=read.text(body, "segment", limit_id, default=""),
        comparator=comparator,
        value=read.decimal(body.get("value"), limit_id),
        severity=read.severity(body, limit_id),
        min_n=read.count(body.get("min_n", 0), f"{limit_id}.min_n"),
        max_age_h=read.count(body.get("max_age_h"), f"{limit_id}.max_age_h"),
        origins=read.origins(body.get("origins"), limit_id),
        source=read.text(body, "source", limit_id),
        optional=read.flag(body, "optional", limit_id),
        when=read.text(body, "when", limit_id, default=""),
        refuted_by=read.text(body, "refuted_by", limit_id, default=""),
        waived=read.waived(body, limit_id),
    )
