"""The dashboard as code: ``python ops/grafana/dashboard.py`` writes ``ml.json`` beside it.

Import ``ml.json`` into Grafana and choose the Prometheus that scrapes the servers. A test holds the
file to this script, and runs every query against a real Prometheus.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlwb.monitor import PANELS
from mlwb.params import Policy, load_policy

__all__ = ["dashboard", "main", "queries"]

_HERE = Path(__file__).resolve().parent
_WIDTH, _HEIGHT = 8, 8
_RED, _AMBER, _GREEN = "red", "orange", "green"
Target = tuple[str, str]
"""A query, and the name of its line."""


def _quantile(metric: str, q: float) -> str:
    return f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket[5m])))"


def _rate(metric: str, **labels: str) -> str:
    chosen = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"sum(rate({metric}{{{chosen}}}[5m]))" if chosen else f"sum(rate({metric}[5m]))"


def _live_gates(policy: Policy) -> str:
    """1 while what a scrape can see of the gates holds: latency, errors, agreement, drift."""
    limits = {name: policy.limit(name).value for name in _GATES}
    within = (
        f'(sum(rate(ml_predict_latency_ms_bucket{{le=~"{limits["canary.p95_ms"]}(.0)?"}}[5m]))'
        f" / {_rate('ml_predict_latency_ms_count')} >= bool 0.95)"
    )
    errors = (
        f"(({_rate('ml_predict_requests_total', status='server_error')} or vector(0))"
        f" / {_rate('ml_predict_requests_total')} < bool {limits['canary.error_rate']})"
    )
    agree = f"(min(ml_shadow_match_rate) >= bool {limits['canary.match_rate']})"
    psi = f"(avg({_FEATURES}) < bool {limits['psi.plain_overall']} or vector(1))"
    return f"min({within} * {errors} * {agree} * {psi})"


_GATES = ("canary.p95_ms", "canary.error_rate", "canary.match_rate", "psi.plain_overall")
_FEATURES = 'ml_psi_score{feature!="prediction"} >= 0'


def dashboard(policy: Policy) -> dict[str, Any]:
    """The dashboard.

    Parameters
    ----------
    policy : Policy
        Its limits are the lines and colours.

    Returns
    -------
    dict
        What Grafana imports.
    """
    panels = [*_serving(policy), *_candidate(policy), *_drift(policy)]
    for place, panel in enumerate(panels):
        panel["id"] = place + 1
        row, column = divmod(place, 3)
        panel["gridPos"] = {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {
        "uid": "mlwb",
        "title": "mlwb: served model",
        "tags": ["ml"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": panels,
    }


def _serving(policy: Policy) -> list[dict[str, Any]]:
    by_status = "sum by (status) (rate(ml_predict_requests_total[5m]))"
    version = ("max by (model_version) (ml_model_info)", "{{model_version}}")
    return [
        _panel("latency", _latencies("ml_predict_latency_ms"), _limits(policy, "latency", _RED)),
        _panel("requests", [(by_status, "{{status}}")]),
        _panel("version", [version], text="name"),
        _panel("gates", [(_live_gates(policy), "gates")], steps=[(_RED, None), (_GREEN, "1")]),
    ]


def _candidate(policy: Policy) -> list[dict[str, Any]]:
    match = [(_RED, None), (_GREEN, policy.limit(PANELS["match"].limits[0]).value)]
    both = [(_quantile("ml_shadow_latency_ms", 0.95), "candidate"),
            (_quantile("ml_baseline_latency_ms", 0.95), "champion")]  # fmt: skip
    compared = [(f"sum(increase(ml_shadow_{name}_total[1h]))", name)
                for name in ("match", "mismatch")]  # fmt: skip
    newest = [("min(ml_shadow_match_rate)", "newest rows")]
    delta = [("sum by (le) (increase(ml_shadow_abs_delta_bucket[5m]))", "{{le}}")]
    return [
        _panel("match", newest, steps=match),
        _panel("match_now", newest, steps=match),
        _panel("compared", compared),
        _panel("delta", delta),
        _panel("beside", both, _limits(policy, "beside", _RED)),
    ]


def _drift(policy: Policy) -> list[dict[str, Any]]:
    score = 'max(ml_psi_score{feature="prediction"} >= 0)'
    by_feature = [(f"max by (feature) ({_FEATURES})", "{{feature}}"), (score, "score")]
    mean = [(f"avg({_FEATURES})", "mean")]
    return [
        _panel("psi", by_feature, _limits(policy, "psi", _AMBER, _RED)),
        _panel("psi_mean", mean, _limits(policy, "psi_mean", _AMBER, _RED)),
    ]


def _limits(policy: Policy, name: str, *colours: str) -> list[tuple[str, str | None]]:
    """Green, and another colour from each limit of a panel on."""
    values = [policy.limit(limit).value for limit in PANELS[name].limits]
    return [(_GREEN, None), *zip(colours, values, strict=True)]


def queries(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(panel, query) of everything a dashboard asks."""
    return [
        (panel["title"], target["expr"]) for panel in found["panels"] for target in panel["targets"]
    ]


def _latencies(metric: str) -> list[Target]:
    return [(_quantile(metric, q), f"p{q * 100:.0f}") for q in (0.5, 0.95, 0.99)]


def _panel(
    name: str,
    targets: Sequence[Target],
    steps: Sequence[tuple[str, str | None]] = ((_GREEN, None),),
    *,
    text: str = "value",
) -> dict[str, Any]:
    kind, title, unit = PANELS[name].kind, PANELS[name].title, PANELS[name].unit
    source = {"type": "prometheus", "uid": "${source}"}
    thresholds = [
        {"color": colour, "value": None if value is None else float(value)}
        for colour, value in steps
    ]
    defaults: dict[str, Any] = {
        "unit": unit,
        "thresholds": {"mode": "absolute", "steps": thresholds},
    }
    options: dict[str, Any] = {}
    if kind == "timeseries" and len(thresholds) > 1:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    if kind == "stat":
        options = {"textMode": text, "colorMode": "value"}
    return {
        "type": kind,
        "title": title,
        "datasource": source,
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expr, "legendFormat": name,
             "datasource": source, "format": "heatmap" if kind == "heatmap" else "time_series"}
            for place, (expr, name) in enumerate(targets)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }  # fmt: skip


def main() -> None:
    """Write the file."""
    policy = load_policy(_HERE.parents[1] / "params" / "policy.yml")
    text = json.dumps(dashboard(policy), indent=1) + "\n"
    (_HERE / "ml.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
