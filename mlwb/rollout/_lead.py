"""A candidate through its phases on a running server: ``mlwb canary run`` and ``abort``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import chain

from mlwb.canary import Dwell, RolloutGuide, StepKind
from mlwb.core.clock import Clock, format_utc, parse_utc
from mlwb.core.errors import (
    EvidenceMissingError,
    ParamsError,
    PromotionRefusedError,
    ServeError,
)
from mlwb.core.home import Home
from mlwb.params import CanaryRolloutParams, Policy
from mlwb.rollout._hold import CanaryHold
from mlwb.rollout._requests import RolloutRequests
from mlwb.rollout._server import CanaryServer
from mlwb.rollout._state import RolloutFiles, RolloutState
from mlwb.rollout._told import RolloutEnd, RolloutOptions, RolloutProgress, Tell
from mlwb.stages import canary_rollout
from mlwb.stages.canary_preflight import lock_of
from mlwb.stages.canary_rollout import (
    Lock,
    Ran,
    abort_limits,
    judge_limits,
    lease_s_of,
    traffic_of,
)
from mlwb.stages.common import match_delta_of

__all__ = ["rollout_abort", "rollout_run"]


class _Rollout:
    """One rollout, begun or taken up again."""

    def __init__(
        self,
        state: RolloutState,
        params: CanaryRolloutParams,
        *,
        policy: Policy,
        clock: Clock,
        server: CanaryServer,
        files: RolloutFiles,
        sleep: Callable[[float], None],
    ) -> None:
        rollout = replace(params.rollout, phases=tuple(state.phases))
        params = replace(params, rollout=rollout)
        self.state, self._params, self._policy = state, params, policy
        self._clock, self._server, self._files, self._sleep = clock, server, files, sleep
        self._lock = Lock(**state.lock)
        self._ahead_s: float | None = None  # of the wall clock, when the phase began
        self._requests = RolloutRequests(state, params, self._lock)
        self.hold = CanaryHold(
            state,
            files,
            server=server,
            clock=clock,
            lease_s=lease_s_of(policy),
            patience_s=rollout.patience_s,
        )
        self._guide = RolloutGuide(
            len(state.phases),
            Dwell(
                "duration" if rollout.by == "duration" else "evidence",
                rollout.least_s,
                rollout.most_s,
                rollout.observed_per_phase,
            ),
            limits=abort_limits(policy),
            judged=judge_limits(policy),
            match_delta=match_delta_of(policy),
            is_split=state.mode == "live",
            scores=canary_rollout.score_limit(params, self._lock, policy),
        )

    def begin(self) -> str:
        """Open the first phase; why it must end again at once, or empty.

        Raises
        ------
        PromotionRefusedError
            The server does not open it.
        """
        self._requests.skip()
        why = self.hold.open_next()
        if self.state.begun:
            return why
        self.hold.close("it did not begin")
        self.state.aborted, self.state.finished = why, format_utc(self._clock.now())
        self._files.write(self.state)
        raise PromotionRefusedError(f"the canary did not begin: {why}")

    def take_up(self) -> str:
        """Read what was observed so far; why it cannot go on, or empty."""
        if wish := self._files.wish:
            return wish
        if problem := self.hold.find():
            return problem
        self.restore()
        parts = self._requests.by_phase()
        self._guide.resume([traffic_of(part, self.state.mode) for part in parts])
        if not self._invalid:
            self.hold.take_up()  # after all that reading, for which no lease would wait
        return self._invalid

    def restore(self) -> None:
        """Read everything again: lines from the logs, failures from the state."""
        self._requests.restore(self._clock.now())

    def follow(self, tell: Tell | None) -> str:
        """Look until it is over; why it stopped early, or empty."""
        rollout, away_since = self._params.rollout, None
        while True:
            self._sleep(rollout.poll_s)
            now_s = self._clock.monotonic_s()
            try:
                if problem := self._files.wish or self.hold.renew():
                    return problem
                is_over, why = self._look()
                away_since = None
            except ServeError as error:
                away_since = away_since or now_s
                if now_s - away_since >= rollout.patience_s:
                    return f"the server was away for {now_s - away_since:.0f} s: {error.what}"
                continue
            self._tell(tell)
            if is_over or why:
                return why

    def _look(self) -> tuple[bool, str]:
        """Take what is new and decide: whether it is over, and why it stops."""
        counters, now = self._server.counters(), self._clock.now()
        *before, fresh = self._requests.look(now, counters)
        if self._invalid:
            return True, self._invalid
        step = self._guide.look(
            traffic_of(fresh, self.state.mode),
            elapsed_s=self._elapsed_s(now),
            late=traffic_of(list(chain.from_iterable(before)), self.state.mode),
        )
        why = step.reason
        if why and self.state.unscored:
            why += f"; not scored: {self.state.said_unscored}"
        if step.kind is StepKind.NEXT:
            why, self._ahead_s = self.hold.open_next(), None
        self.state.observed = self._guide.n_observed
        self.state.log_evidence = self._guide.log_evidence
        self._files.write(self.state)
        return step.kind is StepKind.FINISH, why

    def end(self, aborted: str) -> RolloutEnd:
        """Back to 0, then the last lines, then the evidence."""
        state = self.state
        back_ms = self.hold.close(aborted or "all phases are done")
        if back_ms is None:
            aborted += "; the server could not be told" if aborted else "the server is away"
        self._sleep(self._params.rollout.settle_s if back_ms is not None else 0.0)
        self._requests.take(self._clock.now())
        state.aborted = f"{state.phase}: {aborted}" if aborted else ""
        state.finished = format_utc(self._clock.now())
        ran = Ran(
            params=self._params,
            mode=state.mode,
            lock=self._lock,
            exchanges=tuple(chain.from_iterable(self._requests.by_phase())),
            aborted=state.aborted,
            started=state.started,
            finished=state.finished,
            foreign=self._requests.foreign,
            more={
                "back_ms": back_ms,
                "begun": list(state.begun),
                "confirmation": state.confirmation,
                "gaps": [list(gap) for gap in state.gaps],
                "server": state.base_url,
            },
        )
        (record,) = canary_rollout.record(canary_rollout.measure(ran), ran, self._clock)
        (verdict,) = canary_rollout.judge([record], self._policy, self._clock)
        state.record, state.unscored = record.run_id, canary_rollout.unscored(ran.exchanges)
        self._files.write(state)
        return RolloutEnd(record, verdict, state.aborted, back_ms)

    @property
    def _invalid(self) -> str:
        foreign = self._requests.foreign
        return f"invalid: {foreign} was seen" if foreign else ""

    def _elapsed_s(self, now: datetime) -> float:
        """Since the phase began, less what the server took no share and the clock was set by."""
        begun = parse_utc(self.state.begun[-1])
        gaps = [(parse_utc(start), parse_utc(end)) for start, end in self.state.gaps]
        lost_s = sum(
            (end - max(start, begun)).total_seconds() for start, end in gaps if end > begun
        )
        ahead_s = now.timestamp() - self._clock.monotonic_s()
        self._ahead_s = ahead_s if self._ahead_s is None else self._ahead_s
        return max(0.0, (now - begun).total_seconds() - lost_s - (ahead_s - self._ahead_s))

    def _tell(self, tell: Tell | None) -> None:
        if tell is not None:
            now = self._clock.now()
            tell(
                RolloutProgress(
                    phase=self.state.phase,
                    number=len(self.state.begun),
                    n_phases=len(self.state.phases),
                    observed=self._guide.n_observed,
                    needed=self._params.rollout.observed_per_phase,
                    elapsed_s=self._elapsed_s(now),
                    log_evidence=self._guide.log_evidence,
                )
            )


def rollout_run(
    home: Home,
    params: CanaryRolloutParams,
    options: RolloutOptions,
    *,
    policy: Policy,
    clock: Clock,
    server: CanaryServer,
    sleep: Callable[[float], None] = time.sleep,
    progress: Tell | None = None,
) -> RolloutEnd:
    """Lead a candidate through its phases and write down what that showed.

    Parameters
    ----------
    home : Home
        Of the server: its registry, logs and evidence.
    params : CanaryRolloutParams
        Phases and times.
    options : RolloutOptions
        Which kind.
    policy : Policy
        When to stop.
    clock : Clock
        The machine's, which is the server's too.
    server : CanaryServer
        The running server.
    sleep : callable, optional
        Waits.
    progress : callable, optional
        Told after each look.

    Returns
    -------
    RolloutEnd

    Raises
    ------
    LockHeldError
        Another runner is at work.
    PromotionRefusedError
        One was left unfinished, a live one is not confirmed, or the lease was lost for so long that
        a person has to say how it goes on.
    EvidenceMissingError
        There is none to resume.
    ParamsError
        It would look too rarely for the lease, or the one to resume was about another policy.
    """
    _check_lease(params.rollout.poll_s, policy)
    files = RolloutFiles(home)
    with files.held():
        left, lock = files.read(), lock_of(params, policy)
        if options.is_resumed:
            state = _left(left)
            _check_policy(state.lock["policy_sha256"], policy)
        else:
            state = _fresh(left, params.rollout.phases, options, lock)
            files.forget_wish()
            state.started, state.counters = format_utc(clock.now()), server.counters()
        state.base_url = server.base_url
        rollout = _Rollout(
            state, params, policy=policy, clock=clock, server=server, files=files, sleep=sleep
        )
        try:
            if options.is_resumed:
                wrong = Lock(**state.lock).differences(asdict(lock))
                why = f"invalid: {wrong}" if wrong else rollout.take_up()
            else:
                why = rollout.begin()
            return rollout.end(why or rollout.follow(progress))
        except KeyboardInterrupt:
            return rollout.end("interrupted")
        except PromotionRefusedError:
            raise  # nothing is open: it did not begin, or is paused
        except BaseException:
            rollout.hold.close("the runner failed")
            raise


def rollout_abort(
    home: Home,
    params: CanaryRolloutParams,
    *,
    policy: Policy,
    clock: Clock,
    server: CanaryServer,
    reason: str,
) -> tuple[float | None, RolloutEnd | None]:
    """End the rollout now; where its runner is gone, write its evidence too.

    Parameters
    ----------
    home, params, policy, clock, server
        As for :func:`rollout_run`.
    reason : str
        Why; stands in the evidence.

    Returns
    -------
    float or None, RolloutEnd or None
        Milliseconds until the share was 0, None where the server did not answer; the evidence
        unless a runner is there to write it.
    """
    files = RolloutFiles(home)
    files.ask_to_end(reason)
    start_s = clock.monotonic_s()
    try:
        server.close(f"mlwb canary: {reason}")
        back_ms: float | None = (clock.monotonic_s() - start_s) * 1e3
    except ServeError:
        back_ms = None
    if files.is_held:
        return back_ms, None
    with files.held():
        state = files.read()
        if state is None or (state.finished and not state.is_open):
            return back_ms, None
        if state.finished:
            state.is_open = back_ms is None
            files.write(state)
            return back_ms, None
        rollout = _Rollout(
            state, params, policy=policy, clock=clock, server=server, files=files, sleep=time.sleep
        )
        rollout.restore()
        return back_ms, rollout.end(reason)


def _check_lease(poll_s: float, policy: Policy) -> None:
    if lease_s_of(policy) < 2.0 * poll_s:
        raise ParamsError(
            "the lease of the canary would end between two looks",
            expected=f"rollout.poll_s <= {lease_s_of(policy) / 2.0:g}",
            got=f"{poll_s:g}",
            todo="look more often, or make canary_abort.settings.lease_s of the policy longer",
        )


def _left(state: RolloutState | None) -> RolloutState:
    if state is None or state.finished or not state.begun:
        raise EvidenceMissingError(
            "no rollout was left unfinished", todo="begin one: mlwb canary run --observe-only"
        )
    return state


def _check_policy(wanted: str, policy: Policy) -> None:
    """A resume under another policy is a slip of whoever typed it: nothing is ended for that."""
    if wanted != policy.digest:
        raise ParamsError(
            "the rollout that was left is about another policy",
            expected=wanted,
            got=policy.digest,
            todo="name that one with --policy, or end it: mlwb canary abort --reason ...",
        )


def _fresh(
    left: RolloutState | None, phases: Sequence[float], options: RolloutOptions, lock: Lock
) -> RolloutState:
    if left is not None and (not left.finished or left.is_open):
        raise PromotionRefusedError(
            f"the rollout of {left.started} was left at {left.phase}",
            todo="mlwb canary run --resume, or mlwb canary abort --reason ...",
        )
    if options.mode == "live" and not options.confirmation:
        raise PromotionRefusedError(
            "nobody has confirmed a live rollout", todo="type the phrase of mlwb canary preflight"
        )
    return RolloutState(
        base_url="",
        mode=options.mode,
        lock=asdict(lock),
        phases=list(phases),
        started="",
        begun=[],
        confirmation=options.confirmation,
    )
