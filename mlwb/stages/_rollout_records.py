"""A rollout as evidence states it; one definition for a replay and for a server's own traffic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlwb.canary import Judgement, Summary
from mlwb.evidence import Context, Metric, Record, new_record, rate
from mlwb.stages._traffic_metrics import share
from mlwb.stages.common import null

__all__ = ["RolloutFacts", "latency_metrics", "rollout_record"]


@dataclass(frozen=True)
class RolloutFacts:
    """What a rollout was and what it showed.

    Parameters
    ----------
    mode : {"observe_only", "live"}
        Whether the candidate answered.
    champion, candidate : str
        Versions.
    planned : tuple of str
        All phases.
    aborted : str
        Why it stopped early; empty when it did not.
    phases : mapping of str to Summary
        Each phase that was reached, in order.
    versions : tuple of str
        Candidate versions seen in answers, which the version lock wants to be one.
    judgement : Judgement
        What the phases amount to, had one looked after every request.
    more : mapping, optional
        Details of this rollout alone.
    scores : Metric, optional
        How far the scores of both versions lie apart as distributions, where that was asked.
    """

    mode: Literal["observe_only", "live"]
    champion: str
    candidate: str
    planned: tuple[str, ...]
    aborted: str
    phases: Mapping[str, Summary]
    versions: tuple[str, ...]
    judgement: Judgement
    more: Mapping[str, Any] = field(default_factory=dict)
    scores: Metric | None = None


LEAST = {"p50_ms": 1, "p95_ms": 59, "p99_ms": 299, "max_ms": 1}
"""Observations below which a percentile is no more than the maximum (95 % one-sided, free of any
distribution)."""


def latency_metrics(summary: Summary, segment: str = "") -> list[Metric]:
    """p50, p95, p99 and maximum of the client's latency, where there are enough requests."""
    values = {
        "p50_ms": summary.p50_ms,
        "p95_ms": summary.p95_ms,
        "p99_ms": summary.p99_ms,
        "max_ms": summary.max_ms,
    }
    n = summary.n_requests
    return [
        Metric(name, value, unit="ms", n=n, segment=segment, deterministic=False)
        if n >= LEAST[name]
        else null(name, f"{n} requests are too few for it", "ms", segment)
        for name, value in values.items()
    ]


def rollout_record(facts: RolloutFacts, shared: Context) -> Record:
    """The evidence of kind ``canary_run``; nothing is written.

    Parameters
    ----------
    facts : RolloutFacts
        What is recorded.
    shared : Context
        Of the record.
    """
    metrics = [
        rate("phases_completed", _completed(facts), len(facts.planned)),
        Metric("aborted", int(bool(facts.aborted))),
        Metric("model_versions", len(facts.versions), definition="candidates seen in answers"),
    ]
    for name, found in facts.phases.items():
        metrics += [
            *latency_metrics(found, name),
            share("error_rate", found.n_errors, found.n_requests, name),
            share("shadow_error_rate", found.n_shadow_errors, found.n_shadowed, name),
            *_candidate(found, name),
        ]
    metrics += [*_judged(facts.judgement), *([facts.scores] if facts.scores else [])]
    details = {
        "mode": facts.mode,
        "champion": facts.champion,
        "candidate": facts.candidate,
        "versions": facts.versions,
        "aborted": facts.aborted,
        "phases": list(facts.planned),
        "judged": {
            "outcome": str(facts.judgement.outcome),
            "after": facts.judgement.at,
            "leading": facts.judgement.leading,
        },
    } | dict(facts.more)
    return new_record("canary_run", metrics, shared, details=details, phase="canary-100pct")


def _candidate(found: Summary, phase: str) -> list[Metric]:
    """What the candidate did in a phase; no number where it did nothing."""
    answered, compared = found.n_answered, found.n_compared
    said = "the candidate's time inside the server"
    return [
        Metric(
            "shadow_p95_ms",
            found.shadow_p95_ms,
            unit="ms",
            n=answered,
            segment=phase,
            definition=said,
            deterministic=False,
        )
        if answered
        else null("shadow_p95_ms", "the candidate answered nothing", "ms", phase),
        share("match_rate", found.n_matched, compared, phase),
        Metric("observed", answered, segment=phase),
        Metric("mean_abs_delta", found.mean_abs_delta, n=compared, segment=phase)
        if compared
        else null("mean_abs_delta", "nothing was compared", segment=phase),
    ]


def _judged(found: Judgement) -> list[Metric]:
    """The evidence against the rollout, and what each question has shown."""
    shown = [finding for finding in found.findings if finding.shown_at is not None]
    highest = float(found.path.max(initial=0.0))
    metrics = [
        Metric(
            "e_value_highest",
            math.exp(min(highest, _LOG_MOST)),
            n=len(found.path),
            definition="evidence beyond the abort limits, all questions, at any request",
            deterministic=False,
        ),
        rate("questions_shown", len(shown), len(found.findings), deterministic=False),
    ]
    for finding in found.findings:
        metrics += [
            share("beyond_limit", finding.k, finding.n, finding.name),
            Metric(
                "e_value_shown",
                math.exp(min(finding.log_e_shown, _LOG_MOST)),
                n=finding.n,
                segment=finding.name,
                definition="evidence that the share beyond the limit is small enough",
                deterministic=False,
            ),
        ]
    return metrics


_LOG_MOST = 100.0
"""Evidence is written down up to here; beyond, nobody doubts."""


def _completed(facts: RolloutFacts) -> int:
    reached = len(facts.phases)
    return reached - 1 if facts.aborted and reached else reached
