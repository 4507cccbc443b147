"""One look: read, judge, and roll back where the policy says so and the caller lets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mlwb.core.clock import Clock, format_utc
from mlwb.core.errors import EvidenceError, MlwbError
from mlwb.evidence import EvidenceStore, Record
from mlwb.monitor._memory import Memory, append_look, read_memory, write_memory
from mlwb.monitor._money import LIVE_PNL, trading_readings
from mlwb.monitor._notices import Notice, notice
from mlwb.monitor._plan import Plan, plan_rollback
from mlwb.monitor._records import Suggestion, suggest_retraining
from mlwb.monitor._scrape import Scrape, parse_scrape
from mlwb.monitor._triggers import Measurement, Row, Rules, judge_readings
from mlwb.params import Policy
from mlwb.registry import Registry, RemoteRegistry, State

__all__ = ["Look", "Page", "Watcher"]

_OF_THE_SERVER = ("error_rate", "p95_ms", "error_alarm", "rank_corr", "prediction_psi")
_OF_NO_VERSION = ("down_s", "unaudited")


@dataclass(frozen=True)
class Page:
    """What a server said.

    Parameters
    ----------
    metrics : str
        Its ``/ml/metrics``.
    shadow : str or None
        The version that is compared with the one that answers, None for none.
    """

    metrics: str
    shadow: str | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look came to.

    Parameters
    ----------
    at : str
        UTC with ``Z``.
    version : str
        What `latest` names in the registry's log; empty for none.
    rows : tuple of Row
        One a trigger.
    plan : Plan
        What the triggers call for.
    outcome : str
        ``quiet``, ``held`` (called for, and not done now), ``would`` (not let), ``acted``,
        ``failed``.
    text : str
        A sentence about it; empty when quiet.
    suggestion : Suggestion or None
        Drift that does not go away.
    problems : tuple of str
        What could not be read, written or sent.
    """

    at: str
    version: str
    rows: tuple[Row, ...]
    plan: Plan
    outcome: str
    text: str = ""
    suggestion: Suggestion | None = None
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A line of the log of looks."""
        return {
            "at": self.at,
            "version": self.version,
            "triggers": [_row_json(row) for row in self.rows],
            "outcome": self.outcome,
            "text": self.text,
            "target": self.plan.target,
            "retrain": str(self.suggestion or ""),
            "problems": list(self.problems),
        }


@dataclass(kw_only=True)
class Watcher:
    """Looks again and again at one server and one registry.

    Parameters
    ----------
    registry : Registry or RemoteRegistry
        Rolls back; needs no server. One on an object store may be away: that is said in the look.
    store : EvidenceStore
        Trades and daily checks.
    policy : Policy
        Limits and settings.
    clock : Clock
        Says when.
    fetch : callable
        Asks the server for a :class:`Page`; raises ``ServeError`` where there is none.
    folder : Path
        ``state.json`` and ``looks.jsonl``.
    load_check : callable
        Loads a version as the server will, before `latest` moves; raising ends the rollback.
    deliver : callable, optional
        Sends a notice, and returns what went wrong.
    acts : bool, default=False
        Whether it rolls back, or says only that it would.
    """

    registry: Registry | RemoteRegistry
    store: EvidenceStore
    policy: Policy
    clock: Clock
    fetch: Callable[[], Page]
    folder: Path
    load_check: Callable[[Path], None]
    deliver: Callable[[Notice], str] | None = None
    acts: bool = False
    _memory: Memory = field(init=False)
    _problems: list[str] = field(init=False, default_factory=list)
    _records: tuple[str, tuple[Record, ...]] = field(init=False, default=("", ()))

    def __post_init__(self) -> None:
        self._rules = Rules.of(self.policy)
        self._memory, problem = read_memory(self.folder / "state.json", self._rules)
        self._problems = [problem] if problem else []

    def look(self, *, by: str = "") -> Look:
        """Look once, and act where it must.

        Whatever is away or damaged is said in the look; the action comes before any message, and
        neither a full disk nor a receiver that hangs keeps it from happening.

        Parameters
        ----------
        by : str, default=""
            A person calls for a rollback, for this reason.
        """
        now = self.clock.now()
        state = self._state()
        self._turn_to(state.latest or "" if state is not None else self._memory.version)
        rows = self._judge(state, now, by)
        suggestion = self._suggestion(now)
        self._note(rows, suggestion, now)
        self._save()
        plan, outcome, text = self._act(rows, state, now, by)
        self._tell(plan, outcome, text, now)
        return self._close(
            Look(
                at=format_utc(now),
                version=self._memory.version,
                rows=rows,
                plan=plan,
                outcome=outcome,
                text=text,
                suggestion=suggestion,
            )
        )

    def _state(self) -> State | None:
        try:
            return self.registry.state()
        except (MlwbError, OSError) as error:
            self._problems.append(f"the registry's log cannot be read: {error}")
            return None

    def _turn_to(self, version: str) -> None:
        """Triggers are about a version: with another they begin anew."""
        if version == self._memory.version:
            return
        kept = {k: v for k, v in self._memory.triggers.items() if k in _OF_NO_VERSION}
        traffic = replace(self._memory.traffic, starts=())
        self._memory = replace(self._memory, version=version, triggers=kept, traffic=traffic)

    def _judge(self, state: State | None, now: datetime, by: str) -> tuple[Row, ...]:
        page, shadow, why = self._page()
        traffic, counted = self._memory.traffic.look(page, self._rules, now, why=why)
        found = [*counted, *_gauges(page, shadow, state, now, why=why)]
        if page is not None and page.version != self._memory.version:
            said = f"the server answers with {page.version or 'none'}"
            found = [_unmeasured(item, said) for item in found]
        found += [
            self._unaudited(now),
            _flag("manual", bool(by), by or "nobody calls for it", now),
            *trading_readings(self._about(LIVE_PNL), self._memory.version, self._rules, now=now),
        ]
        rows = judge_readings(self._memory.triggers, found, self._rules)
        triggers = {row.name: row.trigger for row in rows}
        self._memory = replace(self._memory, traffic=traffic, triggers=triggers)
        return rows

    def _unaudited(self, now: datetime) -> Measurement:
        try:
            audited = self.registry.is_audited()
        except (MlwbError, OSError) as error:
            return Measurement(name="unaudited", value=None, n=0, source=str(error), at=now)
        return _flag("unaudited", not audited, "latest against the registry's log", now)

    def _page(self) -> tuple[Scrape | None, str | None, str]:
        try:
            page = self.fetch()
            return parse_scrape(page.metrics), page.shadow, ""
        except MlwbError as error:
            return None, None, f"no metrics: {error}"

    def _about(self, kind: str) -> tuple[Record, ...]:
        """Evidence of a kind; read anew only when there is more of it."""
        try:
            head = self.store.head()
            newest = head.sha256 if head else ""
            if newest != self._records[0]:
                found = (*self.store.records(LIVE_PNL), *self.store.records("drift_check"))
                self._records = (newest, found)
        except (EvidenceError, OSError) as error:
            self._problems.append(f"evidence cannot be read: {error}")
            return ()
        return tuple(record for record in self._records[1] if record.kind == kind)

    def _suggestion(self, now: datetime) -> Suggestion | None:
        return suggest_retraining(
            self._about("drift_check"), self._memory.version, self.policy, now=now
        )

    def _note(self, rows: Sequence[Row], suggestion: Suggestion | None, now: datetime) -> None:
        """Put what changed into the outbox."""
        for row in rows:
            if row.event:
                text = f"{row.event}: {row} ({row.reading.source})"
                self._put(row.event, row.name, text, since=row.trigger.judged_at, now=now)
        if suggestion is not None:
            first = suggestion.days[0]
            self._put("retrain", "drift", str(suggestion), since=first, now=now)

    def _put(self, event: str, about: str, text: str, *, since: str, now: datetime) -> None:
        found = notice(event, self._memory.version, about, text, since=since, at=now)
        self._memory = replace(self._memory, outbox=self._memory.outbox.put(found))

    def _act(
        self, rows: Sequence[Row], state: State | None, now: datetime, by: str
    ) -> tuple[Plan, str, str]:
        if state is None:
            called = tuple(row.name for row in rows if row.acts)
            plan = Plan(triggers=called, held_by="the registry's log cannot be read")
        else:
            plan = plan_rollback(rows, state, self._rules, now=now, by=by)
        if not plan.triggers:
            return plan, "quiet", ""
        called_by = ", ".join(plan.triggers)
        if plan.held_by:
            return plan, "held", f"{called_by} call for a rollback, not done: {plan.held_by}"
        if not self.acts:
            return plan, "would", f"would roll back to {plan.target}: {plan.reason}"
        try:
            self.registry.rollback(
                plan.target,
                reason=plan.reason,
                expect_current=state.latest if state else None,
                load_check=self.load_check,
            )
        except (MlwbError, OSError) as error:
            return plan, "failed", f"no rollback to {plan.target}: {error}"
        return plan, "acted", f"rolled back to {plan.target}: {plan.reason}"

    def _tell(self, plan: Plan, outcome: str, text: str, now: datetime) -> None:
        """Messages go out when all is done, and are kept where they do not."""
        if outcome in ("acted", "held", "failed"):
            since = max((self._memory.triggers[name].since for name in plan.triggers), default="")
            since = plan.held_by or since
            self._put(outcome, plan.target or "rollback", text, since=since, now=now)
        if self.deliver is None:
            self._memory = replace(self._memory, outbox=replace(self._memory.outbox, waiting=()))
            return
        given_up, deliver = self._memory.outbox.given_up, self.deliver

        def send(item: Notice) -> str:
            problem = deliver(item)
            if problem:
                self._problems.append(f"a message was not delivered: {problem}")
            return problem

        outbox = self._memory.outbox.send(send)
        if outbox.given_up > given_up:
            self._problems.append("a message was given up")
        self._memory = replace(self._memory, outbox=outbox)

    def _save(self) -> None:
        if problem := write_memory(self.folder / "state.json", self._memory):
            self._problems.append(problem)

    def _close(self, found: Look) -> Look:
        self._save()
        found = replace(found, problems=tuple(dict.fromkeys(self._problems)))
        problem = append_look(self.folder / "looks.jsonl", found.to_json())
        self._problems = []
        return replace(found, problems=(*found.problems, problem)) if problem else found


def _gauges(
    page: Scrape | None, shadow: str | None, state: State | None, now: datetime, *, why: str
) -> tuple[Measurement, Measurement]:
    """Readings that a page has as they are."""
    if page is None:
        return (
            Measurement(name="rank_corr", value=None, n=0, source=why, at=now),
            Measurement(name="prediction_psi", value=None, n=0, source=why, at=now),
        )
    value, source = page.rank_corr, f"against {shadow}, over the newest compared rows"
    if shadow is None:
        value, source = None, "nothing is compared"
    elif state is None or shadow not in state.promoted:
        # A candidate that disagrees speaks against the candidate; gates and canary judge it.
        value, source = None, f"{shadow} was never latest: it is judged, not the one that answers"
    psi = page.prediction_psi
    return (
        Measurement(name="rank_corr", value=value, n=page.compared, source=source, at=now),
        Measurement(
            name="prediction_psi",
            value=psi,
            n=page.psi_rows,
            source="scores of the last 24 h" if psi is not None else "less than a day of scores",
            at=now,
        ),
    )


def _unmeasured(reading: Measurement, why: str) -> Measurement:
    if reading.name not in _OF_THE_SERVER:
        return reading
    return replace(reading, value=None, n=0, source=why)


def _flag(name: str, value: bool, source: str, at: datetime) -> Measurement:  # noqa: FBT001 - a number
    return Measurement(name=name, value=float(value), n=0, source=source, at=at)


def _row_json(row: Row) -> dict[str, Any]:
    value = row.reading.value
    return {
        "name": row.name,
        "value": "inf" if value is not None and value == float("inf") else value,
        "n": row.reading.n,
        "source": row.reading.source,
        "limit": row.rule,
        "state": row.state,
        "since": row.trigger.since,
        "event": row.event,
    }
