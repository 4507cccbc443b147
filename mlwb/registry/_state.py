"""The state of the registry: the fold of ``promotions.log``, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlwb.core.chain import Link

__all__ = ["State", "fold"]


@dataclass(frozen=True, kw_only=True)
class State:
    """What the log says.

    Parameters
    ----------
    seq : int
        Lines folded.
    registered : mapping of str to str
        Version to the digest of its manifest.
    history : tuple of str
        Versions that are or were `latest`, oldest first, without those rolled back from; the
        last one is `latest`.
    promoted : frozenset of str
        Every version that ever was `latest`.
    candidate : str or None
        The version registered last, until it is promoted.
    intent : mapping or None
        An operation that was begun and neither committed nor aborted.
    flipped : int
        The line that announced the last move of `latest`, 0 before the first.
    moved : str
        What moved it: the action of that line, empty before the first.
    retired : frozenset of str
        Versions collected or put into quarantine; their names stay taken.
    registered_at, promoted_at : mapping of str to str
        When a version was registered, and when it last became `latest`: UTC with ``Z``.
    rolled_back_at : mapping of str to str
        When a version was last rolled back from: UTC with ``Z``. A promotion does not clear it.
    used_decisions, used_confirmations : frozenset of str
        Digests of decisions, and run ids of confirmations, that a promotion used up.
    """

    seq: int = 0
    registered: Mapping[str, str] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    promoted: frozenset[str] = frozenset()
    candidate: str | None = None
    intent: Mapping[str, Any] | None = None
    flipped: int = 0
    moved: str = ""
    retired: frozenset[str] = frozenset()
    registered_at: Mapping[str, str] = field(default_factory=dict)
    promoted_at: Mapping[str, str] = field(default_factory=dict)
    rolled_back_at: Mapping[str, str] = field(default_factory=dict)
    used_decisions: frozenset[str] = frozenset()
    used_confirmations: frozenset[str] = frozenset()

    @property
    def latest(self) -> str | None:
        """The version being served, None before the first promotion."""
        return self.history[-1] if self.history else None

    @property
    def previous(self) -> str | None:
        """The version a rollback goes back to, None when there is none."""
        return self.history[-2] if len(self.history) > 1 else None


def fold(links: Iterable[Link], state: State | None = None) -> State:
    """The state after a sequence of log lines.

    Parameters
    ----------
    links : iterable of Link
        Of ``promotions.log``, in order.
    state : State, optional
        After the lines before them; empty when not given.
    """
    state = state or State()
    for link in links:
        state = _step(replace(state, seq=link.seq), link.body)
    return state


def _step(state: State, body: Mapping[str, Any]) -> State:
    event = body["event"]
    if event == "change":  # announced and done by one line, where a line can be that
        return _commit(replace(state, intent=None), {**body, "seq": state.seq})
    if event == "intent":
        return replace(state, intent={**body, "seq": state.seq})
    if event == "commit" and state.intent is not None:
        return _commit(replace(state, intent=None), state.intent)
    if event in ("commit", "abort"):
        return replace(state, intent=None)
    return state


def _commit(state: State, intent: Mapping[str, Any]) -> State:
    version = intent["version"]
    if intent["action"] == "register":
        known = {**state.registered, version: intent["manifest_sha256"]}
        times = {**state.registered_at, version: intent.get("time", "")}
        return replace(state, registered=known, registered_at=times, candidate=version)
    if intent["action"] == "restore":
        return state
    if intent["action"] in ("collect", "quarantine"):
        return _retire(state, intent)
    kept = state.history
    if version in kept and intent["action"] == "rollback":
        kept = kept[: kept.index(version)]
    used = frozenset({intent["decision_sha256"]} - {""})
    left = state.latest if intent["action"] == "rollback" and version != state.latest else None
    return replace(
        state,
        rolled_back_at={**state.rolled_back_at, **({left: intent.get("time", "")} if left else {})},
        history=(*kept, version),
        flipped=intent["seq"],
        moved=intent["action"],
        promoted=state.promoted | {version},
        promoted_at={**state.promoted_at, version: intent.get("time", "")},
        candidate=None if state.candidate == version else state.candidate,
        used_decisions=state.used_decisions | used,
        used_confirmations=state.used_confirmations | frozenset(intent["confirmations"]),
    )


def _retire(state: State, intent: Mapping[str, Any]) -> State:
    version = intent["version"]
    known = {name: sha256 for name, sha256 in state.registered.items() if name != version}
    return replace(
        state,
        flipped=intent["seq"] if version == state.latest else state.flipped,
        moved=intent["action"] if version == state.latest else state.moved,
        registered=known,
        history=tuple(name for name in state.history if name != version),
        promoted=state.promoted - {version},
        candidate=None if state.candidate == version else state.candidate,
        retired=state.retired | {version},
    )
