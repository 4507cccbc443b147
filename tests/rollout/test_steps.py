"""A rollout against a scripted server, on a clock of its own: what ends it, and what it writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from mlwb.canary import Dwell, RolloutGuide, StepKind
from mlwb.core.clock import ManualClock
from mlwb.core.errors import EvidenceMissingError, LockHeldError, ParamsError, PromotionRefusedError
from mlwb.core.predictionlog import ShadowOutcome
from mlwb.evidence import EvidenceStore
from mlwb.params import load_policy
from mlwb.rollout import RolloutEnd, RolloutFiles, RolloutOptions, rollout_abort, rollout_run
from mlwb.rollout._server import ServerCanary, ServerLease
from mlwb.stages.canary_rollout import abort_limits, judge_limits
from mlwb.stages.common import match_delta_of
from tests.rollout.rollout_kit import PARAMS, Hook, Place, ScriptedServer, leading, made_traffic

pytestmark = pytest.mark.slow

POLICY = load_policy(PARAMS / "policy.yml")


def test_a_healthy_one_goes_through_all_phases(at: Place) -> None:
    """In order, to 0 % at the end; the evidence is live and counts what was answered."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    end = leading(at, server, clock)
    assert end.aborted == ""
    assert server.orders == ["observe_only 50", "observe_only 100", "off"]
    record = end.record
    assert (record.origin, record.value("questions_shown")) == ("live", 1.0)
    assert record.details["lock"] == server.lock
    assert EvidenceStore(at.home.evidence).newest("canary_run").run_id == record.run_id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("candidate error", lambda _: ShadowOutcome("v2.0.0", error="range")),
        ("candidate slow", lambda s: ShadowOutcome("v2.0.0", s, 0.0, True, 150.0)),
        ("mismatch", lambda s: ShadowOutcome("v2.0.0", s + 0.2, 0.2, False, 0.1)),
    ],
)
def test_a_bad_candidate_ends_it_for_the_right_reason(
    at: Place, word: str, answer: Callable[[float], ShadowOutcome]
) -> None:
    """Errors, slowness and drifted scores are told apart, in the first phase."""
    clock = ManualClock()
    server = ScriptedServer(at, clock, answer=answer)
    end = leading(at, server, clock)
    assert end.aborted.startswith(f"50%: {word}")
    assert server.orders == ["observe_only 50", "off"]
    assert end.record.value("aborted") == 1.0
    assert end.verdict.outcome == "FAIL"


@pytest.mark.parametrize("hours", [6, -6])
def test_a_clock_that_is_set_neither_ends_nor_holds_a_phase(at: Place, hours: int) -> None:
    """Phases of a duration take as many looks as on a clock that nobody touches."""
    clock, looks = ManualClock(), [0]

    def step(server: ScriptedServer) -> None:
        looks[0] += 1
        if looks[0] == 2:
            clock.start += timedelta(hours=hours)
        assert looks[0] < 100, server.orders

    lasting: dict[str, Any] = {
        "rollout.by": "duration",
        "rollout.least_s": 2.0,
        "rollout.most_s": 2.0,
    }
    end = leading(at, ScriptedServer(at, clock), clock, hook=step, **lasting)
    assert end.aborted == ""
    assert 16 <= looks[0] <= 19  # two phases of 2 s, a look each 0.25 s, and the last lines


def test_errors_that_only_the_counters_know_end_it(at: Place) -> None:
    """No log has a line of them."""
    clock = ManualClock()
    end = leading(at, ScriptedServer(at, clock, error=0.2), clock)
    assert end.aborted.startswith("50%: error")


def test_a_slower_candidate_ends_a_live_split(at: Place) -> None:
    """Far below every limit in milliseconds, but beyond chance slower than the champion."""
    clock = ManualClock()
    server = ScriptedServer(
        at,
        clock,
        answer=lambda s: ShadowOutcome("v2.0.0", s, 0.0, True, 3.0),
    )
    many: dict[str, Any] = {"rollout.observed_per_phase": 5000}
    end = leading(at, server, clock, mode="live", **many)
    assert "the candidate's p95 of 3 ms" in end.aborted


def test_a_live_one_needs_a_yes(at: Place) -> None:
    """Without a confirmation nothing is ordered."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    with pytest.raises(PromotionRefusedError, match="confirmed"):
        rollout_run(
            at.home,
            at.params(),
            RolloutOptions("live"),
            policy=POLICY,
            clock=clock,
            server=server,  # type: ignore[arg-type]  # it says what the real one says
        )
    assert server.orders == []


def _other_lock(server: ScriptedServer) -> None:
    server.shown.lock = {**server.lock, "candidate_sha256": "sha256:" + "0" * 64}


def _other_champion(server: ScriptedServer) -> None:
    server.champion = "v9.0.0"


def _other_share(server: ScriptedServer) -> None:
    server.shown.percent = 77.0


def _ended(server: ScriptedServer) -> None:
    server.shown = ServerCanary("off", 0.0, ended="the candidate failed")


def _taken(server: ScriptedServer) -> None:
    server.shown.lease, server.shown.by = ServerLease("another", 5.0, 5.0), "bob"


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        (_other_lock, "50%: invalid: candidate_sha256"),
        (_other_champion, "50%: invalid: v9.0.0 was seen"),
        (_other_share, "50%: runner changed it to observe 77 %"),
        (_ended, "50%: the server ended it: the candidate failed"),
        (_taken, "50%: bob changed it to observe 50 %"),
    ],
)
def test_what_is_no_longer_this_rollout_ends_it(at: Place, hook: Hook, why: str) -> None:
    """Another digest, another version in the log, another share, or the server's own decision."""
    clock = ManualClock()
    end = leading(at, ScriptedServer(at, clock), clock, hook=hook)
    assert end.aborted.startswith(why)
    assert end.verdict.outcome == "FAIL"


def test_one_that_was_ended_during_a_look_is_not_begun_again(
    at: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody says off while the look decides for the next phase: off it stays."""
    clock = ManualClock()
    server, look = ScriptedServer(at, clock), RolloutGuide.look

    def looked(self: RolloutGuide, *traffic: Any, **more: Any) -> Any:
        step = look(self, *traffic, **more)
        if step.kind is StepKind.NEXT:
            server.shown = ServerCanary("off", 0.0, by="alice", reason="enough")
        return step

    monkeypatch.setattr(RolloutGuide, "look", looked)
    end = leading(at, server, clock)
    assert "alice ended it: enough" in end.aborted
    assert len([order for order in server.orders if order != "off"]) == 1


def test_a_server_that_is_away_ends_it_after_a_while(at: Place) -> None:
    """Not at once; what it serves is not known then, and `abort` tells it when it is back."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)

    def leave(server: ScriptedServer) -> None:
        server.is_away = clock.monotonic_s() > 0.3

    end = leading(at, server, clock, hook=leave)
    assert "away for" in end.aborted
    assert "could not be told" in end.aborted
    assert end.back_ms is None
    with pytest.raises(PromotionRefusedError, match="was left"):
        leading(at, server, clock)
    server.is_away = False
    back_ms, _ = _abort(at, server, clock)
    assert back_ms is not None
    state = RolloutFiles(at.home).read()
    assert state is not None
    assert not state.is_open
    assert leading(at, server, clock).aborted == ""


def test_a_server_that_comes_back_in_time_is_no_reason(at: Place) -> None:
    """Two looks without an answer cost nothing."""
    clock = ManualClock()

    def blink(server: ScriptedServer) -> None:
        server.is_away = 0.2 < clock.monotonic_s() < 0.6

    assert leading(at, ScriptedServer(at, clock), clock, hook=blink).aborted == ""


class _KilledError(BaseException):
    """The runner is gone."""


def _left(at: Place, clock: ManualClock) -> ScriptedServer:
    """A rollout in its second phase whose runner was killed, canary still open."""
    server = ScriptedServer(at, clock)
    shown = server.shown

    def kill(server: ScriptedServer) -> None:
        nonlocal shown
        shown = server.shown
        if len(server.orders) == 2:
            raise _KilledError

    with pytest.raises(_KilledError):
        leading(at, server, clock, hook=kill)
    server.shown = shown  # a killed one would not have closed it
    server.orders.clear()
    return server


def test_a_resumed_one_has_seen_what_was_before(at: Place) -> None:
    """Both phases are whole in the evidence, and no phase begins anew."""
    clock = ManualClock()
    server = _left(at, clock)
    end = leading(at, server, clock, is_resumed=True)
    assert end.aborted == ""
    assert server.orders == ["observe_only 100", "off"]
    assert end.record.value("phases_completed") == 1.0
    assert (end.record.value("observed", "50%") or 0) >= 60


def test_a_resumed_one_of_other_digests_is_invalid(at: Place) -> None:
    """The candidate is another since: it ends, and says so."""
    clock = ManualClock()
    server = _left(at, clock)
    files = RolloutFiles(at.home)
    state = files.read()
    assert state is not None
    state.lock["candidate_sha256"] = "sha256:" + "0" * 64
    files.write(state)
    assert "invalid: candidate_sha256" in leading(at, server, clock, is_resumed=True).aborted
    assert server.orders == ["off"]


def test_a_resumed_one_of_another_policy_is_refused(at: Place) -> None:
    """Whoever forgot `--policy` ends nothing: it can be resumed as it was."""
    clock = ManualClock()
    server = _left(at, clock)
    files = RolloutFiles(at.home)
    state = files.read()
    assert state is not None
    kept = state.lock["policy_sha256"]
    state.lock["policy_sha256"] = "sha256:" + "0" * 64
    files.write(state)
    with pytest.raises(ParamsError, match="--policy"):
        leading(at, server, clock, is_resumed=True)
    assert server.orders == []
    state.lock["policy_sha256"] = kept
    files.write(state)
    assert leading(at, server, clock, is_resumed=True).aborted == ""


def _abort(
    at: Place, server: ScriptedServer, clock: ManualClock
) -> tuple[float | None, RolloutEnd | None]:
    return rollout_abort(
        at.home,
        at.params(**{"rollout.settle_s": 0.0}),
        policy=POLICY,
        clock=clock,
        server=server,  # type: ignore[arg-type]  # it says what the real one says
        reason="enough",
    )


def test_abort_writes_the_evidence_of_a_killed_runner(at: Place) -> None:
    """With the requests that were observed and the reason; after that one may begin anew."""
    clock = ManualClock()
    server = _left(at, clock)
    back_ms, end = _abort(at, server, clock)
    assert back_ms is not None
    assert end is not None
    assert end.aborted == "100%: enough"
    assert server.shown.mode == "off"
    with pytest.raises(EvidenceMissingError, match="unfinished"):
        leading(at, server, clock, is_resumed=True)


def test_two_runners_are_one_too_many(at: Place) -> None:
    """The second is refused."""
    clock = ManualClock()
    with RolloutFiles(at.home).held(), pytest.raises(LockHeldError):
        leading(at, ScriptedServer(at, clock), clock)


def test_too_little_traffic_is_no_success(at: Place) -> None:
    """When the time of a phase is up, it has seen enough or stops."""
    clock = ManualClock()
    server = ScriptedServer(at, clock)
    few: dict[str, Any] = {"rollout.observed_per_phase": 5000, "rollout.most_s": 1.0}
    assert "requests observed in time" in leading(at, server, clock, **few).aborted


@pytest.mark.slow
def test_healthy_rollouts_are_hardly_ever_stopped() -> None:
    """Of 200 with errors at a fifth of their limit, at most a few; each shows what it has to."""
    stopped, n_rollouts = 0, 200
    for seed in range(n_rollouts):
        rng = np.random.default_rng(seed)
        guide = RolloutGuide(
            5,
            Dwell("evidence", 0.0, 1e9, 100),
            limits=abort_limits(POLICY),
            judged=judge_limits(POLICY),
            match_delta=match_delta_of(POLICY),
        )
        step, shares = StepKind.STAY, (0.05, 0.1, 0.25, 0.5, 1.0)
        while step in {StepKind.STAY, StepKind.NEXT}:
            fresh = made_traffic(rng, 400, share=shares[guide.phase], error=0.002)
            step = guide.look(fresh, elapsed_s=1.0).kind
        stopped += step is StepKind.ABORT
    assert stopped <= 4
