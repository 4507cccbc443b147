"""The policy file is read strictly, and the shipped policies say what they should."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlwb.core.errors import PolicyError
from mlwb.params import GATE_IDS, Policy, load_policy

PARAMS = Path(__file__).resolve().parents[2] / "params"
SHIPPED = ("policy.yml", "policy.demo.yml", "policy.requirements.yml", "policy.strict.yml")
Write = Callable[[object], Path]


@pytest.fixture(scope="module")
def default() -> dict[str, Any]:
    """Content of the default policy; oracle: PyYAML's own loader."""
    content = yaml.safe_load((PARAMS / "policy.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a policy file and give its path."""

    def write_policy(content: object) -> Path:
        path = tmp_path / "policy.yml"
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write_policy


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_load(name: str) -> None:
    """Every shipped policy is complete, names a source for each limit, and has decimal values."""
    policy = load_policy(PARAMS / name)
    assert tuple(policy.gates) == GATE_IDS
    for limit in policy.limits.values():
        assert Decimal(limit.value).is_finite()
        assert limit.source.strip()
        assert limit.max_age_h > 0


def test_every_written_limit_is_read(default: dict[str, Any]) -> None:
    """Oracle: counting the file's entries gives the number of limits; none is lost."""
    groups = [gate["limits"] for gate in default["gates"].values()]
    groups += [{**group, "settings": None} for group in default["watch"].values()]
    settings = len(default["watch"])
    assert len(load_policy(PARAMS / "policy.yml").limits) == sum(map(len, groups)) - settings


def test_the_required_numbers() -> None:
    """The limits the requirements state, with their comparator, are these."""
    policy = load_policy(PARAMS / "policy.yml")
    stated = {
        "signal.auc": (">=", "0.62"),
        "signal.precision_top_20pct": (">=", "0.58"),
        "signal.p_against": ("<=", "0.10"),
        "parity.max_abs_diff": ("<=", "0.00001"),
        "psi.feature": ("<", "0.3"),
        "psi.overall": ("<", "0.2"),
        "drift.prediction_psi": ("<", "0.25"),
        "perf.p95_ms": ("<", "80"),
        "perf.error_rate": ("<", "0.01"),
        "perf.success_rate": (">=", "0.95"),
        "perf.onnx_p95_ms": ("<=", "60"),
        "shadow.match_rate": (">=", "0.95"),
        "shadow.error_rate": ("<", "0.02"),
        "shadow.rank_corr": (">=", "0.95"),
        "shadow.covered_h": (">=", "24"),
        "nightly.consecutive_green": (">=", "7"),
        "wf.positive_share": (">=", "0.6"),
        "pnl.max_drawdown": ("<=", "0.15"),
        "data.days": (">=", "14"),
        "data.longest_gap_s": ("<=", "300"),
        "data.clock_skew_p99_ms": ("<", "100"),
        "canary_abort.p95_ms": ("<=", "120"),
        "canary_abort.error_rate": ("<=", "0.02"),
        "canary_abort.match_rate": (">=", "0.90"),
        "canary_abort.prediction_psi": ("<=", "0.25"),
        "rollback.error_rate": ("<=", "0.05"),
    }
    found = {key: (policy.limit(key).comparator, policy.limit(key).value) for key in stated}
    assert found == stated


def _without_waivers(policy: Policy) -> dict[str, tuple[str, str, str]]:
    return {key: (x.comparator, x.value, x.severity) for key, x in policy.limits.items()}


def test_the_demo_policy_waives_dwell_times_and_nothing_else() -> None:
    """No measured limit differs; exactly the waiting is waived, each with a reason."""
    default, demo = load_policy(PARAMS / "policy.yml"), load_policy(PARAMS / "policy.demo.yml")
    assert _without_waivers(demo) == _without_waivers(default)
    gates = {gate.id for gate in demo.gates.values() if gate.waived}
    limits = {limit.id for limit in demo.limits.values() if limit.waived}
    assert gates == {"nightly", "validation", "confirmation"}
    assert limits == {"shadow.covered_h"}
    assert not any(gate.waived for gate in default.gates.values())
    assert not any(limit.waived for limit in default.limits.values())
    assert demo.digest != default.digest


def test_the_strict_policy_takes_nothing_simulated() -> None:
    """No limit of the strict policy accepts simulated evidence, and none is looser."""
    default, strict = load_policy(PARAMS / "policy.yml"), load_policy(PARAMS / "policy.strict.yml")
    assert not any("simulated" in limit.origins for limit in strict.limits.values())
    for key, limit in strict.limits.items():
        if limit.severity == default.limit(key).severity == "hard":
            sign = 1 if limit.comparator in (">", ">=") else -1
            tighter = sign * (Decimal(limit.value) - Decimal(default.limit(key).value))
            assert tighter >= 0, key


def test_the_digest_is_of_the_content(default: dict[str, Any], write: Write) -> None:
    """Comments and order do not change it; one digit does."""
    digest = load_policy(PARAMS / "policy.yml").digest
    assert load_policy(write(default)).digest == digest
    default = copy.deepcopy(default)
    default["gates"]["signal"]["limits"]["auc"]["value"] = "0.620"
    assert load_policy(write(default)).digest != digest


def _change(content: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(content)
    *parts, last = path.split("/")
    target = changed
    for part in parts:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return changed


AUC = "gates/signal/limits/auc"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (f"{AUC}/value", 0.62, "quoted decimal"),
        (f"{AUC}/value", 1, "quoted decimal"),
        (f"{AUC}/value", True, "quoted decimal"),
        (f"{AUC}/value", None, "quoted decimal"),
        (f"{AUC}/value", "nan", "quoted decimal"),
        (f"{AUC}/value", "Infinity", "quoted decimal"),
        (f"{AUC}/value", "0,62", "quoted decimal"),
        (f"{AUC}/value", "0.62\n", "quoted decimal"),
        (f"{AUC}/value", "", "quoted decimal"),
        (f"{AUC}/value", ..., "quoted decimal"),
        (f"{AUC}/comparator", "=>", "comparator"),
        (f"{AUC}/comparator", "!=", "comparator"),
        (f"{AUC}/severity", "warn", "severity"),
        (f"{AUC}/min_n", -1, "min_n"),
        (f"{AUC}/min_n", 1.5, "min_n"),
        (f"{AUC}/min_n", True, "min_n"),
        (f"{AUC}/origins", ["mock"], "origin"),
        (f"{AUC}/origins", [], "origin"),
        (f"{AUC}/origins", "live", "list"),
        (f"{AUC}/source", ..., "source"),
        (f"{AUC}/source", "  ", "source"),
        (f"{AUC}/metric", ..., "metric"),
        (f"{AUC}/optional", "yes", "true or false"),
        (f"{AUC}/thresold", "1", "unknown key"),
        (f"{AUC}/reason", "why not", "waives nothing"),
        (f"{AUC}/waived_by_policy", True, "reason"),
        ("gates/signal/limits", {}, "no limits"),
        ("gates/signal/limits", ..., "mapping"),
        ("gates/signal/about", ..., "about"),
        ("gates/signal/settings", {"phrase": "x"}, "unknown key"),
        ("gates/psi/settings", {"not_gateable_allowed": [1]}, "list of text"),
        ("gates/signal", ..., "signal"),
        ("gates/singal", {}, "unknown gate"),
        ("gates", {}, "no limits for gate"),
        ("gates", ..., "mapping"),
        ("watch/rollback", ..., "rollback"),
        ("name", ..., "name"),
        ("defaults/max_age_h", ..., "max_age_h"),
        ("extra", 1, "unknown key"),
    ],
)
def test_each_defect_is_refused(
    path: str, value: object, said: str, *, default: dict[str, Any], write: Write
) -> None:
    """One wrong, missing or unknown entry anywhere refuses the whole policy and says which."""
    with pytest.raises(PolicyError, match=said):
        load_policy(write(_change(default, path, value)))


def test_a_gate_needs_a_hard_limit(default: dict[str, Any], write: Write) -> None:
    """A gate of warnings only would pass everything."""
    content = _change(default, "gates/ablation/limits/harmful_groups/severity", "soft")
    with pytest.raises(PolicyError, match="no hard limit"):
        load_policy(write(content))


@pytest.mark.parametrize("gate", ["parity", "schema", "psi", "evidence"])
def test_integrity_may_not_be_waived(gate: str, default: dict[str, Any], write: Write) -> None:
    """No policy can waive the gates that keep the others honest, whole or by a limit."""
    waiver = {"waived_by_policy": True, "reason": "in a hurry"}
    whole = _change(default, f"gates/{gate}", {**default["gates"][gate], **waiver})
    with pytest.raises(PolicyError, match="may not be waived"):
        load_policy(write(whole))
    name, limit = next(iter(default["gates"][gate]["limits"].items()))
    part = _change(default, f"gates/{gate}/limits/{name}", {**limit, **waiver})
    with pytest.raises(PolicyError, match="may not be waived"):
        load_policy(write(part))


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "[]", "name: x", "a: [", "\x00"])
def test_empty_and_broken_files_are_refused(text: str, write: Write) -> None:
    """An empty policy is not a policy without limits; broken YAML is one clear error."""
    with pytest.raises(PolicyError):
        load_policy(write(text))


def test_a_repeated_limit_is_refused(write: Write) -> None:
    """The same id twice is refused: the second would silently win."""
    text = (PARAMS / "policy.yml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.strip().startswith("auc:"))
    with pytest.raises(PolicyError, match="twice"):
        load_policy(write(text.replace(line, f"{line}\n{line}")))


def test_an_unquoted_value_is_refused(write: Write) -> None:
    """A number without quotes would be read as a binary fraction."""
    text = (PARAMS / "policy.yml").read_text(encoding="utf-8")
    with pytest.raises(PolicyError, match="quoted decimal"):
        load_policy(write(text.replace('value: "0.62"', "value: 0.62")))


def test_missing_files_are_refused(tmp_path: Path) -> None:
    """No file is an error that names it."""
    with pytest.raises(PolicyError, match=r"none\.yml"):
        load_policy(tmp_path / "none.yml")


@pytest.mark.parametrize(
    "parent", ["policy.yml", "../policy.yml", "/etc/policy.yml", "", 3, "x.yml"]
)
def test_extending_itself_or_elsewhere_is_refused(parent: object, write: Write) -> None:
    """A policy extends a file beside it, not itself, not another directory, not nothing."""
    with pytest.raises(PolicyError):
        load_policy(write({"extends": parent, "name": "loop"}))


def test_extending_keeps_what_is_not_named(default: dict[str, Any], write: Write) -> None:
    """A child changes what it names and inherits the rest."""
    base = write(default)
    child = base.with_name("child.yml")
    child.write_text(
        'extends: policy.yml\nname: child\ngates: {signal: {limits: {auc: {value: "0.7"}}}}\n'
    )
    policy, parent = load_policy(child), load_policy(base)
    assert policy.limit("signal.auc").value == "0.7"
    changed = {key for key, limit in policy.limits.items() if limit != parent.limit(key)}
    assert changed == {"signal.auc"}


def test_looking_up_limits() -> None:
    """Limits are found by id, as text for judging and as a float for drawing."""
    policy = load_policy(PARAMS / "policy.yml")
    assert policy.number("signal.auc") == 0.62
    with pytest.raises(PolicyError, match=r"signal\.auk"):
        policy.limit("signal.auk")


def test_the_literal_policy_binds_by_the_requirements_alone() -> None:
    """There every hard limit is from the requirements, but that evidence is possible and whole."""
    policy = load_policy(PARAMS / "policy.requirements.yml")
    own = {
        limit.id
        for gate in policy.gates.values()
        for limit in gate.limits
        if limit.severity == "hard" and not limit.source.startswith("requirements")
    }
    assert own == {"evidence.lint_problems", "evidence.chain_problems"}


def test_the_literal_policy_has_the_numbers_of_the_default() -> None:
    """It softens and hardens; no number, comparator, age or origin is another."""
    literal, default = (
        load_policy(PARAMS / name).limits for name in ("policy.requirements.yml", "policy.yml")
    )
    for name, limit in literal.items():
        assert replace(limit, severity="") == replace(default[name], severity="")
    soft = {name for name in literal if literal[name].severity == "hard" != default[name].severity}
    assert {"psi.plain_feature", "psi.plain_overall", "drift.prediction_ks_p"} <= soft
