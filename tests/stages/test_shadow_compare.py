"""What a shadow log says: live and replayed told apart, one definition of every number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.canary import summarise
from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceMissingError
from mlwb.core.home import find_project
from mlwb.core.predictionlog import REPLAYED, PredictionLine, ShadowOutcome, encode_line
from mlwb.evidence import Record, check_record, lint
from mlwb.gates import Outcome
from mlwb.params import ShadowCompareParams, load_params, load_policy
from mlwb.stages import canary_analysis, shadow_compare
from mlwb.stages._exchange import exchange
from mlwb.stages._traffic_log import SHADOW, to_traffic
from mlwb.stages._traffic_metrics import shadow_metrics

PARAMS = find_project() / "params"
POLICY = load_policy(PARAMS / "policy.yml")
HOURS = 30


@pytest.fixture
def clock() -> ManualClock:
    """Noon, after the lines below were written."""
    return ManualClock(datetime.fromisoformat("2026-01-05T12:00:00+00:00"))


@pytest.fixture
def params(tmp_path: Path) -> ShadowCompareParams:
    """In a home of its own, about v2.0.0."""
    found: ShadowCompareParams = load_params("shadow_compare", PARAMS)
    return replace(found, run=replace(found.run, home=str(tmp_path), model_version="v2.0.0"))


def _lines(clock: ManualClock, n: int = 60 * HOURS, **changes: Any) -> list[PredictionLine]:
    """A row a minute until now; each 100th failed, each 20th of the others beyond the limit."""
    rng, found = np.random.default_rng(5), []
    for index in range(n):
        score = float(rng.uniform(0.1, 0.8))
        delta = 0.09 if index % 20 == 7 else float(rng.uniform(-0.01, 0.01))
        outcome = ShadowOutcome("v2.0.0", score + delta, delta, abs(delta) <= 0.05, 0.1)
        if index % 100 == 3:
            outcome = ShadowOutcome("v2.0.0", latency_ms=0.2, error="model")
        line = PredictionLine(
            ts=clock.now() - timedelta(minutes=n - 1 - index),
            request_id=f"r{index}",
            route="/ml/predict-with-shadow",
            model_version="v1.0.0",
            schema_crc32="00000000",
            score=score,
            latency_ms=0.3,
            shadow=outcome,
        )
        found.append(_changed(line, changes))
    return found


def _changed(line: PredictionLine, changes: dict[str, Any]) -> PredictionLine:
    values = {name: getattr(line, name) for name in line.__struct_fields__}
    return PredictionLine(**{**values, **changes})


def _write(params: ShadowCompareParams, lines: Sequence[PredictionLine], name: str = "") -> Path:
    path = Path(params.run.home) / "artifacts" / "shadow" / f"predictions.jsonl{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode_line, lines)))
    return path


def _record(params: ShadowCompareParams, clock: ManualClock) -> Record:
    (found,) = shadow_compare.record(
        shadow_compare.measure(shadow_compare.load(params, clock)), params, clock
    )
    return found


def test_live_rows_become_live_evidence(params: ShadowCompareParams, clock: ManualClock) -> None:
    """Counted by hand; lawful, possible, and enough for the gate."""
    _write(params, _lines(clock))
    record = _record(params, clock)
    check_record(record.to_json())
    assert lint(record, now=clock.now()) == ()
    n = 60 * HOURS
    failed = len([i for i in range(n) if i % 100 == 3])
    far = len([i for i in range(n) if i % 20 == 7 and i % 100 != 3])
    rates = {metric.name: (metric.k, metric.n) for metric in record.metrics if metric.n}
    assert rates["error_rate"] == (failed, n)
    assert rates["match_rate"] == (n - failed - far, n - failed)
    assert record.value("covered_h") == pytest.approx(HOURS - 1 / 60)
    assert (record.origin, record.details["errors"]) == ("live", {"model": failed})
    (verdict,) = shadow_compare.judge([record], POLICY, clock)
    assert verdict.outcome is Outcome.FAIL
    assert {c.id: c.outcome for c in verdict.checks if c.id == "shadow.covered_h"} == {
        "shadow.covered_h": Outcome.PASS
    }


def test_one_definition_of_every_number(params: ShadowCompareParams, clock: ManualClock) -> None:
    """The same answers, as a log of the server and as a replay of the loop, give equal metrics."""
    lines = _lines(clock, 400)
    _write(params, lines)
    result = shadow_compare.measure(shadow_compare.load(params, clock))
    replayed = []
    for line in lines:
        assert line.shadow is not None
        item = exchange(SHADOW, (0, b"", line.latency_ms), None, shadowed=True)
        replayed.append(
            replace(
                item,
                status=200,
                score=line.score,
                shadow_score=line.shadow.score,
                shadow_ms=line.shadow.latency_ms,
            )
        )
    found = summarise(to_traffic(replayed), match_delta=result.match_delta)
    assert found == result.summary
    assert shadow_metrics(found, covered_s=1.0) == shadow_metrics(result.summary, covered_s=1.0)
    assert canary_analysis.shadow_metrics is shadow_metrics  # type: ignore[attr-defined]


def test_replayed_rows_are_not_live(params: ShadowCompareParams, clock: ManualClock) -> None:
    """Rows sent by a replay into the live server are left out and counted."""
    lines = _lines(clock, 400)
    replayed = _lines(clock, 50, request_id=f"{REPLAYED}a1b2c3d4.1")
    _write(params, [*lines, *replayed])
    found = shadow_compare.load(params, clock)
    assert (found.origin, len(found.lines), found.left_out) == ("live", 400, {"replayed": 50})


def test_any_other_log_is_a_replay(params: ShadowCompareParams, clock: ManualClock) -> None:
    """It covers no hours that count, whatever its ids say; the rest is judged."""
    path = _write(params, _lines(clock), ".elsewhere")
    elsewhere = replace(params, shadow=replace(params.shadow, log=str(path)))
    record = _record(elsewhere, clock)
    assert record.origin == "replay"
    (verdict,) = shadow_compare.judge([record], POLICY, clock)
    outcomes = {check.id: check.outcome for check in verdict.checks}
    assert outcomes["shadow.covered_h"] is Outcome.INVALID
    assert outcomes["shadow.error_rate"] is Outcome.PASS


def test_files_set_aside_are_read_too(params: ShadowCompareParams, clock: ManualClock) -> None:
    """The hours go on across them."""
    lines = _lines(clock)
    _write(params, lines[:900], ".20260104T110000.000000Z")
    _write(params, lines[900:])
    result = shadow_compare.measure(shadow_compare.load(params, clock))
    assert len(result.inputs.lines) == len(lines)
    assert result.covered_s == pytest.approx(HOURS * 3600 - 60)


def test_silence_and_failure_are_not_covered(
    params: ShadowCompareParams, clock: ManualClock
) -> None:
    """A gap of more than five minutes starts anew, also one in which the candidate only failed."""
    lines = _lines(clock)
    failing = ShadowOutcome("v2.0.0", error="breaker")
    lines[1_000:1_006] = [_changed(line, {"shadow": failing}) for line in lines[1_000:1_006]]
    _write(params, lines)
    result = shadow_compare.measure(shadow_compare.load(params, clock))
    assert result.covered_s == pytest.approx((len(lines) - 1_006 - 1) * 60)
    assert result.errors["breaker"] == 6


def test_what_is_older_than_evidence_may_be(
    params: ShadowCompareParams, clock: ManualClock
) -> None:
    """Old rows do not become fresh by being looked at again."""
    _write(params, _lines(clock, 20))
    clock.advance(POLICY.limit("shadow.covered_h").max_age_h * 3600 - 10 * 60)
    found = shadow_compare.load(params, clock)
    assert (len(found.lines), found.left_out) == (11, {"too old": 9})
    clock.advance(3600)
    with pytest.raises(EvidenceMissingError, match="20 too old"):
        shadow_compare.load(params, clock)


def test_one_pair_of_versions(params: ShadowCompareParams, clock: ManualClock) -> None:
    """Lines about another candidate or behind another champion are left out and counted."""
    before = _lines(clock, 30, model_version="v0.9.0")
    other = _lines(clock, 10, shadow=ShadowOutcome("v3.0.0", 0.5, 0.0, True, 0.1))
    _write(params, [*before, *_lines(clock, 40), *other])
    found = shadow_compare.load(params, clock)
    assert (found.champion, found.candidate, len(found.lines)) == ("v1.0.0", "v2.0.0", 40)
    assert found.left_out == {"about another candidate": 10, "another champion": 30}
    named = replace(params, shadow=replace(params.shadow, champion="v0.9.0"))
    assert len(shadow_compare.load(named, clock).lines) == 30


def test_no_log_at_all(params: ShadowCompareParams, clock: ManualClock) -> None:
    """Missing evidence, and what to do about it."""
    with pytest.raises(EvidenceMissingError, match="mlwb shadow run"):
        shadow_compare.load(params, clock)
