"""The alert rules: true to the policy, tested by promtool, fired once by a real Prometheus."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlwb.client import PredictClient
from mlwb.params import load_policy
from mlwb.serve._metrics import HELP, LATENCY_EDGES_MS
from tests.inference.version_kit import point, write_version
from tests.ops.prometheus_kit import OPS, Prometheus, prometheus, quick_rules
from tests.serve.server_kit import server

ROOT = Path(__file__).resolve().parents[2]
RULES_DIR = OPS / "prometheus"
FILES = ("ml", "ml-canary")
EDGE = re.compile(r'le=~"([0-9.]+)\(\.0\)\?"')
"""A whole edge of a histogram: Prometheus 3 stores `80` as `80.0`, Prometheus 2 as it is shown."""


def _rules(name: str) -> list[dict[str, Any]]:
    text = (RULES_DIR / f"{name}.yml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


RULES = [rule for name in FILES for rule in _rules(name)]
BY_NAME = {rule["alert"]: rule for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_is_routed_and_has_its_page(rule: dict[str, Any]) -> None:
    """Label team, a severity, a summary, and a section of the runbook under its own name."""
    assert rule["labels"]["team"] == "ml"
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading.lower() == anchor] == [rule["alert"]]
    severity = rule["labels"]["severity"]
    assert f"| [{rule['alert']}](#{anchor}) | {severity} |" in text


def _threshold(expr: str) -> tuple[Decimal, Decimal]:
    """Comparison at the end of an expression, and the edge of a histogram in it."""
    edge = EDGE.search(expr)
    last = re.findall(r"[<>] ([0-9.]+)\s*$", expr.strip())[-1]
    return Decimal(last), Decimal(edge[1]) if edge else Decimal(0)


@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if "limit" in rule["annotations"]],
    ids=lambda r: str(r["alert"]),
)
def test_a_threshold_is_the_policys(rule: dict[str, Any]) -> None:
    """The number in the rule is the limit it names; of a latency, the edge is, at 95 %."""
    limit = load_policy(ROOT / "params" / "policy.yml").limit(rule["annotations"]["limit"])
    value, edge = _threshold(rule["expr"])
    if limit.metric.endswith("p95_ms"):
        assert (edge, value) == (Decimal(limit.value), Decimal("0.95"))
    else:
        assert value == Decimal(limit.value)


def test_rules_read_what_the_server_shows() -> None:
    """Every metric name in a rule is one of the server's, and every edge one of its histograms."""
    for rule in RULES:
        names = set(re.findall(r"\bml_\w+", rule["expr"]))
        assert {re.sub(r"_(bucket|count)$", "", name) for name in names} <= set(HELP), rule["alert"]
        for edge in EDGE.findall(rule["expr"]):
            assert float(edge) in LATENCY_EDGES_MS


def test_every_rule_is_tested_on_both_sides() -> None:
    """Once silent at its limit, once firing beyond it."""
    for name in FILES:
        cases = yaml.safe_load((RULES_DIR / f"{name}.test.yml").read_text(encoding="utf-8"))[
            "tests"
        ]
        found = {(c["alert_rule_test"][0]["alertname"], bool(c["alert_rule_test"][0]["exp_alerts"]))
                 for c in cases}  # fmt: skip
        assert found == {(r["alert"], fires) for r in _rules(name) for fires in (False, True)}


@pytest.mark.slow
@pytest.mark.parametrize("is_third", [False, True], ids=["Prometheus 2", "Prometheus 3"])
@pytest.mark.parametrize("name", FILES)
def test_promtool_agrees(
    name: str, tmp_path: Path, tool: Callable[[str], str], *, is_third: bool
) -> None:
    """Promtool takes the rules, and they fire and keep silent where the test file says.

    Those about edges of histograms also with the edges as the third Prometheus writes them.
    """
    cases = yaml.safe_load((RULES_DIR / f"{name}.test.yml").read_text(encoding="utf-8"))
    if is_third:
        cases["tests"] = [case for case in cases["tests"] if 'le="' in str(case)]
        assert cases["tests"]
    written = yaml.safe_dump(cases, width=10_000)
    if is_third:
        written = re.sub(r'le="(\d+)"', r'le="\1.0"', written)
    (tmp_path / "cases.yml").write_text(written)
    shutil.copy(RULES_DIR / f"{name}.yml", tmp_path)
    for command in (["check", "rules", f"{name}.yml"], ["test", "rules", "cases.yml"]):
        done = subprocess.run(
            [tool("promtool"), *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("sample", ["prometheus.yml", "compose.prometheus.yml"])
def test_promtool_takes_the_sample(sample: str, tool: Callable[[str], str]) -> None:
    """The sample configuration with both rule files."""
    done = subprocess.run(
        [tool("promtool"), "check", "config", sample],
        cwd=RULES_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_samples_differ_in_the_address_only() -> None:
    """What Prometheus in a container scrapes has a name there."""
    plain, composed = (
        yaml.safe_load((RULES_DIR / name).read_text(encoding="utf-8"))
        for name in ("prometheus.yml", "compose.prometheus.yml")
    )
    (job,) = plain["scrape_configs"]
    job["static_configs"] = [{"targets": ["serve:4010"]}]
    assert plain == composed


def _until(found: Prometheus, holds: Callable[[set[str]], bool], ask: Callable[[], None]) -> None:
    deadline = time.monotonic() + 30
    while True:
        ask()
        if holds(firing := found.firing()):
            return
        assert time.monotonic() < deadline, firing
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.server
def test_an_alert_fires_and_resolves(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """A real Prometheus scrapes a real server: refused requests raise alerts, good ones end it."""
    models = tmp_path / "artifacts" / "models"
    write_version(models, "v1.0.0")
    point(models, "latest", "v1.0.0")
    kill, wanted = tmp_path / "kill", {"MLModelErrorsHigh", "MLNotReady"}
    rules = quick_rules((OPS / "prometheus" / "ml.yml").read_text(encoding="utf-8"))
    with (
        server(models, tmp_path, MLWB_KILL_FILE=str(kill)) as running,
        PredictClient(running.url) as client,
        prometheus(tool("prometheus"), tmp_path, running.url, rules=rules) as found,
    ):

        def ask() -> None:
            client.post_raw("/ml/predict", b'{"features": [1, 0.1, 2, 0.5]}')

        _until(found, lambda firing: not firing, ask)
        kill.touch()
        _until(found, lambda firing: wanted <= firing, ask)
        kill.unlink()
        _until(found, lambda firing: not wanted & firing, ask)
