"""Whether a rollout goes on, stops or has shown enough: decided after any request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from mlwb.canary._traffic import Traffic
from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.errors import DataSchemaError
from mlwb.stats import MeanBets

__all__ = ["Finding", "JudgeLimits", "Judgement", "Outcome", "Question", "judge", "questions_of"]

_ERRORS = 6.0
"""Weight of errors, of the answers and of the candidate: what hurts most is to be found first."""
_P95 = 0.05
"""A p95 is above a limit exactly when more than this share of the values is."""


class Outcome(StrEnum):
    """What to do."""

    ABORT = "abort"
    CONTINUE = "continue"
    CERTIFIED = "certified"


@dataclass(frozen=True)
class JudgeLimits:
    """Rates that stop a rollout, and rates that have to be shown; they live in the policy.

    Parameters
    ----------
    abort_error, abort_mismatch : float
        Shares that must not be exceeded.
    abort_p95_ms : float
        Client latency.
    error, mismatch : float
        Shares below which the rollout has to be.
    p95_ms, candidate_p95_ms : float
        Client latency, and the candidate's own time.
    level : float
        Chance of a false abort over all questions and looks together; also, for each question, of
        a false certificate.
    """

    abort_error: float
    abort_mismatch: float
    abort_p95_ms: float
    error: float
    mismatch: float
    p95_ms: float
    candidate_p95_ms: float
    level: float = 0.05


@dataclass(frozen=True)
class Question:
    """One yes-or-no question that many requests answer.

    Parameters
    ----------
    name : str
        Such as ``"error"``.
    at : ndarray of shape (n,), int64
        Position of each answer among the requests, increasing.
    stops : ndarray of shape (n,), bool
        Answers that count towards stopping.
    stop_limit : float
        Share of them above which to stop, in (0, 1).
    counts : ndarray of shape (n,), bool
        Answers that count against the certificate.
    limit : float
        Share of them below which the rollout has to be, in (0, 1).
    weight : float, default=1.0
        Part of the evidence against the rollout, relative to other questions: a heavier one stops
        sooner, lighter ones later.
    """

    name: str
    at: Int1D
    stops: Bool1D
    stop_limit: float
    counts: Bool1D
    limit: float
    weight: float = 1.0


@dataclass(frozen=True)
class Finding:
    """What one question has shown.

    Parameters
    ----------
    name : str
        Of the question.
    n, k : int
        Answers, and those against the certificate.
    log_e_stop : float
        Evidence now that the stop limit is exceeded, natural logarithm.
    log_e_shown : float
        Highest evidence so far that the rate is below its limit.
    shown_at : int or None
        Requests after which that was certain enough, None as long as it is not.
    """

    name: str
    n: int
    k: int
    log_e_stop: float
    log_e_shown: float
    shown_at: int | None


@dataclass(frozen=True)
class Judgement:
    """What the requests so far amount to.

    Parameters
    ----------
    outcome : Outcome
        What to do.
    at : int
        Requests after which it was decided; all of them while it goes on.
    findings : tuple of Finding
        One a question.
    path : ndarray of shape (n_requests,), float64
        Logarithm of the evidence against the rollout, all questions together, after each request.
    line : float
        Where the path stops the rollout.
    leading : str
        The question with the most evidence against it when it was decided.
    shown : mapping of str to ndarray of shape (n_requests,)
        By question, the highest evidence so far that its rate is below its limit, as ``path``.
    """

    outcome: Outcome
    at: int
    findings: tuple[Finding, ...]
    path: Float1D
    line: float
    leading: str
    shown: Mapping[str, Float1D]


def questions_of(
    traffic: Traffic, limits: JudgeLimits, *, match_delta: float
) -> tuple[Question, ...]:
    """The five questions that shadowed traffic answers; the first four where it was split.

    Parameters
    ----------
    traffic : Traffic
        Requests in the order in which they were sent.
    limits : JudgeLimits
        From the policy.
    match_delta : float
        Largest score difference that still agrees.

    Returns
    -------
    tuple of Question
        ``error`` and ``slow`` of every request; ``candidate_error``, ``candidate_slow`` and
        ``mismatch`` of those that the candidate was asked, answered, and was compared on.
    """
    ok = traffic.status == 200
    asked = ok & traffic.shadowed
    answered = traffic.answered
    everything, late = np.ones(len(traffic), dtype=bool), traffic.latency_ms
    apart = np.abs(traffic.shadow_score - traffic.score) > match_delta
    own, stop, least = traffic.shadow_ms, limits.abort_p95_ms, limits.candidate_p95_ms
    errors = (limits.abort_error, limits.error)
    mismatches = (limits.abort_mismatch, limits.mismatch)
    rows = (
        ("error", _ERRORS, everything, ~ok, ~ok, errors),
        ("slow", 1.0, everything, late > stop, late > limits.p95_ms, (_P95, _P95)),
        ("candidate_error", _ERRORS, asked, ~answered, ~answered, errors),
        ("candidate_slow", 1.0, answered, own > stop, own > least, (_P95, _P95)),
        ("mismatch", 1.0, answered, apart, apart, mismatches),
    )
    return tuple(
        Question(name, np.flatnonzero(who), stops[who], limit[0], counts[who], limit[1], weight)
        for name, weight, who, stops, counts, limit in (rows[:-1] if traffic.is_split else rows)
    )


def judge(
    questions: Sequence[Question],
    n_requests: int,
    *,
    level: float = 0.05,
    beside: Mapping[str, Float1D] = MappingProxyType({}),
) -> Judgement:
    """Decide, as if looked at after every request.

    Parameters
    ----------
    questions : sequence of Question
        At least one.
    n_requests : int
        Requests so far.
    level : float, default=0.05
        Chance that a rollout all of whose rates are at or below their stop limits is ever
        stopped; and that a rate at its limit is ever certified.
    beside : mapping of str to ndarray of shape (n_requests,), optional
        Paths of further log evidence against the rollout, such as of two arms; weight 1 each.

    Returns
    -------
    Judgement
        The first of stopping and certifying counts; what comes after it changes nothing.

    Raises
    ------
    DataSchemaError
        No question, or a path of another length.

    Notes
    -----
    The evidence of all questions is averaged by weight before it is held against ``1 / level``, so
    that many questions cost no guarantee. A certificate needs every question at ``level`` each, so
    that a rollout with one bad rate is certified with probability ``level`` at most. It waits while
    a path beside the questions speaks against the rollout at all, since no path speaks for one.
    """
    if not questions or any(len(path) != n_requests for path in beside.values()):
        raise DataSchemaError("nothing to judge", expected="questions, and paths of one length")
    walks = [_walk(question, n_requests) for question in questions]
    against = {q.name: walk[0] for q, walk in zip(questions, walks, strict=True)} | dict(beside)
    weights = np.array([*(question.weight for question in questions), *(1.0 for _ in beside)])
    paths = np.stack(list(against.values())) + np.log(weights / weights.sum())[:, None]
    path = np.logaddexp.reduce(paths, axis=0)
    line = -math.log(level)
    stopped = _first(path >= line)
    shown = [_first(walk[1] >= line) for walk in walks]
    certain = _certain(shown, list(beside.values()))
    outcome, at = _decided(stopped, certain, n_requests)
    findings = tuple(
        _finding(question, walk, at, first)
        for question, walk, first in zip(questions, walks, shown, strict=True)
    )
    leading = list(against)[int(paths[:, at - 1].argmax())] if at else ""
    kept = {question.name: walk[1] for question, walk in zip(questions, walks, strict=True)}
    return Judgement(outcome, at, findings, np.asarray(path), line, leading, kept)


def _walk(question: Question, n_requests: int) -> tuple[Float1D, Float1D]:
    """Log evidence for stopping and, the highest so far, for the certificate, by request."""
    stop = MeanBets.start([question.stop_limit]).walk(question.stops.astype(np.float64))[1][:, 0]
    shown = MeanBets.start([question.limit]).walk(question.counts.astype(np.float64))[0][:, 0]
    # Between two answers nothing is learnt: the last value stands.
    seen = np.searchsorted(question.at, np.arange(n_requests), side="right")
    return (
        np.concatenate([[0.0], stop])[seen],
        np.concatenate([[0.0], np.maximum.accumulate(shown)])[seen],
    )


def _certain(shown: Sequence[int | None], beside: Sequence[Float1D]) -> int | None:
    """Requests after which every question is shown, and nothing beside them speaks against it."""
    known = [at for at in shown if at is not None]
    if len(known) < len(shown):
        return None
    start = max(known) - 1
    silent = np.all([path[start:] <= 0.0 for path in beside], axis=0)
    later = _first(np.atleast_1d(silent))
    return None if later is None else start + later


def _first(holds: Bool1D) -> int | None:
    """Requests until it first held."""
    return int(holds.argmax()) + 1 if bool(holds.any()) else None


def _decided(stopped: int | None, certain: int | None, n: int) -> tuple[Outcome, int]:
    if stopped is not None and (certain is None or stopped <= certain):
        return Outcome.ABORT, stopped
    if certain is not None:
        return Outcome.CERTIFIED, certain
    return Outcome.CONTINUE, n


def _finding(
    question: Question, walk: tuple[Float1D, Float1D], at: int, first: int | None
) -> Finding:
    n = int(np.searchsorted(question.at, at))
    if at == 0:
        return Finding(question.name, 0, 0, 0.0, 0.0, None)
    return Finding(
        question.name,
        n,
        int(question.counts[:n].sum()),
        float(walk[0][at - 1]),
        float(walk[1][at - 1]),
        first if first is not None and first <= at else None,
    )
