"""The server's canary in the hands of a rollout: opened, held by a renewed lease, closed."""

from __future__ import annotations

import os
import secrets
import socket

from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import PromotionRefusedError, ServeError
from mlwb.rollout._server import CanaryServer, LeaseAsked, ServerCanary
from mlwb.rollout._state import RolloutFiles, RolloutState
from mlwb.stages.canary_rollout import Lock

__all__ = ["CanaryHold"]


class CanaryHold:
    """Opens, renews and closes; what the server has must be what was ordered.

    A lease that was lost for no longer than the rollout is patient is taken again; what was asked
    in between is none of the rollout's. After a longer time a person decides.

    Parameters
    ----------
    state : RolloutState
        Of the rollout; who holds it, and when nothing was split, is written there.
    files : RolloutFiles
        Where the state is kept.
    server : CanaryServer
        The running server.
    clock : Clock
        The machine's, which is the server's too.
    lease_s : float
        How long the server waits for the next look.
    patience_s : float
        How long a lease may be lost.
    """

    def __init__(
        self,
        state: RolloutState,
        files: RolloutFiles,
        *,
        server: CanaryServer,
        clock: Clock,
        lease_s: float,
        patience_s: float,
    ) -> None:
        self._state, self._files, self._server, self._clock = state, files, server, clock
        self._lock, self._patience_s = Lock(**state.lock), patience_s
        state.holder = state.holder or secrets.token_hex(8)
        state.runner = f"pid {os.getpid()} on {socket.gethostname()}"
        self._lease = LeaseAsked(state.holder, lease_s)
        self._renewed = clock.monotonic_s(), clock.now()
        self._is_anothers = False

    def open_next(self) -> str:
        """Begin the next phase; why the rollout must end, or empty."""
        state = self._state
        percent = state.phases[len(state.begun)]
        state.is_open = True
        self._files.write(state)
        try:
            # The look before took its time: somebody may have ended it meanwhile.
            if state.begun and (problem := self.renew()):
                return problem
            self._order(percent, "")
        except ServeError as error:
            return _refused(percent, error)
        state.begun.append(format_utc(self._clock.now()))
        self._files.write(state)
        return self._files.wish

    def renew(self) -> str:
        """Hold the canary for another lease; why the rollout must end, or empty.

        Raises
        ------
        PromotionRefusedError
            The lease was lost for too long: the rollout waits for `--resume`.
        ServeError
            The server does not answer, or does not take the order again.
        """
        state, server = self._state, self._server
        try:
            shown = server.renew(self._lock, state.holder)
        except ServeError as error:
            if error.problem != "lease_lost":
                raise
            shown = server.show()
            if shown.is_expired:
                lost_s = self._since_renewed_s()
                if lost_s > self._patience_s:
                    raise self._paused(f"its lease was not renewed for {lost_s:.0f} s") from error
                return self._take_again(shown)
        if problem := self._problem(shown):
            return problem
        self._note_renewed()
        return ""

    def find(self) -> str:
        """Look at what another runner left; why it cannot go on, or empty.

        Raises
        ------
        ServeError
            The server does not answer.
        """
        shown = self._server.show()
        if shown.is_expired:
            self._note_gap(shown)
        elif not self._is_ours(shown):
            return self._problem(shown)
        return ""

    def take_up(self) -> None:
        """Order the share again that another runner left.

        Raises
        ------
        PromotionRefusedError
            The server gives no share now: the rollout waits on.
        """
        try:
            shown = self._server.show()
            if why := self._take_again(shown):
                raise self._paused(why)
            if shown.is_expired:
                # What failed while nobody looked and nothing was split is not the candidate's.
                self._state.counters = self._server.counters()
        except ServeError as error:
            raise self._paused(error.what) from error

    def close(self, why: str) -> float | None:
        """Tell the server; how many ms that took, None where it was not heard.

        A canary that somebody else holds by now is theirs to close.
        """
        start_s = self._clock.monotonic_s()
        if self._is_anothers:
            self._state.is_open = False
            return 0.0
        try:
            self._server.close(f"mlwb canary: {why}")
        except ServeError:
            return None
        self._state.is_open = False
        return (self._clock.monotonic_s() - start_s) * 1e3

    def _take_again(self, lost: ServerCanary) -> str:
        """Order the share of this phase again; why that is refused, or empty."""
        state = self._state
        percent = state.phases[len(state.begun) - 1]
        try:
            self._order(percent, " again")
        except ServeError as error:
            if error.problem not in ("stale_state", "canary_held"):
                raise  # it is away, or not ready yet: patience
            self._is_anothers = error.problem == "canary_held"
            return _refused(percent, error)
        if lost.is_expired:
            self._note_gap(lost)
        state.is_open = True
        self._files.write(state)
        return ""

    def _note_gap(self, lost: ServerCanary) -> None:
        """Nothing was split since the lease was lost; a gap that is known already ends later."""
        gaps = [gap for gap in self._state.gaps if gap[0] != lost.since]
        self._state.gaps = [*gaps, (lost.since, format_utc(self._clock.now()))]

    def _is_ours(self, shown: ServerCanary) -> bool:
        return shown.lease is not None and shown.lease.holder == self._state.holder

    def _order(self, percent: float, again: str) -> None:
        reason = f"mlwb canary, {percent:g} %{again}"
        self._server.open(
            self._state.mode, percent, lock=self._lock, reason=reason, lease=self._lease
        )
        self._note_renewed()

    def _problem(self, shown: ServerCanary) -> str:
        """What is wrong with the server's canary; empty where it is ours."""
        state = self._state
        if shown.mode == "off":
            if shown.ended:
                return f"the server ended it: {shown.ended}"
            return f"{shown.by or 'somebody'} ended it: {shown.reason}"
        if wrong := self._lock.differences(shown.lock or {}):
            return f"invalid: {wrong}"
        percent = state.phases[len(state.begun) - 1]
        self._is_anothers = not self._is_ours(shown)
        is_same_mode = (shown.mode == "live") is (state.mode == "live")
        if not (self._is_ours(shown) and is_same_mode and shown.percent == percent):
            return f"{shown.by or 'somebody'} changed it to {shown.mode} {shown.percent:g} %"
        return ""

    def _note_renewed(self) -> None:
        self._renewed = self._clock.monotonic_s(), self._clock.now()
        self._state.renewed = format_utc(self._renewed[1])

    def _since_renewed_s(self) -> float:
        """By the clock that sleeps with the machine, or the one that does not: the longer."""
        monotonic_s, moment = self._renewed
        by_wall_s = (self._clock.now() - moment).total_seconds()
        return max(self._clock.monotonic_s() - monotonic_s, by_wall_s)

    def _paused(self, why: str) -> PromotionRefusedError:
        self._state.is_open = False
        self._files.write(self._state)
        return PromotionRefusedError(
            f"the rollout is paused at {self._state.phase}: {why}",
            todo="mlwb canary run --resume goes on from what was observed; mlwb canary abort ends",
        )


def _refused(percent: float, error: ServeError) -> str:
    if error.problem == "stale_state":
        return f"invalid: {error.what}"
    return f"{percent:g}% was refused: {error.what}"
