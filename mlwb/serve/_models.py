"""Which versions answer: two channels followed by looking at their links.

A version is read, verified and warmed beside the one that answers, then taken over by one
assignment. Requests that began on the old one finish on it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlwb.core import fsops
from mlwb.core.clock import Clock
from mlwb.core.errors import ArtifactNotFoundError, DigestMismatchError, MlwbError
from mlwb.core.ids import check_version
from mlwb.core.signing import Signer
from mlwb.inference import Predictor
from mlwb.serve._decode import Decoder

__all__ = ["Channel", "Live", "Look"]

_LOG = logging.getLogger("mlwb.serve")
_WATCHED = (
    "manifest.json", "manifest.sig", "model.onnx", "sidecar.json", "golden_predictions.json",
)  # fmt: skip
_TRIES = 3


@dataclass(frozen=True)
class Live:
    """A version ready to answer; never changed, only replaced.

    Parameters
    ----------
    predictor : Predictor
        Verified and warm.
    decoder : Decoder
        Reads requests made for it.
    loaded_at : datetime
        UTC.
    cost_ms : float
        Time of one row, the best of a few.
    """

    predictor: Predictor
    decoder: Decoder
    loaded_at: datetime
    cost_ms: float

    @cached_property
    def version(self) -> str:
        """The model version."""
        return self.predictor.sidecar.model_version

    @cached_property
    def schema_crc32(self) -> str:
        """Eight hex digits of its feature schema."""
        return self.predictor.sidecar.schema_crc32

    @cached_property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """Lowest and highest value of each feature."""
        return tuple((field.low, field.high) for field in self.predictor.sidecar.features)

    @cached_property
    def example(self) -> list[float]:
        """A row that it scores: the first golden one within its ranges, else their middles."""
        golden = self.predictor.golden
        rows = [] if golden is None else golden.rows
        middle = [(low + high) / 2 for low, high in self.ranges]
        return list(next(filter(self.covers, rows), middle))

    def score(self, rows: Sequence[tuple[float, ...]]) -> list[float]:
        """P(label = 1) of each row.

        Raises
        ------
        ModelError
            The model cannot score, or gives no probability.
        """
        if len(rows) == 1:
            return [self.predictor.predict_row(rows[0])]
        return self.predictor.predict(np.array(rows)).tolist() if rows else []

    def covers(self, row: Sequence[float]) -> bool:
        """Whether every value is within the range this version was trained for."""
        for value, (low, high) in zip(row, self.ranges, strict=True):
            if not low <= value <= high:
                return False
        return True


class Look(NamedTuple):
    """What a channel was found to point at, when that is news.

    Parameters
    ----------
    seen : tuple
        Link target and file stamps; the next look compares with it.
    live : Live, optional
        The version, loaded; None when there is none or it was refused.
    problem : str
        Empty, or the stable code of the refusal.
    """

    seen: tuple[object, ...]
    live: Live | None
    problem: str


class Channel:
    """A link below the models directory, or one fixed version.

    Parameters
    ----------
    models_dir : Path
        Holds versions and links.
    link : str
        ``"latest"`` or ``"candidate"``.
    version : str, default=""
        Follow this version instead of the link.
    max_rows : int
        Largest batch its decoder takes.
    clock : Clock
        Stamps and times loading.
    signer : Signer, optional
        Where it pins a key, a version that is not signed by it is refused.
    """

    def __init__(
        self,
        models_dir: Path,
        link: str,
        *,
        max_rows: int,
        clock: Clock,
        version: str = "",
        signer: Signer | None = None,
    ) -> None:
        self.live: Live | None = None
        self.problem = ""
        self._models_dir, self._link, self._version = models_dir, link, version
        self._max_rows, self._clock, self._signer = max_rows, clock, signer
        self._seen: tuple[object, ...] = ("never",)

    def look(self) -> Look | None:
        """Read the link and load what is new; None when nothing changed. Changes nothing itself.

        Whatever is wrong with a version becomes the ``problem`` of the look, never an exception.
        """
        seen: tuple[object, ...] = ("unreadable",)
        try:
            target = self._version or fsops.read_link(self._models_dir / self._link)
            seen = (target, *(_stamp(self._models_dir / str(target) / name) for name in _WATCHED))
            if seen == self._seen:
                return None
            return Look(seen, self._load(target), "") if target else Look(seen, None, "")
        except MlwbError as error:
            _LOG.warning("%s refused: %s", self._link, error)
            return Look(seen, None, error.code)
        except Exception:  # noqa: BLE001 - whatever a version raises, the last good one goes on
            if seen == self._seen:
                return None
            _LOG.exception("%s cannot be loaded", self._link)
            return Look(seen, None, "unreadable")

    def take(self, look: Look, *, keep: bool) -> str:
        """Make a look the state of the channel.

        Parameters
        ----------
        look : Look
            From :meth:`look`.
        keep : bool
            Keep the version that answers when the new one was refused or the link is gone.

        Returns
        -------
        str
            ``"loaded"``, ``"rejected"``, or empty when a link that may be absent is absent.
        """
        self._seen = look.seen
        self.problem = look.problem
        if look.live is not None:
            self.live = look.live
            return "loaded"
        if not keep:
            self.live = None
        elif not look.problem:
            self.problem = ArtifactNotFoundError.code
        return "rejected" if look.problem else ""

    def _load(self, target: str) -> Live:
        predictor = Predictor.load(self._models_dir / check_version(target), signer=self._signer)
        if predictor.version != target:
            raise DigestMismatchError(
                "a version stands under another's name", expected=target, got=predictor.version
            )
        row = [(field.low + field.high) / 2 for field in predictor.sidecar.features]
        times = []
        for _ in range(_TRIES):
            start = self._clock.monotonic_s()
            predictor.predict_row(row)
            times.append(self._clock.monotonic_s() - start)
        decoder = Decoder(predictor.sidecar, self._max_rows)
        return Live(predictor, decoder, self._clock.now(), min(times) * 1e3)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
