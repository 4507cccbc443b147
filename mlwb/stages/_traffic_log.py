"""The replay's log: a header line, then one line a request. The loop closes through this file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlwb.canary import Traffic
from mlwb.core.canonical import canonical_bytes, parse_json
from mlwb.core.errors import EvidenceMissingError, EvidenceSchemaError
from mlwb.core.fsops import write_atomic
from mlwb.stages._served_result import Served

__all__ = [
    "SHADOW",
    "SMOKE",
    "Exchange",
    "TrafficHeader",
    "TrafficLog",
    "agrees",
    "read_log",
    "to_traffic",
    "write_log",
]

SMOKE, SHADOW = "smoke", "shadow"
"""Names of the two tests that precede the canary phases."""
_SCHEMA = "mlwb.traffic/1"


@dataclass(frozen=True)
class TrafficHeader:
    """What the traffic was about.

    Parameters
    ----------
    champion, candidate : str
        Versions asked, as the server named them.
    market : str
        Symbol the rows come from.
    market_origin : str
        ``simulated`` or ``replay``.
    cold : bool
        Every request on a connection of its own.
    phases : tuple of str
        Canary phases that were planned.
    aborted : str
        Why the canary stopped early; empty when it did not.
    started, finished : str
        UTC.
    served : Served, optional
        What became of bars that were sent; None where nothing can be said.
    unserved : str
        Why the server took no bars; empty where it did.
    """

    champion: str
    candidate: str
    market: str
    market_origin: str
    cold: bool
    phases: tuple[str, ...]
    aborted: str
    started: str
    finished: str
    served: Served | None = None
    unserved: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request.

    Parameters
    ----------
    test : str
        ``smoke``, ``shadow`` or a phase, ``"5%"``.
    status : int
        HTTP status; 0 where no answer came.
    ms : float
        Client latency.
    score, expected : float or None
        Served score, and the champion's score computed offline from the same row.
    version : str
        Model version in the answer.
    shadowed : bool
        The candidate was asked.
    shadow_score, shadow_ms : float or None
        Its answer and its time inside the server.
    shadow_version : str
        Version that answered in the shadow.
    shadow_error : str, default=""
        Why it gave no score, in the word of the shadow log; empty where it gave one, or was not
        asked.
    """

    test: str
    status: int
    ms: float
    score: float | None
    expected: float | None
    version: str
    shadowed: bool
    shadow_score: float | None
    shadow_ms: float | None
    shadow_version: str
    shadow_error: str = ""


SCORE_TOLERANCE = 1e-9
"""Served and offline scores come from the same graph in the same runtime; more than rounding of
the printed number is a mismatch."""


def agrees(item: Exchange) -> bool:
    """Whether the served score is the one computed offline."""
    if item.score is None or item.expected is None:
        return False
    return math.isclose(item.score, item.expected, rel_tol=0.0, abs_tol=SCORE_TOLERANCE)


@dataclass(frozen=True)
class TrafficLog:
    """A whole log.

    Parameters
    ----------
    header : TrafficHeader
        First line.
    exchanges : tuple of Exchange
        The rest, in the order sent.
    """

    header: TrafficHeader
    exchanges: tuple[Exchange, ...]

    def of(self, test: str) -> tuple[Exchange, ...]:
        """Requests of one test or phase."""
        return tuple(item for item in self.exchanges if item.test == test)

    def traffic(self, test: str) -> Traffic:
        """Requests of one test or phase as arrays."""
        return to_traffic(self.of(test))


def to_traffic(exchanges: Sequence[Exchange]) -> Traffic:
    """Requests as arrays, in order."""

    def numbers(name: str) -> Any:
        values = [getattr(item, name) for item in exchanges]
        return np.asarray([np.nan if v is None else v for v in values], dtype=np.float64)

    return Traffic(
        status=np.asarray([item.status for item in exchanges], dtype=np.int64),
        latency_ms=numbers("ms"),
        score=numbers("score"),
        shadowed=np.asarray([item.shadowed for item in exchanges], dtype=np.bool_),
        shadow_score=numbers("shadow_score"),
        shadow_ms=numbers("shadow_ms"),
    )


def write_log(path: Path, header: TrafficHeader, exchanges: Sequence[Exchange]) -> None:
    """Write a log in one step; an interrupted replay leaves none."""
    write_atomic(path, b"\n".join(_lines(header, exchanges)) + b"\n")


def read_log(path: Path) -> TrafficLog:
    """Read a log.

    Raises
    ------
    EvidenceMissingError
        There is no such file.
    EvidenceSchemaError
        It is not a traffic log, or was cut.
    """
    if not path.is_file():
        raise EvidenceMissingError(
            "no canary traffic has been recorded", todo="run the loop first: mlwb run"
        )
    first, *rest = path.read_bytes().splitlines()
    head = parse_json(first)
    if head.pop("schema", "") != _SCHEMA or head.pop("n", -1) != len(rest):
        raise EvidenceSchemaError("not a whole traffic log", got=path.name)
    try:
        served = msgspec.convert(head.pop("served", None), type=Served | None)
        header = TrafficHeader(**{**head, "phases": tuple(head["phases"]), "served": served})
        exchanges = tuple(Exchange(*parse_json(line)) for line in rest)
    except (TypeError, KeyError, msgspec.ValidationError) as error:
        raise EvidenceSchemaError(f"not a traffic log: {error}", got=path.name) from error
    return TrafficLog(header, exchanges)


def _lines(header: TrafficHeader, exchanges: Sequence[Exchange]) -> Iterator[bytes]:
    yield canonical_bytes({"schema": _SCHEMA, "n": len(exchanges), **asdict(header)})
    for item in exchanges:
        yield canonical_bytes([getattr(item, name) for name in Exchange.__slots__])
