"""The metrics of a server as a record holds them, and where two of them differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import EvidenceSchemaError

__all__ = ["Snapshot", "differences", "parse_metrics"]

_VERSION = "model_version"
_ADDED_UP = ("counter", "histogram")
_REQUESTS = "ml_predict_requests_total"
_USUAL = 0.95
"""Share of a histogram whose edge is compared."""


@dataclass(frozen=True)
class Snapshot:
    """Every series of a server, and what a test did to it.

    Parameters
    ----------
    kinds : mapping of str to str
        Family to ``counter``, ``gauge``, ``histogram`` or another kind.
    values : mapping of str to float
        Series, ``name{label="value"}`` with sorted labels, to its value. NaN where it is NaN.
    digest : str
        Of the text they were read from.
    """

    kinds: Mapping[str, str]
    values: Mapping[str, float]
    digest: str

    def since(self, before: Snapshot) -> Snapshot:
        """The same with what counters and histograms have grown by; gauges as they are."""
        grown = {
            series: value - before.values.get(series, 0.0) if self._adds_up(series) else value
            for series, value in self.values.items()
        }
        return Snapshot(self.kinds, grown, self.digest)

    def details(self) -> dict[str, Any]:
        """As JSON: which series there are, and apart, what differs from run to run."""
        values = {
            series: value if math.isfinite(value) else None for series, value in self.values.items()
        }
        return {
            "kinds": dict(sorted(self.kinds.items())),
            "series": sorted(self.values),
            "volatile": {"values": values, "text_sha256": self.digest},
        }

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> Snapshot:
        """Inverse of :meth:`details`."""
        held = details["volatile"]
        values = {
            series: math.nan if value is None else value for series, value in held["values"].items()
        }
        return cls(details["kinds"], values, held["text_sha256"])

    def _adds_up(self, series: str) -> bool:
        return self.kinds.get(_family(series, self.kinds), "") in _ADDED_UP


def parse_metrics(text: str) -> Snapshot:
    """Read Prometheus text.

    Parameters
    ----------
    text : str
        As ``/ml/metrics`` gives it.

    Returns
    -------
    Snapshot

    Raises
    ------
    EvidenceSchemaError
        It is something else.

    Examples
    --------
    >>> dict(parse_metrics("ml_ready 1").values)
    {'ml_ready': 1.0}
    """
    kinds: dict[str, str] = {}
    values: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(text):
            # The parser takes a counter's suffix off; here a family is called what it is called.
            name = family.name + ("_total" if family.type == "counter" else "")
            kinds[name] = family.type
            for sample in family.samples:
                values[_series(sample.name, sample.labels)] = float(sample.value)
    except ValueError as error:
        raise EvidenceSchemaError("not the metrics of a server", got=text[:40]) from error
    return Snapshot(kinds, values, digest_bytes(text.encode()))


def differences(before: Snapshot, after: Snapshot, *, tolerance: float) -> list[str]:
    """What a later test shows otherwise; the model version of a series does not count.

    Parameters
    ----------
    before, after : Snapshot
        Of two tests.
    tolerance : float
        Difference of a counter, per request, that is none.

    Returns
    -------
    list of str
        Series that came or went, kinds that changed, counters that moved otherwise per request,
        and histograms of milliseconds whose 95 % lie below a higher edge. Empty when alike.
    """
    return [
        *_shape(before, after),
        *_counts(before, after, tolerance),
        *_slower(before, after),
    ]


def _shape(before: Snapshot, after: Snapshot) -> Iterator[str]:
    old, new = _without_version(before), _without_version(after)
    yield from (f"{series} is gone" for series in sorted(old.keys() - new.keys()))
    yield from (f"{series} is new" for series in sorted(new.keys() - old.keys()))
    for name in sorted(before.kinds.keys() & after.kinds.keys()):
        if before.kinds[name] != after.kinds[name]:
            yield f"{name} is a {after.kinds[name]}, was a {before.kinds[name]}"


def _counts(before: Snapshot, after: Snapshot, tolerance: float) -> Iterator[str]:
    old, new = _without_version(before), _without_version(after)
    n_old, n_new = _requests(old), _requests(new)
    for series in sorted(old.keys() & new.keys()):
        if after.kinds.get(_family(series, after.kinds)) == "counter":
            was, now = old[series] / n_old, new[series] / n_new
            if abs(now - was) > tolerance:
                yield f"{series} grows by {now:.4g} a request, was {was:.4g}"


def _slower(before: Snapshot, after: Snapshot) -> Iterator[str]:
    for name, kind in sorted(after.kinds.items()):
        if kind == "histogram" and name.endswith("_ms"):
            was, now = _edge(before, name), _edge(after, name)
            if was is not None and now is not None and now > was:
                yield f"{name}: 95 % lie within {now:g} ms, was {was:g}"


def _edge(snapshot: Snapshot, name: str) -> float | None:
    """The lowest edge that 95 % of the observations lie below; None without any."""
    cells: dict[float, float] = {}
    for series, value in snapshot.values.items():
        if series.startswith(f"{name}_bucket{{"):
            edge = float(series.partition('le="')[2].partition('"')[0])
            cells[edge] = cells.get(edge, 0.0) + value
    total = max(cells.values(), default=0.0)
    if total == 0.0:
        return None
    return min(edge for edge, below in cells.items() if below >= _USUAL * total)


def _requests(values: Mapping[str, float]) -> float:
    return max(1.0, sum(v for series, v in values.items() if series.startswith(_REQUESTS)))


def _without_version(snapshot: Snapshot) -> dict[str, float]:
    found: dict[str, float] = {}
    for series, value in snapshot.values.items():
        name, brace, labels = series.partition("{")
        kept = [part for part in labels[:-1].split(",") if not part.startswith(f'{_VERSION}="')]
        key = f"{name}{{{','.join(kept)}}}" if brace and kept else name
        found[key] = found.get(key, 0.0) + value
    return found


def _series(name: str, labels: Mapping[str, str]) -> str:
    parts = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    return f"{name}{{{parts}}}" if parts else name


def _family(series: str, kinds: Mapping[str, str]) -> str:
    name = series.partition("{")[0]
    endings = ("", "_bucket", "_sum", "_count", "_created")
    return next((name.removesuffix(end) for end in endings if name.removesuffix(end) in kinds), "")
