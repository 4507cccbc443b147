"""Why a candidate gave no score: counted by word, and kept with the traffic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mlwb.stages._traffic_log import TrafficHeader, read_log, write_log
from mlwb.stages.canary_rollout import Exchange, failures, unscored

_ANSWERED = Exchange(
    "5%", 200, 1.0, 0.5, None, "v1", shadowed=False, shadow_score=None, shadow_ms=None,
    shadow_version="",
)  # fmt: skip
_SCORED = replace(_ANSWERED, shadowed=True, shadow_score=0.5, shadow_version="v2")
_LATE = replace(_SCORED, shadow_score=None, shadow_error="budget")


def test_words_are_counted_and_fallbacks_are_one() -> None:
    """Most first; requests that were scored, not asked or not answered at all are none."""
    items = failures(3, 2, [_SCORED, _LATE, _ANSWERED, _ANSWERED, _ANSWERED])
    assert list(unscored(items).items()) == [("fallback", 2), ("budget", 1)]


def test_a_log_keeps_the_word_and_older_ones_have_none(tmp_path: Path) -> None:
    """A log that was written before there were words is read as before."""
    path = tmp_path / "log.jsonl"
    header = TrafficHeader("v1", "v2", "", "live", cold=False, phases=("5%",), aborted="",
                           started="", finished="")  # fmt: skip
    write_log(path, header, [_SCORED, _LATE])
    assert read_log(path).exchanges == (_SCORED, _LATE)
    first, *rest = path.read_text().splitlines()
    older = [json.dumps(json.loads(line)[:-1]) for line in rest]
    path.write_text("\n".join([first, *older]) + "\n")
    assert read_log(path).exchanges == (_SCORED, replace(_LATE, shadow_error=""))
