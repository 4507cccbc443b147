"""``mlwb canary status``: where a rollout is, who leads it, and what the server does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from mlwb.core.clock import Clock, parse_utc
from mlwb.stats import e_value

if TYPE_CHECKING:
    from mlwb.rollout import RolloutState, ServerCanary

__all__ = ["status_table"]


def status_table(
    state: RolloutState | None, server: ServerCanary | None, *, is_held: bool, clock: Clock
) -> Table:
    """The screen.

    Parameters
    ----------
    state : RolloutState or None
        None before the first rollout.
    server : ServerCanary or None
        None where the server does not answer.
    is_held : bool
        Whether a runner is at work.
    clock : Clock
        For how long ago something was.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("server", escape(_server(server)))
    table.add_row("lease", escape(_lease(state, server)))
    if state is None:
        table.add_row("rollout", "none yet")
        return table
    for name, said in _rows(state, clock):
        table.add_row(name, escape(said))
    table.add_row("state", _state(state, is_held=is_held))
    return table


def _server(server: ServerCanary | None) -> str:
    if server is None:
        return "does not answer"
    ended = f", ended: {server.ended}" if server.ended else ""
    return f"{server.mode} {server.percent:g} %{ended}"


def _lease(state: RolloutState | None, server: ServerCanary | None) -> str:
    if server is None or server.mode == "off":
        return "none"
    if server.lease is None:
        return "none: until somebody ends it"
    lease = server.lease
    is_ours = state is not None and lease.holder == state.holder
    whose = "this rollout's" if is_ours else "another's" if lease.holder else "nobody's"
    return f"{whose}, {lease.left_s:.1f} of {lease.ttl_s:g} s left unless renewed"


def _rows(state: RolloutState, clock: Clock) -> Iterator[tuple[str, str]]:
    yield "rollout", f"{state.mode}, {state.lock['candidate']} over {state.lock['champion']}"
    if state.runner:
        yield "runner", f"{state.runner}, renewed {_ago(state.renewed, clock)}"
    yield "began", state.started
    where = f"{state.phase} ({len(state.begun)} of {len(state.phases)})"
    yield "phase", f"{where}, {state.observed:,} observed in it"
    errors = sum(errors for _, errors, _ in state.counted)
    fallbacks = sum(fallbacks for _, _, fallbacks in state.counted)
    yield "counted", f"{errors:,} requests without an answer, {fallbacks:,} fallbacks"
    if state.unscored:
        yield "not scored", f"{state.said_unscored}, of what the candidate was asked"
    if state.gaps:
        lost_s = sum(
            (parse_utc(end) - parse_utc(start)).total_seconds() for start, end in state.gaps
        )
        n = len(state.gaps)
        said = f"{n} gap{'s' * (n > 1)}, {lost_s:,.1f} s in all, left out of the counts"
        yield "not split", said
    yield "e-value against", f"{e_value(state.log_evidence):.3g}"


def _ago(stamp: str, clock: Clock) -> str:
    if not stamp:
        return "never"
    return f"{(clock.now() - parse_utc(stamp)).total_seconds():,.1f} s ago"


def _state(state: RolloutState, *, is_held: bool) -> str:
    if is_held:
        return "under way"
    if not state.finished:
        return "[yellow]left by its runner[/]: mlwb canary run --resume, or abort --reason ..."
    if state.is_open:
        return "ended, and the server was not told: mlwb canary abort --reason ..."
    return f"ended {state.finished}" + (f": {escape(state.aborted)}" if state.aborted else "")
