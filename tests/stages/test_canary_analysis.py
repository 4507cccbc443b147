"""The traffic log is all that stage 04 knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceMissingError, EvidenceSchemaError
from mlwb.params import load_policy
from mlwb.stages import canary_analysis
from mlwb.stages._traffic_log import Exchange, TrafficHeader, read_log, write_log
from mlwb.stages.common import home_of, traffic_path
from tests.stages.conftest import PARAMS, small

PHASES = ("5%", "10%", "25%", "50%", "100%")


def exchange(test: str, *, shadowed: bool, delta: float = 0.01, status: int = 200) -> Exchange:
    """One request that went as usual, unless told otherwise."""
    answered = status == 200
    asked = "v1.8.1" if test == "smoke" else "v1.8.0"
    return Exchange(
        test=test,
        status=status,
        ms=1.0,
        score=0.5 if answered else None,
        expected=0.5,
        version=asked if answered else "",
        shadowed=shadowed,
        shadow_score=0.5 + delta if shadowed and answered else None,
        shadow_ms=0.1 if shadowed and answered else None,
        shadow_version="v1.8.1" if shadowed and answered else "",
    )


def header(**changes: object) -> TrafficHeader:
    """Header of a whole, simulated run."""
    values = {
        "champion": "v1.8.0",
        "candidate": "v1.8.1",
        "market": "SYNTH",
        "market_origin": "simulated",
        "cold": False,
        "phases": PHASES,
        "aborted": "",
        "started": "2026-01-01T00:00:00Z",
        "finished": "2026-01-01T00:00:10Z",
    }
    return TrafficHeader(**{**values, **changes})  # type: ignore[arg-type]


def whole_log() -> list[Exchange]:
    """1,000 smoke and shadow requests and five phases of 100."""
    found = [exchange("smoke", shadowed=False)] * 1000 + [exchange("shadow", shadowed=True)] * 1000
    for phase in PHASES:
        found += [exchange(phase, shadowed=True)] * 100
    return found


def verdicts(home: Path, head: TrafficHeader, items: list[Exchange]) -> dict[str, str]:
    """Outcomes of perf, shadow and canary for a log."""
    params = small("canary_analysis", home, **{"run.model_version": "v1.8.1"})
    write_log(traffic_path(home_of(params.run), "v1.8.1"), head, items)
    result = canary_analysis.measure(canary_analysis.load(params))
    records = canary_analysis.record(result, params, ManualClock())
    policy = load_policy(PARAMS / "policy.demo.yml")
    found = canary_analysis.judge(records, policy, ManualClock())
    return {verdict.gate: str(verdict.outcome) for verdict in found}


def test_sound_traffic_passes(tmp_path: Path) -> None:
    """A clean log passes perf, shadow (its dwell time waived) and canary."""
    found = verdicts(tmp_path, header(), whole_log())
    assert (found["perf"], found["canary"]) == ("PASS", "PASS")


def test_a_phase_that_was_never_reached_fails_the_canary(tmp_path: Path) -> None:
    """Four of five phases are not five."""
    items = [item for item in whole_log() if item.test != "100%"]
    assert verdicts(tmp_path, header(), items)["canary"] != "PASS"


def test_an_abort_fails_the_canary(tmp_path: Path) -> None:
    """A canary that stopped itself cannot pass."""
    found = verdicts(tmp_path, header(aborted="50%: error rate 3.0% above 2.0%"), whole_log())
    assert found["canary"] == "FAIL"


def test_a_thin_stream_of_errors_proves_nothing(tmp_path: Path) -> None:
    """No error in 60 requests a phase is below 1 %, but not shown to be: the canary fails."""
    few = whole_log()[:2000]
    for phase in PHASES:
        few += [exchange(phase, shadowed=True)] * 60
    assert verdicts(tmp_path, header(), few)["canary"] == "FAIL"


def test_evidence_against_a_canary_is_on_record(tmp_path: Path) -> None:
    """A burst of failures in one phase: the e-value and the leading question are written down."""
    params = small("canary_analysis", tmp_path, **{"run.model_version": "v1.8.1"})
    items = whole_log()
    items[2120:2140] = [exchange("10%", shadowed=True, status=503)] * 20
    write_log(traffic_path(home_of(params.run), "v1.8.1"), header(), items)
    result = canary_analysis.measure(canary_analysis.load(params))
    run = canary_analysis.record(result, params, ManualClock())[-1]
    assert float(run.value("e_value_highest") or 0) > 20
    assert run.details["judged"]["outcome"] == "abort"
    assert run.details["judged"]["leading"] == "error"
    assert "error rate" in result.fixed
    assert float(run.value("beyond_limit", "error") or 0) > 0


def test_a_changed_model_breaks_the_version_lock(tmp_path: Path) -> None:
    """Two candidate versions in one canary invalidate it."""
    other = Exchange(
        **{
            **{name: getattr(whole_log()[-1], name) for name in Exchange.__slots__},
            "shadow_version": "v1.8.9",
        }
    )
    assert verdicts(tmp_path, header(), [*whole_log(), other])["canary"] == "FAIL"


def test_a_smoke_test_of_another_version_breaks_the_lock(tmp_path: Path) -> None:
    """The smoke test must have been answered by the candidate, not by the champion."""
    items = [exchange("shadow", shadowed=False) for _ in range(1000)]
    lent = [
        Exchange(**{**{n: getattr(item, n) for n in Exchange.__slots__}, "test": "smoke"})
        for item in items
    ]
    assert verdicts(tmp_path, header(), lent + whole_log()[1000:])["canary"] == "FAIL"


def test_wrong_scores_are_counted(tmp_path: Path) -> None:
    """An answer that differs from the offline score is a mismatch in the smoke evidence."""
    params = small("canary_analysis", tmp_path, **{"run.model_version": "v1.8.1"})
    wrong = [
        Exchange(**{**{name: getattr(item, name) for name in Exchange.__slots__}, "score": 0.6})
        for item in whole_log()[:3]
    ]
    write_log(traffic_path(home_of(params.run), "v1.8.1"), header(), wrong + whole_log()[3:])
    assert canary_analysis.measure(canary_analysis.load(params)).score_mismatches == 3


def test_no_traffic_is_said_plainly(tmp_path: Path) -> None:
    """Before the first run there is nothing to analyse."""
    params = small("canary_analysis", tmp_path, **{"run.model_version": "v1.8.1"})
    with pytest.raises(EvidenceMissingError, match="mlwb run"):
        canary_analysis.load(params)


def test_a_cut_log_is_refused(tmp_path: Path) -> None:
    """A log that lost its tail is not read as a shorter one."""
    path = tmp_path / "log.jsonl"
    write_log(path, header(), whole_log())
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-5]))
    with pytest.raises(EvidenceSchemaError, match="whole"):
        read_log(path)


def test_a_log_about_another_candidate_is_refused(tmp_path: Path) -> None:
    """Traffic cannot be lent from one model to another."""
    with pytest.raises(EvidenceSchemaError, match="another model"):
        verdicts(tmp_path, header(candidate="v9.9.9"), whole_log())
