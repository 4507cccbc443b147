"""Samples of one process or of many as Prometheus text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterable, Sequence

from mlwb.serve._metrics import HELP, NOBODY, Samples

__all__ = ["GAUGES_OF_ALL", "counted", "exposition", "merge"]


def _lowest(values: Iterable[float]) -> float:
    """Of those that are known; each worker knows the rows it answered."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


GAUGES_OF_ALL: dict[str, Callable[[Iterable[float]], float]] = {
    "ml_ready": min,
    "ml_killed": max,
    "ml_mode": max,
    "ml_registry_unaudited": max,
    "ml_canary_lease_seconds": max,
    "ml_limit_store_up": min,
    "ml_shadow_match_rate": _lowest,
    "ml_shadow_rank_corr": _lowest,
    "ml_shadow_breaker_state": max,
    "ml_model_info": max,
    "ml_workers": sum,
}
"""How a gauge is made of those of the workers. Any other is that of the worker that was asked."""

_SHOWN_VERSIONS = 2
_VERSION = re.compile(r'model_version="([^"]*)"')


def counted(samples: Samples, versions: Sequence[str]) -> Samples:
    """Only what may be added up, counters and histograms, without versions long gone."""
    return {
        family: {name: value for name, value in values.items() if _is_of(name, versions)}
        for family, values in samples.items()
        if not HELP[family].startswith("gauge")
    }


def merge(own: Samples, all_time: Sequence[Samples], living: Sequence[Samples]) -> Samples:
    """One server's samples from those of its workers.

    Parameters
    ----------
    own : Samples
        Of the worker that was asked.
    all_time : sequence of Samples
        Of every worker there ever was: counters and histograms are added up.
    living : sequence of Samples
        Of the workers that answer now: gauges by :data:`GAUGES_OF_ALL`.
    """
    merged: Samples = {}
    for name in own:
        if not HELP[name].startswith("gauge"):
            merged[name] = _fold(sum, name, all_time)
        elif name in GAUGES_OF_ALL:
            merged[name] = _fold(GAUGES_OF_ALL[name], name, living)
        else:
            merged[name] = own[name]
    return merged


def exposition(samples: Samples, versions: Sequence[str]) -> str:
    """Prometheus text, format 0.0.4.

    Parameters
    ----------
    samples : Samples
        Every family of :data:`HELP`.
    versions : sequence of str
        Model versions, the one that answers last; latency is shown of it, counts of it and of
        the one before it.
    """
    shown = versions[-_SHOWN_VERSIONS:]
    parts: list[str] = []
    for family, about in HELP.items():
        kind, _, text = about.partition(" ")
        parts += [f"# HELP {family} {text}", f"# TYPE {family} {kind}"]
        by_version: Container[str] = (
            shown if family == "ml_predict_requests_total" else versions[-1:]
        )
        parts += [
            f"{name} {_text(value)}"
            for name, value in samples[family].items()
            if kind == "gauge" or _is_of(name, by_version)
        ]
    return "\n".join(parts) + "\n"


def _is_of(name: str, versions: Container[str]) -> bool:
    version = _VERSION.search(name)
    return version is None or version[1] in versions or version[1] == NOBODY


def _fold(
    rule: Callable[[Iterable[float]], float], family: str, parts: Sequence[Samples]
) -> dict[str, float]:
    names = dict.fromkeys(name for part in parts for name in part.get(family, ()))
    return {
        name: rule([part[family][name] for part in parts if name in part.get(family, ())])
        for name in names
    }


def _text(value: float) -> str:
    if isinstance(value, int) or math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
