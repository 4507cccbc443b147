"""Rows of a file sent to a server that shadows a candidate, and what came of each.

The file holds features, a column each by name, or bars, from which the features are computed. The
ids of the requests say that the rows are replayed, so that no live log takes them for the day's.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np

from mlwb.canary import Summary, Traffic, summarise
from mlwb.client import PredictClient
from mlwb.core.arrays import Float2D
from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock
from mlwb.core.errors import DataSchemaError, EmptyWindowError, ServeError
from mlwb.core.predictionlog import REPLAYED, ShadowOutcome
from mlwb.evidence import Input, Record, new_record
from mlwb.params import ReplayParams
from mlwb.stages._exchange import exchange, read_reply
from mlwb.stages._traffic_log import SHADOW, Exchange, to_traffic
from mlwb.stages._traffic_metrics import shadow_metrics
from mlwb.stages.common import context
from mlwb.stages.market import market_inputs, market_origin, prepare

__all__ = ["Compared", "Progress", "Result", "Rows", "comparison_csv", "read_rows", "send"]

_ROUTE = "/ml/predict-with-shadow?wait=1"
_PAUSE_S, _TRIES = 0.05, 1_200
_COLUMNS = (
    "row", "request_id", "status", "champion", "champion_score", "candidate", "candidate_score",
    "delta", "match", "client_ms", "candidate_ms", "error",
)  # fmt: skip

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rows:
    """What is sent.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features), float64
        In the order of the model.
    labels : tuple of str
        Line of the file, or open of the bar in seconds since 1970.
    skipped : int
        Rows with a value that is missing or not finite.
    inputs : tuple of Input
        The file, as evidence names it.
    origin : str
        ``replay``, or ``simulated`` for bars of the synthetic market.
    """

    values: Float2D
    labels: tuple[str, ...]
    skipped: int
    inputs: tuple[Input, ...]
    origin: str


@dataclass(frozen=True)
class Compared:
    """One row and both answers.

    Parameters
    ----------
    label : str
        Of the row.
    request_id : str
        As sent.
    exchange : Exchange
        As a replay logs it.
    error : str
        Why there is no candidate's score, in the word of the server; empty where there is one.
    """

    label: str
    request_id: str
    exchange: Exchange
    error: str


@dataclass(frozen=True)
class Result:
    """What the rows of a file showed.

    Parameters
    ----------
    rows : Rows
        What was sent.
    compared : tuple of Compared
        What came of each.
    champion, candidate : str
        Versions, as the server named them.
    seconds : float
        How long it took.
    match_delta : float
        Difference of two scores that still counts as agreement, from the policy.
    """

    rows: Rows
    compared: tuple[Compared, ...]
    champion: str
    candidate: str
    seconds: float
    match_delta: float

    @cached_property
    def traffic(self) -> Traffic:
        """The rows as arrays."""
        return to_traffic([item.exchange for item in self.compared])

    @cached_property
    def summary(self) -> Summary:
        """Counts and quantiles, by the function of every other record of the kind."""
        return summarise(self.traffic, match_delta=self.match_delta)

    @property
    def errors(self) -> Mapping[str, int]:
        """Rows without a candidate's score, by the reason."""
        return Counter(item.error for item in self.compared if item.error)

    @property
    def covered_s(self) -> float:
        """Length of the replay."""
        return self.seconds

    def to_record(self, params: ReplayParams, clock: Clock) -> Record:
        """Evidence of kind ``shadow`` about a replay; nothing is written."""
        shared = context(
            "shadow_run",
            params,
            clock,
            version=self.candidate,
            origin=self.rows.origin,
            inputs=self.rows.inputs,
        )
        details = {
            "champion": self.champion,
            "candidate": self.candidate,
            "errors": dict(self.errors),
            "left_out": {"incomplete": self.rows.skipped} if self.rows.skipped else {},
        }
        metrics = shadow_metrics(self.summary, covered_s=self.seconds)
        return new_record("shadow", metrics, shared, details=details)


def read_rows(path: Path, names: Sequence[str], params: ReplayParams) -> Rows:
    """Rows of a file of features or of bars.

    Parameters
    ----------
    path : Path
        A CSV file, plain or gzip, whose header names every feature; or a market file, read as
        ``params.data`` says.
    names : sequence of str
        Features in the order of the model.
    params : ReplayParams
        How to read a market.

    Raises
    ------
    DataError
        Some features have a column and some have none, a cell is no number, or the market cannot
        be read.
    EmptyWindowError
        No row has all features.
    """
    header = _header(path)
    missing = [name for name in names if name not in header]
    if len(missing) == len(names):
        rows = _of_bars(names, params)
    elif missing:
        raise DataSchemaError(
            "the file does not hold all features of the model",
            expected="a column each",
            got=f"none for {', '.join(missing)}",
        )
    else:
        rows = _of_features(path, names)
    if len(rows.values) == 0:
        raise EmptyWindowError("no row has all features", got=f"{rows.skipped} incomplete rows")
    return rows


def send(
    rows: Rows,
    base_url: str,
    *,
    timeout_s: float,
    token: str,
    api_key: str = "",
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Compared]:
    """Send row after row on one connection, waiting for both answers.

    Parameters
    ----------
    rows : Rows
        What is sent.
    base_url : str
        Of a server with a candidate.
    timeout_s : float
        A row without an answer for this long is an error.
    token : str
        Tells the ids of this replay from those of another.
    api_key : str, default=""
        For a server with keys.
    progress : callable, optional
        Called with rows sent and rows in all.
    sleep : callable, optional
        Waits; the machine's when not given.
    """
    found: list[Compared] = []
    encode = msgspec.json.Encoder().encode
    with PredictClient(base_url, timeout_s=timeout_s, api_key=api_key) as client:
        for index, (label, row) in enumerate(zip(rows.labels, rows.values.tolist(), strict=True)):
            request_id = f"{REPLAYED}{token}.{index}"
            body = encode({"features": row, "request_id": request_id})
            reply = _post(client, body, timeout_s=timeout_s, sleep=sleep)
            found.append(_compared(label, request_id, reply))
            if progress is not None:
                progress(index + 1, len(rows.labels))
    return found


def _post(
    client: PredictClient, body: bytes, *, timeout_s: float, sleep: Callable[[float], None]
) -> tuple[int, bytes, float]:
    """One answer; a server that limits its requests is asked again, for a minute at most."""
    reply = (0, b"", timeout_s * 1e3)
    for _ in range(_TRIES):
        try:
            reply = client.post_raw(_ROUTE, body)
        except ServeError:
            return 0, b"", timeout_s * 1e3
        if reply[0] != 429:
            break
        sleep(_PAUSE_S)
    return reply


def comparison_csv(compared: Sequence[Compared], *, match_delta: float) -> str:
    """Both answers to every row as CSV; difference and match empty where one is missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for item in compared:
        sent = item.exchange
        delta: float | str = ""
        if sent.score is not None and sent.shadow_score is not None:
            delta = sent.shadow_score - sent.score
        match = "" if isinstance(delta, str) else int(abs(delta) <= match_delta)
        writer.writerow(
            [item.label, item.request_id, sent.status, sent.version, _cell(sent.score),
             sent.shadow_version, _cell(sent.shadow_score), delta, match, f"{sent.ms:.3f}",
             _cell(sent.shadow_ms), item.error]
        )  # fmt: skip
    return out.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _compared(label: str, request_id: str, reply: tuple[int, bytes, float]) -> Compared:
    status, answer = read_reply(*reply[:2])
    sent = exchange(SHADOW, reply, None, shadowed=True)
    if status != 200:
        return Compared(label, request_id, sent, f"status_{status}" if status else "no_answer")
    return Compared(label, request_id, sent, (answer.shadow or ShadowOutcome("")).error)


def _open(path: Path) -> TextIO:
    opener = gzip.open if path.suffix == ".gz" else open
    return io.TextIOWrapper(opener(path, "rb"), encoding="utf-8-sig", newline="")


def _header(path: Path) -> list[str]:
    """Names in the first line; none where it is not text, which a market reader may still read."""
    try:
        with _open(path) as handle:
            return [name.strip() for name in next(csv.reader(handle), [])]
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile):
        return []


def _of_features(path: Path, names: Sequence[str]) -> Rows:
    found = list(_lines(path, names))
    whole = [(number, row) for number, row in found if all(map(math.isfinite, row))]
    values = np.array([row for _, row in whole], dtype=np.float64).reshape(-1, len(names))
    labels = tuple(str(number) for number, _ in whole)
    source = Input("rows", path.name, digest_file(path), len(found))
    return Rows(values, labels, len(found) - len(whole), (source,), "replay")


def _lines(path: Path, names: Sequence[str]) -> Iterator[tuple[int, list[float]]]:
    with _open(path) as handle:
        reader = csv.DictReader(handle, skipinitialspace=True)
        for line in reader:
            cells = {(name or "").strip(): text for name, text in line.items() if name}
            try:
                yield reader.line_num, [float(cells[name] or "nan") for name in names]
            except ValueError as error:
                raise DataSchemaError(
                    "a cell is no number", got=f"line {reader.line_num} of {path.name}"
                ) from error


def _of_bars(names: Sequence[str], params: ReplayParams) -> Rows:
    prepared = prepare(params.data, names, params.window, params.features.modules)
    if prepared.names != tuple(names):
        raise DataSchemaError(
            "the market does not give all features of the model",
            got=f"none for {', '.join(sorted(set(names) - set(prepared.names)))}",
        )
    kept = prepared.complete
    return Rows(
        values=prepared.X[kept],
        labels=tuple(map(str, prepared.ts[kept].tolist())),
        skipped=int((~kept).sum()),
        inputs=market_inputs(prepared),
        origin=market_origin(prepared),
    )
