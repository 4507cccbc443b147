"""The kinds of evidence and the names their newest record is also found under."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mlwb.core.errors import EvidenceSchemaError

__all__ = ["KNOWN_NAMES", "known_name"]

KNOWN_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "data_quality": "data_quality.json",
        "feature_study": "feature_study.json",
        "offline_report": "offline_report.json",
        "significance": "significance.json",
        "ablation": "ablation.json",
        "walk_forward": "walk_forward.json",
        "pnl": "pnl.json",
        "parity": "parity.json",
        "bench": "bench.json",
        "psi_snapshot": "psi_snapshot.json",
        "drift_check": "drift_check.json",
        "smoke": "smoke_1k.json",
        "served_features": "served_features.json",
        "metrics_baseline": "metrics_baseline.json",
        "shadow": "shadow_smoke_1k.json",
        "canary_preflight": "canary_preflight.json",
        "canary_dryrun": "canary_dryrun_observe.json",
        "canary_run": "canary_run_{stamp}.json",
        "nightly": "nightly.json",
        "validation": "validation.json",
        "eval_result": "eval_result.json",
        "release_review": "release_review.json",
        "decision": "decision.json",
        "confirmation": "confirmation.json",
        "daily_report": "daily/report_{date}.json",
        "policy": "policy.json",
        "waiver": "waiver.json",
        "archive": "archive.json",
    }
)
"""Kind of evidence to the file name of its byte-identical newest copy."""


def known_name(kind: str, timestamp: str) -> str:
    """File name, relative to the evidence directory, of the newest record of a kind.

    Parameters
    ----------
    kind : str
        A key of :data:`KNOWN_NAMES`.
    timestamp : str
        RFC 3339 UTC with ``Z``, of the record.

    Raises
    ------
    EvidenceSchemaError
        No such kind.

    Examples
    --------
    >>> known_name("canary_run", "2025-10-22T14:30:00Z")
    'canary_run_20251022T143000Z.json'
    >>> known_name("daily_report", "2025-10-22T14:30:00Z")
    'daily/report_2025-10-22.json'
    """
    try:
        pattern = KNOWN_NAMES[kind]
    except KeyError as error:
        raise EvidenceSchemaError(
            "no such kind of evidence", expected=", ".join(KNOWN_NAMES), got=kind
        ) from error
    stamp = timestamp[:19].replace("-", "").replace(":", "") + "Z"
    return pattern.format(stamp=stamp, date=timestamp[:10])
