"""One page of a predict server's metrics, as far as it is watched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlwb.core.errors import DataSchemaError
from mlwb.monitor._exposition import read_series

__all__ = ["Scrape", "parse_scrape"]

_Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """What a page said of the version that answers.

    Parameters
    ----------
    version : str
        The version; empty where none answers.
    is_answering : bool
        Ready, not killed, in inference: an error now would be the version's own.
    is_unaudited : bool
        `latest` is not where the registry's log says.
    successes, errors : int
        Proper requests that got an answer, and that got a 5xx, since the server started.
    buckets : tuple of (float, int)
        Upper edge in ms, and scored requests up to it; the last edge is infinite.
    loads : int
        Versions taken up or refused since the server started.
    rank_corr : float or None
        Of champion and shadow over the newest compared rows.
    compared : int
        Rows compared since the server started.
    prediction_psi : float or None
        Of the scores of the last 24 clock hours.
    psi_rows : int
        Rows of these hours.
    """

    version: str
    is_answering: bool
    is_unaudited: bool
    successes: int
    errors: int
    buckets: tuple[tuple[float, int], ...]
    loads: int
    rank_corr: float | None
    compared: int
    prediction_psi: float | None
    psi_rows: int

    @property
    def scored(self) -> int:
        """Requests in the histogram."""
        return self.buckets[-1][1] if self.buckets else 0


def parse_scrape(text: str) -> Scrape:
    """Read a page of ``/ml/metrics``.

    Raises
    ------
    DataSchemaError
        It is not the page of a predict server.
    """
    families = _families(text)
    if not {"ml_ready", "ml_mode", "ml_killed"} <= set(families):
        raise DataSchemaError(
            "not the metrics of a predict server", expected="ml_ready, ml_mode, ml_killed"
        )

    def one(name: str) -> float:
        return next(iter(families.get(name, {}).values()), math.nan)

    version = next((dict(key)["model_version"] for key in families.get("ml_model_info", {})), "")
    requests = families.get("ml_predict_requests_total", {})
    psi = families.get("ml_psi_score", {})
    return Scrape(
        version=version,
        is_answering=one("ml_ready") == 1 and one("ml_killed") == 0 and one("ml_mode") == 0,
        is_unaudited=one("ml_registry_unaudited") == 1,
        successes=_count(requests, model_version=version, status="success"),
        errors=_count(requests, model_version=version, status="server_error"),
        buckets=_buckets(families.get("ml_predict_latency_ms_bucket", {}), version),
        loads=sum(_whole(value) for value in families.get("ml_model_reload_total", {}).values()),
        rank_corr=_known(one("ml_shadow_rank_corr")),
        compared=_whole(one("ml_shadow_success_total")),
        prediction_psi=_known(psi.get(frozenset({("feature", "prediction")}), math.nan)),
        psi_rows=_whole(one("ml_psi_rows")),
    )


def _families(text: str) -> dict[str, dict[_Labels, float]]:
    found: dict[str, dict[_Labels, float]] = {}
    for series in read_series(text):
        if series.name == "ml_model_info" and "model_version" not in series.labels:
            continue
        found.setdefault(series.name, {})[frozenset(series.labels.items())] = series.value
    return found


def _count(family: Mapping[_Labels, float], **labels: str) -> int:
    return _whole(family.get(frozenset(labels.items()), 0.0))


def _buckets(family: Mapping[_Labels, float], version: str) -> tuple[tuple[float, int], ...]:
    found = []
    for labels, value in family.items():
        named = dict(labels)
        if named.get("model_version", version) == version and "le" in named:
            try:
                found.append((float(named["le"]), _whole(value)))
            except ValueError:
                continue
    return tuple(sorted(found))


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) and value > 0 else 0


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
