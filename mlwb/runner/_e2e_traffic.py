"""Somebody who asks a server all the time, and remembers every answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np

from mlwb.client import PredictClient
from mlwb.core.arrays import Float2D
from mlwb.core.errors import ModelError, ServeError
from mlwb.inference import Predictor

__all__ = ["Asked", "Callers", "wrong_answers"]

_PAUSE_S = 0.002
_TIMEOUT_S = 5.0
_EQUAL = 1e-9
"""Two scores that differ by less are one."""


class _Answer(msgspec.Struct):
    """What is kept of an answer."""

    model_version: str
    score: float


class Asked(NamedTuple):
    """One request and its answer.

    Parameters
    ----------
    row : int
        Which row was sent.
    status : int
        HTTP status, 0 without an answer.
    version : str
        Who answered.
    score : float
        What; NaN without an answer.
    """

    row: int
    status: int
    version: str
    score: float


@dataclass
class Callers:
    """Asks on threads of its own for as long as the ``with`` block lasts.

    Parameters
    ----------
    url, api_key : str
        The server, and a key that may predict.
    rows : ndarray of shape (n_rows, n_features)
        Asked about in turn.
    n_threads : int, default=2
        Connections.

    Attributes
    ----------
    asked : list of Asked
        Every request so far.
    """

    url: str
    api_key: str = field(repr=False)
    rows: Float2D
    n_threads: int = 2
    asked: list[Asked] = field(default_factory=list, repr=False)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._bodies = [msgspec.json.encode({"features": row}) for row in self.rows.tolist()]
        self._threads = [
            threading.Thread(target=self._work, args=(place,)) for place in range(self.n_threads)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, first: int) -> None:
        row, decoder = first, msgspec.json.Decoder(_Answer)
        with PredictClient(self.url, api_key=self.api_key, timeout_s=_TIMEOUT_S) as client:
            while not self._stop.wait(_PAUSE_S):
                row = (row + self.n_threads) % len(self._bodies)
                self.asked.append(_ask(client, row, self._bodies[row], decoder))


def _ask(
    client: PredictClient, row: int, body: bytes, decoder: msgspec.json.Decoder[_Answer]
) -> Asked:
    try:
        status, answer, _ = client.post_raw("/ml/predict", body)
        if status == 200:
            found = decoder.decode(answer)
            return Asked(row, status, found.model_version, found.score)
    except (ServeError, msgspec.DecodeError):
        status = 0
    return Asked(row, status, "", float("nan"))


def wrong_answers(
    asked: Sequence[Asked], rows: Float2D, folders: Mapping[str, Path]
) -> dict[str, int]:
    """Answers that are not what the version that gave them says offline, by version.

    Parameters
    ----------
    asked : sequence of Asked
        What was answered.
    rows : ndarray of shape (n_rows, n_features)
        What was asked about.
    folders : mapping of str to Path
        Of the versions that may answer; whatever another one says is wrong.

    Returns
    -------
    dict of str to int
        One entry a version that answered.
    """
    found: dict[str, int] = {}
    for version in sorted({item.version for item in asked} - {""}):
        own = [item for item in asked if item.version == version]
        if version not in folders:
            found[version] = len(own)
            continue
        predictor = Predictor.load(folders[version])
        said = {row: _score(predictor, rows[row].tolist()) for row in {item.row for item in own}}
        found[version] = sum(not abs(item.score - said[item.row]) <= _EQUAL for item in own)
    return found


def _score(predictor: Predictor, row: list[float]) -> float:
    try:
        return predictor.predict_row(row)
    except ModelError:
        return float(np.nan)
