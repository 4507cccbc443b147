"""What a calibrated PSI says and what the gates make of its recorded numbers are one rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from mlwb.core.clock import DAY_S
from mlwb.drift import count_blocks, fit_feature_reference
from mlwb.drift.calibration import Calibrated, Reading, calibrate, reading
from mlwb.gates import EvidenceView, Outcome, evaluate
from mlwb.params import Policy

_A_DAY = 240
"""Rows a day."""
LIMITS = {"feature": "psi.feature", "overall": "psi.overall", "score": "drift.prediction_psi"}
NAMES = {
    "feature": ("psi_upper", "psi_lower", "psi_corrected", "p_block", "gateable"),
    "overall": (
        "psi_overall_upper", "psi_overall_lower", "psi_overall_corrected", "p_overall",
        "overall_gateable",
    ),
    "score": (
        "prediction_psi_upper", "prediction_psi_lower", "prediction_psi_corrected",
        "prediction_p_block", "prediction_gateable",
    ),
}  # fmt: skip


def _calibrated() -> Iterator[Calibrated]:
    """Quiet and restless references, short and long windows, moved by little and by much."""
    rng = np.random.default_rng(3)
    for restless in (0.02, 0.15, 0.3, 0.6):
        for n_days in (1, 3, 7):
            for moved in (*np.linspace(0.0, 1.0, 11), 9.0):
                n = 40 + n_days
                ts = DAY_S // _A_DAY * np.arange(_A_DAY * n)
                levels = np.repeat(restless * rng.normal(size=n), _A_DAY)
                values, past = levels + rng.normal(size=len(ts)), ts < 40 * DAY_S
                frozen = fit_feature_reference("rsi14_z", values[past], ts[past])
                now = count_blocks(frozen.bins.edges, values[~past] + moved, ts[~past])
                yield calibrate(frozen, now)


def _outcome(
    found: Calibrated, place: str, green: EvidenceView, policy: Policy, *, now: datetime, spoil: Any
) -> Reading:
    """The gate's checks of one column, in the words of a reading."""
    assert found.bounds is not None
    assert found.null is not None
    limit = policy.limit(LIMITS[place])
    judged = int(found.null.limit95 < float(limit.value))
    values = (found.bounds.upper, found.bounds.lower, found.corrected, found.p_value, judged)
    view, segment = green, "rsi14_z" if place == "feature" else ""
    for name, value in zip(NAMES[place], values, strict=True):
        view = spoil.metric(view, "psi_snapshot", name, segment=segment, value=value)
    gate = limit.id.partition(".")[0]
    checks = {
        check.id: check.outcome
        for check in evaluate(gate, view, policy, now).checks
        if check.segment in ("", segment)
    }
    said = checks[limit.id] if judged else Outcome.UNPROVEN
    if Outcome.FAIL in (said, checks[f"{gate}.moved"]):
        return "fail"
    if checks[f"{gate}.not_gateable"] is Outcome.UNPROVEN:
        return "not_gateable"
    return "pass" if said is Outcome.PASS else "insufficient"


@pytest.mark.slow
def test_gates_and_readings_agree(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """Over a grid of references, windows and changes: a feature, the mean and the score."""
    n_judged = len(green.newest("psi_snapshot").segments("gateable"))  # type: ignore[union-attr]
    seen: Counter[tuple[str, str]] = Counter()
    blind = 0
    for found in _calibrated():
        for place, limit_id in LIMITS.items():
            limit = float(policy.limit(limit_id).value)
            adjusted = min(1.0, (n_judged if place == "feature" else 1) * (found.p_value or 0.0))
            assert found.null is not None
            judged = found.null.limit95 < limit
            expected = reading(found, limit, adjusted if judged else found.p_value)
            blind += expected == "fail" and not judged
            assert _outcome(found, place, green, policy, now=now, spoil=spoil) == expected
            seen[place, expected] += 1
    assert len(seen) == 4 * len(LIMITS)
    assert blind > 0


def test_what_another_policy_cannot_judge_never_passes(
    green: EvidenceView, policy: Policy, now: datetime, spoil: Any
) -> None:
    """Evidence measured under a wider limit, chance beyond the narrower one: not gateable."""
    places = (("psi", "rsi14_z"), ("psi_overall", ""), ("prediction_psi", ""))
    for (metric, segment), gate in zip(places, ("psi", "psi", "drift"), strict=True):
        for end, outcome in ((0.1, Outcome.PASS), (0.35, Outcome.UNPROVEN)):
            name = f"{metric}_null95"
            view = spoil.metric(green, "psi_snapshot", name, segment=segment, value=end)
            assert evaluate(gate, view, policy, now).outcome is outcome
