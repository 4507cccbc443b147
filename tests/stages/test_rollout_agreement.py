"""A live rollout's agreement is that of the observing one about the same digests, or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mlwb.core.clock import ManualClock, parse_utc
from mlwb.evidence import Context, Metric, Record, new_record, rate
from mlwb.stages._rollout_agreement import observed_before, with_agreement

LOCK = {"champion": "v1", "candidate": "v2", "policy_sha256": "sha256:1"}
EARLY = parse_utc("2025-12-31T00:00:00Z")


def _record(mode: str, *, e_shown: float = 50.0, **details: object) -> Record:
    live = mode == "live"
    metrics = [
        rate("questions_shown", 4, 4) if live else rate("questions_shown", 5, 5),
        *(
            Metric("match_rate", None, segment=phase, null_reason="no observations")
            if live
            else rate("match_rate", 99, 100, segment=phase)
            for phase in ("5%", "100%")
        ),
    ]
    if not live:
        metrics += [
            rate("beyond_limit", 2, 200, segment="mismatch"),
            Metric("e_value_shown", e_shown, n=200, segment="mismatch"),
        ]
    said = {"mode": mode, "lock": LOCK, "aborted": "", **details}
    context = Context(clock=ManualClock(), model_version="v2", origin="live")
    return new_record("canary_run", metrics, context, details=said)


def test_only_one_that_went_through_about_the_same_digests_counts() -> None:
    """The newest; none that is live, was aborted, is about another policy, or is too old."""
    good = _record("observe_only")
    newer = replace(good, run_id=f"{good.run_id}x")
    others = [
        _record("live"),
        _record("observe_only", aborted="5%: mismatch"),
        _record("observe_only", lock={**LOCK, "policy_sha256": "sha256:2"}),
    ]
    assert observed_before([good, newer, *others], LOCK, oldest=EARLY) == newer
    assert observed_before(others, LOCK, oldest=EARLY) is None
    late = parse_utc(good.timestamp) + timedelta(seconds=1)
    assert observed_before([good], LOCK, oldest=late) is None


def test_what_is_taken_over_names_its_source() -> None:
    """Match rates and the question of agreement come from the record that is named upstream."""
    before = _record("observe_only")
    found = with_agreement(_record("live"), before, e_value=20.0)
    assert [found.value("match_rate", phase) for phase in ("5%", "100%")] == [0.99, 0.99]
    taken = [m for m in found.metrics if m.name == "match_rate" or m.segment == "mismatch"]
    assert all(before.run_id in metric.definition for metric in taken)
    assert found.value("questions_shown") == 1.0
    assert [item.run_id for item in found.upstream] == [before.run_id]
    assert found.details["agreement"] == before.run_id


def test_agreement_that_was_not_shown_is_not_shown_now() -> None:
    """Four of five questions, where the fifth was not certain enough then."""
    found = with_agreement(_record("live"), _record("observe_only", e_shown=19.0), e_value=20.0)
    assert found.value("questions_shown") == 0.8
