"""Building records and their digest of what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceSchemaError
from mlwb.core.ids import RUN_ID
from mlwb.evidence import KNOWN_NAMES, Context, Metric, known_name, metrics_digest, new_record

METRICS = [Metric("auc", 0.66, n=100), Metric("fit_s", 1.5, "s", deterministic=False)]


@pytest.mark.parametrize("kind", KNOWN_NAMES)
def test_every_kind_has_a_lawful_run_id(kind: str, context: Context) -> None:
    """Run ids follow service_version_phase_timestamp_uuid8 for every kind."""
    assert RUN_ID.match(new_record(kind, [], context).run_id)


def test_run_ids_share_the_run_and_differ_by_kind(context: Context) -> None:
    """The records of one run end alike and never collide across kinds."""
    shared = replace(context, run="a1b2c3d4")
    ids = {new_record(kind, [], shared).run_id for kind in KNOWN_NAMES}
    assert len(ids) == len(KNOWN_NAMES)
    assert {run_id.rsplit("_", 1)[1] for run_id in ids} == {"a1b2c3d4"}


def test_unknown_kinds_are_refused(context: Context) -> None:
    """A typo in the kind is an error, not a new kind."""
    with pytest.raises(EvidenceSchemaError, match="psi_snapshoot"):
        new_record("psi_snapshoot", [], context)


def test_known_names_are_distinct() -> None:
    """No two kinds overwrite each other's newest copy."""
    stamp = "2026-01-01T00:00:00Z"
    names = [known_name(kind, stamp) for kind in KNOWN_NAMES]
    assert len(set(names)) == len(names)


def test_digest_ignores_when_where_and_how_long(context: Context, clock: ManualClock) -> None:
    """Two equal measurements at different times, with different timings, have one digest."""
    first = new_record("offline_report", METRICS, context, details={"volatile": 1, "edges": [1]})
    clock.advance(86_400)
    slower = [METRICS[0], replace(METRICS[1], value=9.0)]
    other = replace(context, seeds={"numpy": 8}, run="00000000")
    second = new_record("offline_report", slower[::-1], other, details={"edges": [1]})
    assert metrics_digest(first) == metrics_digest(second)


@pytest.mark.parametrize(
    "changed",
    [
        {"metrics": (replace(METRICS[0], value=0.6600000000000001),)},
        {"metrics": (replace(METRICS[0], n=101),)},
        {"metrics": (replace(METRICS[0], unit="ms"),)},
        {"metrics": ()},
        {"details": {"edges": [2]}},
        {"kind": "significance"},
    ],
)
def test_digest_notices_every_measured_change(context: Context, changed: dict[str, object]) -> None:
    """One bit of a value, a count, a unit, a detail or the kind changes the digest."""
    record = new_record("offline_report", METRICS, context, details={"edges": [1]})
    assert metrics_digest(replace(record, **changed)) != metrics_digest(record)  # type: ignore[arg-type]
