"""Counters of a server that starts anew now and then: what they grew by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise

import msgspec

from mlwb.core.errors import EvidenceSchemaError
from mlwb.monitor._exposition import read_series

__all__ = ["Snapshot", "increases", "parse_counters", "parse_gauges", "parse_snapshot"]

_COUNTED = ("_total", "_bucket")
_GAUGES = frozenset({"ml_model_info", "ml_psi_score", "ml_shadow_match_rate"})


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """What one server had counted at one moment.

    Parameters
    ----------
    ts : datetime
        Timezone-aware UTC.
    target : str
        Address of the server.
    values : dict of str to float
        Counters by series, ``ml_predict_requests_total{model_version="v1",status="success"}``.
    gauges : dict of str to float
        Gauges of the dashboard, likewise; empty in lines of before they were noted.
    """

    ts: datetime
    target: str
    values: dict[str, float]
    gauges: dict[str, float] = {}

    def encode(self) -> bytes:
        """A line of a log, with its newline."""
        return msgspec.json.encode(self) + b"\n"


_DECODER = msgspec.json.Decoder(Snapshot)


def parse_snapshot(data: bytes) -> Snapshot:
    """Inverse of :meth:`Snapshot.encode`.

    Raises
    ------
    EvidenceSchemaError
        Not such a line.
    """
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvidenceSchemaError(f"not a snapshot of counters: {error}") from error
    if found.ts.tzinfo is None:
        raise EvidenceSchemaError("not a snapshot of counters: ts has no time zone")
    return found


def parse_counters(text: str) -> dict[str, float]:
    r"""Counters of an exposition and the cells of histograms; gauges are left out.

    Examples
    --------
    >>> parse_counters('ml_ready 1\nml_refused_total{reason="key"} 3\n')
    {'ml_refused_total{reason="key"}': 3.0}
    """
    return {
        series.text: series.value
        for series in read_series(text)
        if series.name.endswith(_COUNTED) and math.isfinite(series.value) and series.value >= 0
    }


def parse_gauges(text: str) -> dict[str, float]:
    r"""Gauges that the dashboard shows, as far as they are numbers.

    Examples
    --------
    >>> parse_gauges('ml_ready 1\nml_shadow_match_rate NaN\nml_psi_score{feature="a"} 0.1\n')
    {'ml_psi_score{feature="a"}': 0.1}
    """
    return {
        series.text: series.value
        for series in read_series(text)
        if series.name in _GAUGES and math.isfinite(series.value)
    }


def increases(snapshots: Iterable[Snapshot], first_s: int, last_s: int) -> dict[str, float] | None:
    """What each series grew by within a window, all servers together.

    Parameters
    ----------
    snapshots : iterable of Snapshot
        In any order; several servers and repeated lines may be among them.
    first_s, last_s : int
        Seconds since 1970; ``last_s`` is outside. What grew between two looks belongs to the
        window of the later one, so that windows side by side count everything once.

    Returns
    -------
    dict of str to float, or None
        None where no server was looked at twice with the later look in the window. A number lower
        than before is that of a server started anew, and is counted from 0.

    Examples
    --------
    >>> from datetime import UTC
    >>> def look(ts, n): return Snapshot(datetime.fromtimestamp(ts, UTC), "a", {"ml_x_total": n})
    >>> increases([look(0, 5), look(60, 9), look(120, 2)], 0, 180)
    {'ml_x_total': 6.0}
    """
    looks: dict[str, dict[float, Mapping[str, float]]] = {}
    for item in snapshots:
        ts = item.ts.timestamp()
        if ts < last_s:
            looks.setdefault(item.target, {})[ts] = item.values
    found: dict[str, float] = {}
    is_known = False
    for of_target in looks.values():
        ordered = sorted(of_target)
        for before, after in pairwise(ordered):
            if after < first_s:
                continue
            is_known = True
            _grow(found, of_target[before], of_target[after])
    return found if is_known else None


def _grow(found: dict[str, float], before: Mapping[str, float], after: Mapping[str, float]) -> None:
    for name, value in after.items():
        start = before.get(name, 0.0)
        found[name] = found.get(name, 0.0) + (value - start if value >= start else value)
