"""Whether an alert fires on what a real server showed: its pages, replayed to promtool."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mlwb.monitor._exposition import read_series
from tests.ops.prometheus_kit import OPS

__all__ = ["fires_between"]

_RULES = OPS / "prometheus" / "ml.yml"


def fires_between(
    tool: Callable[[str], str],
    folder: Path,
    pages: tuple[str, str],
    alert: str,
    *,
    minutes: int = 15,
) -> None:
    """The alert is silent on the page of before, and fires once the page of after has stood.

    Parameters
    ----------
    tool : callable
        Finds promtool; the test skips without.
    folder : Path
        For the test that promtool is given.
    pages : tuple of str
        ``/ml/metrics`` before and after an incident.
    alert : str
        Name of a rule of ``ops/prometheus/ml.yml``.
    minutes : int, default=15
        Both pages stand as long.
    """
    before, after = map(_values, pages)
    names = set(re.findall(r"\bml_\w+", _expr(alert)))
    series = [
        {
            "series": _labelled(text),
            "values": " ".join(
                [_said(before.get(text))] * minutes + [_said(after.get(text))] * minutes
            ),
        }
        for text in sorted(after)
        if text.partition("{")[0] in names
    ]
    assert series, f"the page shows nothing that {alert} reads"
    fired = f'count_over_time(ALERTS{{alertname="{alert}",alertstate="firing"}}[{minutes}m])'
    checks = [
        {"expr": f"count({fired}) > bool 0", "eval_time": f"{at}m", "exp_samples": samples}
        for at, samples in ((minutes - 1, []), (2 * minutes - 1, [{"labels": "{}", "value": 1}]))
    ]
    test = {
        "rule_files": [str(_RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": checks}],
    }
    path = folder / f"{alert}.test.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [tool("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _expr(alert: str) -> str:
    groups: list[dict[str, Any]] = yaml.safe_load(_RULES.read_text(encoding="utf-8"))["groups"]
    return next(
        str(rule["expr"]) for group in groups for rule in group["rules"] if rule["alert"] == alert
    )


def _values(page: str) -> dict[str, float]:
    return {item.text: item.value for item in read_series(page) if math.isfinite(item.value)}


def _labelled(series: str) -> str:
    name, _, labels = series.partition("{")
    more = 'instance="a",job="mlwb"'
    return f"{name}{{{more},{labels}" if labels else f"{name}{{{more}}}"


def _said(value: float | None) -> str:
    return "_" if value is None else repr(value)
