"""A rollout whose lease was lost: taken again, paused, or another's; on a clock of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mlwb.core.clock import ManualClock, format_utc, parse_utc
from mlwb.core.errors import ParamsError, PromotionRefusedError
from mlwb.core.predictionlog import read_predictions
from mlwb.params import load_policy
from mlwb.rollout import RolloutEnd, RolloutFiles, rollout_abort
from mlwb.rollout._server import ServerLease
from tests.rollout.rollout_kit import PARAMS, QUICK, Hook, Place, ScriptedServer, leading

pytestmark = pytest.mark.slow

POLICY = load_policy(PARAMS / "policy.yml")
PATIENT: dict[str, Any] = {"rollout.patience_s": 30.0, "rollout.most_s": 60.0}


def _once(clock: ManualClock, at_s: float, what: Hook) -> Hook:
    """Do it in the first wait after so many seconds."""
    done: list[bool] = []

    def hook(server: ScriptedServer) -> None:
        if not done and clock.monotonic_s() >= at_s:
            done.append(True)
            what(server)

    return hook


def _split_only(at: Place, end: RolloutEnd) -> None:
    """The evidence is about the log, less the champion's requests while nothing was split."""
    gaps = [tuple(map(parse_utc, gap)) for gap in end.record.details["gaps"]]
    lines = list(read_predictions(at.home.artifacts / "predictions.jsonl"))
    settle = timedelta(seconds=QUICK["rollout.settle_s"])
    last = parse_utc(end.record.inputs[0].time_max or "") - settle
    settled = [line for line in lines if line.ts <= last]
    side = at.home.artifacts / "shadow" / "predictions.jsonl"
    asked = {line.request_id for line in read_predictions(side)}
    lost = [line for line in settled if line.request_id not in asked]
    out = [line for line in lost if any(start <= line.ts < stop for start, stop in gaps)]
    assert out
    assert end.record.inputs[0].rows == len(settled) - len(out)


def test_a_stalled_runner_takes_it_again_and_counts_only_what_was_split(at: Place) -> None:
    """Stopped for ten seconds: five of them split, five not, and the phase is no older for them."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    hook = _once(clock, 0.5, lambda server: server.sleep(10.0))
    more: dict[str, Any] = {"rollout.by": "duration", "rollout.least_s": 8.0}
    end = leading(at, server, clock, hook=hook, **PATIENT, **more)
    assert end.aborted == ""
    assert server.orders[:2] == ["observe_only 50", "observe_only 50"]
    ((start, stop),) = end.record.details["gaps"]
    assert (parse_utc(stop) - parse_utc(start)).total_seconds() == pytest.approx(5.0, abs=0.6)
    first, second = map(parse_utc, end.record.details["begun"])
    assert (second - first).total_seconds() == pytest.approx(8.0 + 5.0, abs=0.8)
    _split_only(at, end)


def test_a_server_that_starts_anew_is_asked_again(at: Place) -> None:
    """Its share is 0 until the runner says so, for the same lock."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    end = leading(at, server, clock, hook=_once(clock, 0.3, ScriptedServer.expire), **PATIENT)
    assert end.aborted == ""
    assert server.orders[:2] == ["observe_only 50", "observe_only 50"]
    _split_only(at, end)


def test_a_lease_lost_for_long_waits_for_a_person(at: Place) -> None:
    """Paused, not ended: nothing is open, a new one is refused, `--resume` goes on.

    What failed in between, when the champion answered everybody, is not the candidate's.
    """
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    hook = _once(clock, 0.6, lambda server: server.sleep(60.0))
    with pytest.raises(PromotionRefusedError, match="paused at 50%: its lease"):
        leading(at, server, clock, hook=hook, **PATIENT)
    state = RolloutFiles(at.home).read()
    assert state is not None
    assert (state.finished, state.is_open, state.observed > 0) == ("", False, True)
    assert server.orders == ["observe_only 50"]
    with pytest.raises(PromotionRefusedError, match="was left at 50%"):
        leading(at, server, clock, **PATIENT)
    server.errors += 1_000
    server.sleep(2.0)
    clock.advance(3_600.0)
    end = leading(at, server, clock, is_resumed=True, **PATIENT)
    assert end.aborted == ""
    assert end.record.value("error_rate", "50%") == 0.0
    assert (end.record.value("observed", "50%") or 0) >= state.observed
    _split_only(at, end)


def test_a_paused_one_is_ended_by_abort(at: Place) -> None:
    """With the evidence of what was observed until then."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    hook = _once(clock, 0.6, lambda server: server.sleep(60.0))
    with pytest.raises(PromotionRefusedError, match="paused"):
        leading(at, server, clock, hook=hook, **PATIENT)
    _, end = rollout_abort(
        at.home,
        at.params(),
        policy=POLICY,
        clock=clock,
        server=server,  # type: ignore[arg-type]  # it says what the real one says
        reason="enough",
    )
    assert end is not None
    assert end.aborted == "50%: enough"
    assert (end.record.value("observed", "50%") or 0) > 0


def test_what_was_lost_is_taken_again_for_the_same_lock_only(at: Place) -> None:
    """The server came back with another candidate: invalid."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)

    def another(server: ScriptedServer) -> None:
        server.expire()
        server.lock = {**server.lock, "candidate_sha256": "sha256:" + "0" * 64}

    end = leading(at, server, clock, hook=_once(clock, 0.3, another), **PATIENT)
    assert end.aborted.startswith("50%: invalid")
    assert server.orders == ["observe_only 50", "off"]


def test_the_canary_of_another_runner_is_left_alone(at: Place) -> None:
    """The rollout is over; theirs goes on."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)

    def theirs(server: ScriptedServer) -> None:
        server.shown.lease = ServerLease("another", 5.0, 5.0)

    end = leading(at, server, clock, hook=_once(clock, 0.3, theirs), **PATIENT)
    assert "changed it" in end.aborted
    assert server.orders == ["observe_only 50"]
    assert server.shown.mode == "observe"


def test_an_asleep_machine_is_told_by_the_other_clock(
    at: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monotonic clock stands still meanwhile; the lease was lost for an hour all the same."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    stopped = clock.monotonic_s

    def sleep_on(server: ScriptedServer) -> None:
        server.expire()
        monkeypatch.setattr(clock, "start", clock.start.replace(hour=1))

    hook = _once(clock, 0.3, sleep_on)
    with pytest.raises(PromotionRefusedError, match="renewed for 3600 s"):
        leading(at, server, clock, hook=hook, **PATIENT)
    assert stopped() < 1.0


def test_a_runner_that_would_look_too_rarely(at: Place) -> None:
    """Nothing is ordered that would end between two looks."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    with pytest.raises(ParamsError, match="between two looks"):
        leading(at, server, clock, **{**PATIENT, "rollout.poll_s": 2.6})
    assert server.orders == []


def test_the_state_says_who_leads_it_and_since_when(at: Place) -> None:
    """For whoever looks from another terminal."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    seen: list[Any] = []
    leading(
        at,
        server,
        clock,
        hook=_once(clock, 1.0, lambda _: seen.append(RolloutFiles(at.home).read())),
    )
    (state,) = seen
    assert state.runner.startswith("pid ")
    assert len(state.holder) == 16
    assert format_utc(clock.start) <= state.renewed <= format_utc(clock.now())
