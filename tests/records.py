"""The least that the details of each kind of evidence must hold, for tests that write records."""

from __future__ import annotations

from typing import Any

__all__ = ["DETAILS", "SHA"]

SHA = "sha256:" + "a" * 64
_LABEL = {"kind": "volatility", "horizon_s": 60}
_TIMES = {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-02T06:00:00Z"}
_LOCK = {
    "champion": "v1.8.0", "champion_sha256": SHA, "candidate": "v1.8.1", "candidate_sha256": SHA,
    "policy_sha256": SHA,
}  # fmt: skip
_CHECK = {
    "id": "data.days", "metric": "days", "segment": "", "observed": 90, "comparator": ">=",
    "limit": "14", "n": None, "outcome": "PASS", "severity": "hard", "waived": "",
    "reason": "days = 90 >= 14",
}  # fmt: skip
_VERDICT = {
    "gate": "data", "outcome": "PASS", "severity": "hard", "waived": "", "reason": "1 of 1",
    "checks": [_CHECK], "evidence": [{"run_id": "earlier", "sha256": SHA}], "policy_digest": SHA,
}  # fmt: skip

DETAILS: dict[str, dict[str, Any]] = {
    "data_quality": {
        "symbol": "SYNTH", "profile": "synthetic", "calendar": "24/7", "clock": "utc",
        "first_utc": "2026-01-01T00:00Z", "last_utc": "2026-01-24T23:59Z", "decisions": [],
        "findings": [], "features_dropped": [],
    },
    "feature_study": {
        "features": ["bias"], "label": _LABEL, "stationarity": {"bias": "constant"},
        "psi_eligibility": {"bias": "constant"},
    },
    "offline_report": {
        "symbol": "SYNTH", "label": _LABEL, "champion": "v1.8.0", "chosen": "logistic C=0.1",
        "candidate": SHA, "trials": [{"name": "logistic C=0.1", "auc": 0.66}],
        "train": {"rows": 28008}, "holdout": {"rows": 5184}, "splits": [{"leaks": 0}],
    },
    "pnl": {"label": _LABEL, "rule": "volatility timing", "definition": "timed minus constant"},
    "live_pnl": {
        "date": "2026-01-01", "source": "paper", "simulated": True, "label": _LABEL,
        "symbol": "SYNTH", "definition": "timed minus constant",
    },
    "parity": {
        "schema_crc32": "33c52c7e", "feature_order": ["bias"], "dtypes": ["float64"],
        "feature_spec_digest": SHA,
    },
    "psi_snapshot": {"features": [{"name": "bias"}], "heldout_days": 14},
    "smoke": {"champion": "v1.8.0", "candidate": "v1.8.1"},
    "served_features": {
        "symbol": "SYNTH", "schema_crc32": "33c52c7e", "feature_spec_digest": SHA,
        "differences": [],
    },
    "metrics_baseline": {
        "cold": False, "own_server": True, "kinds": {"ml_ready": "gauge"}, "series": ["ml_ready"],
        "volatile": {"values": {"ml_ready": 1.0}, "text_sha256": SHA},
    },
    "shadow": {"champion": "v1.8.0", "candidate": "v1.8.1"},
    "canary_run": {
        "mode": "observe_only", "champion": "v1.8.0", "candidate": "v1.8.1",
        "versions": ["v1.8.1"], "phases": ["5%"], "aborted": "",
    },
    "canary_preflight": {
        "lock": _LOCK, "phrase": "CONFIRM: live", "thresholds": {"p95_ms": "120"},
        "said": {"bytes": "as published"}, "server": "http://127.0.0.1:4010",
    },
    "canary_dryrun": {
        "mode": "dry_run", "rehearsed": "live", "lock": _LOCK,
        "phases": [{"name": "5%", "percent": 5.0, "expected": 200, "ends": "evidence"}],
    },
    "drift_check": {
        "reference": SHA, "days": ["2026-01-01"], "rolling_days": ["2026-01-01"],
        "partial_days": [], "averaged": ["bias"], "features": [{"name": "bias"}], "watch": {},
        "highest": {},
    },
    "daily_report": {
        "date": "2026-01-01", "risk": "OK", "versions": {"v1.8.0": 1440}, "candidate": "",
        "gaps": [], "questions": [],
        "drift_check": {"run_id": "", "outcome": "not measured", "reason": "none"},
    },
    "significance": {}, "ablation": {}, "walk_forward": {}, "bench": {},
    "nightly": {"date": "2026-01-01", "blocking": []},
    "validation": _TIMES,
    "eval_result": {"gates": {"data": "PASS"}},
    "release_review": {"promote": False, "reasons": ["no"], "latest": "", "policy": "default"},
    "decision": {
        "policy": {"name": "default", "digest": SHA}, "now": "2026-01-01T00:00:00Z",
        "model_version": "v1.8.1", "manifest_sha256": SHA, "chain_problems": [],
        "used_confirmations": [], "promote": False, "reasons": ["no"],
        "verdicts": [_VERDICT],
    },
    "confirmation": {
        "phrase": "CONFIRM: promote v1.8.1 to latest", "by": "release manager",
        "policy_digest": SHA, "evidence_digest": SHA, "manifest_sha256": SHA,
        "expires_at": "2026-01-01T04:00:00Z",
    },
    "policy": {
        "name": "default", "digest": SHA, "seq": 1, "content": '{"name":"default"}',
        "changed": [],
    },
    "waiver": {
        "gate": "nightly", "reason": "the feed was down", "approver": "release manager",
        "expires_at": "2026-01-03T00:00:00Z", "policy_digest": SHA, "manifest_sha256": SHA,
    },
    "archive": {
        "file": "20260101T000000Z.zip", "sha256": SHA, "bytes": 1, "retention": "default",
        "records": [], "files": [],
    },
}  # fmt: skip
"""Kinds that are not here need no details."""
