"""Records to store, and a way to die at every step of storing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.evidence import (
    Code,
    Context,
    Environment,
    EvidenceStore,
    Input,
    Interval,
    Metric,
    Params,
    Record,
    Upstream,
    new_record,
    rate,
)
from tests.records import DETAILS

MakeRecord = Callable[..., Record]
DieAt = Callable[[int, Callable[[], object]], bool]


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    """An empty evidence store."""
    return EvidenceStore(tmp_path / "evidence" / "ml")


@pytest.fixture
def context(clock: ManualClock) -> Context:
    """A context with every kind of provenance filled in."""
    return Context(
        clock=clock,
        model_version="v1.8.1",
        origin="simulated",
        inputs=(
            Input("market", "bars.csv.gz", "sha256:" + "1" * 64, 20160, "2026-01-01T00:00:00Z"),
        ),
        params=Params("sha256:" + "2" * 64, {"days": 90}),
        notebook="sha256:" + "3" * 64,
        code=Code("a" * 40, dirty=False, package_version="0.1.0"),
        environment=Environment("sha256:" + "4" * 64, "3.11.7", "linux-x86_64", "mlwb"),
        seeds={"numpy": 7},
    )


@pytest.fixture
def make(context: Context, clock: ManualClock) -> MakeRecord:
    """Make a full record of a kind, each a second after the one before."""

    def make_record(
        kind: str = "smoke", metrics: list[Metric] | None = None, **more: Any
    ) -> Record:
        clock.advance(1)
        default = [
            rate("error_rate", 3, 1200),
            Metric("p95_ms", 2.5, "ms", n=1200, ci=Interval(0.95, 2.1, 3.0, "order statistics")),
            Metric("auc", None, segment="fold 1", null_reason="one class only"),
        ]
        upstream = [Upstream("earlier", "sha256:" + "5" * 64)]
        more.setdefault("details", DETAILS.get(kind, {}))
        return new_record(
            kind, default if metrics is None else metrics, context, upstream=upstream, **more
        )

    return make_record
