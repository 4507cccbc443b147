"""The kinds of evidence and the names their newest record is also found under."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from mlwb.core.errors import EvidenceSchemaError

__all__ = ["KNOWN_NAMES", "known_name"]

_ABOUT = re.compile(r"_(?:daily|pnl)-(\d{4}-\d{2}-\d{2})_\d{8}T\d{6}Z_")

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
        "live_pnl": "daily/pnl_{date}.json",
        "policy": "policy.json",
        "waiver": "waiver.json",
        "archive": "archive.json",
    }
)
"""Kind of evidence to the file name of its byte-identical newest copy."""


def known_name(kind: str, timestamp: str, run_id: str = "") -> str:
    """File name, relative to the evidence directory, of the newest record of a kind.

    Parameters
    ----------
    kind : str
        A key of :data:`KNOWN_NAMES`.
    timestamp : str
        RFC 3339 UTC with ``Z``, of the record.
    run_id : str, default=""
        Of the record. Where its phase names a date (``daily-2025-10-21``) the record is about that
        day; else about the day it was written.

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
    >>> about = "mlwb_v1_daily-2025-10-21_20251022T002000Z_a1b2c3d4"
    >>> known_name("daily_report", "2025-10-22T00:20:00Z", about)
    'daily/report_2025-10-21.json'
    """
    try:
        pattern = KNOWN_NAMES[kind]
    except KeyError as error:
        raise EvidenceSchemaError(
            "no such kind of evidence", expected=", ".join(KNOWN_NAMES), got=kind
        ) from error
    stamp = timestamp[:19].replace("-", "").replace(":", "") + "Z"
    day = _ABOUT.search(run_id)
    return pattern.format(stamp=stamp, date=day[1] if day else timestamp[:10])
