"""Numbers about traffic as evidence states them; one definition for a replay and for a live log."""

from __future__ import annotations

from mlwb.canary import Summary
from mlwb.evidence import Interval, Metric, rate
from mlwb.stats import wilson

__all__ = ["shadow_metrics", "share"]


def share(name: str, k: int, n: int, segment: str = "") -> Metric:
    """A rate with its Wilson interval."""
    if n == 0:
        return rate(name, k, n, segment=segment, deterministic=False)
    low, high = wilson(k, n)
    interval = Interval(0.95, low, high, "Wilson")
    return rate(name, k, n, ci=interval, segment=segment, deterministic=False)


def shadow_metrics(found: Summary, *, covered_s: float) -> list[Metric]:
    """Metrics of a record of kind ``shadow``.

    Parameters
    ----------
    found : Summary
        Of shadowed traffic, replayed or from the log of a server.
    covered_s : float
        Seconds the comparison covers without a break.
    """
    n = found.n_compared
    return [
        Metric("requests", found.n_requests),
        share("match_rate", found.n_matched, n),
        share("error_rate", found.n_shadow_errors, found.n_shadowed),
        Metric("rank_corr", found.rank_corr, n=n, definition="Spearman"),
        Metric("mean_abs_delta", found.mean_abs_delta, n=n),
        Metric("median_abs_delta", found.median_abs_delta, n=n),
        Metric("p95_abs_delta", found.p95_abs_delta, n=n),
        Metric("max_abs_delta", found.max_abs_delta, n=n),
        Metric("covered_h", covered_s / 3600.0, unit="h", deterministic=False),
        Metric("p95_ms", found.shadow_p95_ms, unit="ms", n=n, deterministic=False),
    ]
