"""Observed requests and what they amount to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.stats import agreement

__all__ = ["AbortLimits", "Summary", "Traffic", "abort_reason", "summarise"]


@dataclass(frozen=True)
class Traffic:
    """Requests in the order they were sent.

    Parameters
    ----------
    status : ndarray of shape (n,), int64
        HTTP status; 0 where no answer came.
    latency_ms : ndarray of shape (n,), float64
        Seen by the client, from first byte sent to last byte read.
    score : ndarray of shape (n,), float64
        Champion's answer; NaN without one.
    shadowed : ndarray of shape (n,), bool
        The candidate was asked too.
    shadow_score : ndarray of shape (n,), float64
        Candidate's answer; NaN where it was not asked or failed.
    shadow_ms : ndarray of shape (n,), float64
        Candidate's time inside the server.
    is_split : bool, default=False
        The candidate answered the requests it was asked, in the champion's place: they have no
        second score, and no agreement can be told.
    """

    status: Int1D
    latency_ms: Float1D
    score: Float1D
    shadowed: Bool1D
    shadow_score: Float1D
    shadow_ms: Float1D
    is_split: bool = False

    @property
    def answered(self) -> Bool1D:
        """Requests that the candidate was asked and answered."""
        known = np.isfinite(self.shadow_score) & (np.isfinite(self.score) | self.is_split)
        return np.asarray(self.shadowed & (self.status == 200) & known)

    @property
    def compared(self) -> Bool1D:
        """Requests that both versions answered."""
        return np.asarray(self.answered & np.isfinite(self.score))

    def __len__(self) -> int:
        return len(self.status)


@dataclass(frozen=True)
class Summary:
    """Counts and quantiles of some traffic.

    Parameters
    ----------
    n_requests, n_errors : int
        Requests, and those without a 200.
    p50_ms, p95_ms, p99_ms, max_ms : float
        Client latency; NaN without requests.
    n_shadowed, n_shadow_errors : int
        Requests the candidate was asked, and those it did not answer.
    n_compared, n_matched : int
        Answered by both, and those closer than the match delta.
    mean_abs_delta, median_abs_delta, p95_abs_delta, max_abs_delta : float
        Absolute difference of the two scores; NaN when nothing was compared.
    rank_corr : float
        Spearman correlation of the two scores; NaN when one side is constant.
    shadow_p50_ms, shadow_p95_ms, shadow_p99_ms : float
        Candidate's time inside the server, where it answered.
    """

    n_requests: int
    n_errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    n_shadowed: int
    n_shadow_errors: int
    n_compared: int
    n_matched: int
    mean_abs_delta: float
    median_abs_delta: float
    p95_abs_delta: float
    max_abs_delta: float
    rank_corr: float
    shadow_p50_ms: float
    shadow_p95_ms: float
    shadow_p99_ms: float

    @property
    def n_answered(self) -> int:
        """Requests that the candidate was asked and answered."""
        return self.n_shadowed - self.n_shadow_errors


@dataclass(frozen=True)
class AbortLimits:
    """Values beyond which a rollout stops at once; they live in the policy.

    Parameters
    ----------
    p95_ms : float
        Client latency.
    error_rate : float
        Share of requests, and of shadowed requests, that failed.
    match_rate : float
        Least share of compared requests that agree.
    min_requests : int
        Each share needs as many of its own: requests, shadowed or compared ones.
    """

    p95_ms: float
    error_rate: float
    match_rate: float
    min_requests: int


def summarise(traffic: Traffic, *, match_delta: float) -> Summary:
    """Count and measure some traffic.

    Parameters
    ----------
    traffic : Traffic
        Any number of requests.
    match_delta : float
        Largest score difference that still agrees.

    Returns
    -------
    Summary
    """
    ok = traffic.status == 200
    p50, p95, p99 = _quantiles(traffic.latency_ms)
    asked = traffic.shadowed & ok
    answered, compared = traffic.answered, traffic.compared
    shadow_p50, shadow_p95, shadow_p99 = _quantiles(traffic.shadow_ms[answered])
    found = agreement(
        traffic.score[compared], traffic.shadow_score[compared], match_delta=match_delta
    )
    return Summary(
        n_requests=len(traffic),
        n_errors=int((~ok).sum()),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(traffic.latency_ms.max()) if len(traffic) else math.nan,
        n_shadowed=int(asked.sum()),
        n_shadow_errors=int((asked & ~answered).sum()),
        n_compared=found.n,
        n_matched=found.n_matched,
        mean_abs_delta=found.mean_abs_delta,
        median_abs_delta=found.median_abs_delta,
        p95_abs_delta=found.p95_abs_delta,
        max_abs_delta=found.max_abs_delta,
        rank_corr=found.rank_corr,
        shadow_p50_ms=shadow_p50,
        shadow_p95_ms=shadow_p95,
        shadow_p99_ms=shadow_p99,
    )


def abort_reason(summary: Summary, limits: AbortLimits) -> str:
    """Why a rollout must stop now, or an empty string.

    Parameters
    ----------
    summary : Summary
        All traffic of the phase so far.
    limits : AbortLimits
        From the policy.

    Returns
    -------
    str
    """
    least = limits.min_requests
    errors = _share(summary.n_errors, summary.n_requests, least, 0.0)
    shadow_errors = _share(summary.n_shadow_errors, summary.n_shadowed, least, 0.0)
    matched = _share(summary.n_matched, summary.n_compared, least, 1.0)
    if errors > limits.error_rate or shadow_errors > limits.error_rate:
        return f"error rate {max(errors, shadow_errors):.1%} above {limits.error_rate:.1%}"
    if summary.n_requests >= least and summary.p95_ms > limits.p95_ms:
        return f"p95 {summary.p95_ms:.1f} ms above {limits.p95_ms:.0f} ms"
    if matched < limits.match_rate:
        return f"match rate {matched:.1%} below {limits.match_rate:.0%}"
    return ""


def _share(k: int, n: int, least: int, otherwise: float) -> float:
    """K of n, where n is enough to speak of a share."""
    return k / n if n >= max(least, 1) else otherwise


def _quantiles(values: Float1D) -> tuple[float, float, float]:
    if len(values) == 0:
        return math.nan, math.nan, math.nan
    p50, p95, p99 = np.quantile(values, [0.5, 0.95, 0.99])
    return float(p50), float(p95), float(p99)
