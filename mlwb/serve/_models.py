"""Versions ready to answer: read, verified and warmed once, then kept for the way back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mlwb.core.canonical import digest_file
from mlwb.core.clock import Clock
from mlwb.core.errors import DigestMismatchError
from mlwb.core.ids import check_version
from mlwb.core.signing import Signer
from mlwb.inference import Predictor
from mlwb.serve._decode import Decoder
from mlwb.serve._file_stamp import FileStamp, file_stamp
from mlwb.serve._rows import as_table

__all__ = ["Live", "Loaded", "Shelf", "Stamps"]

_WATCHED = (
    "manifest.json", "manifest.sig", "model.onnx", "sidecar.json", "golden_predictions.json",
)  # fmt: skip
_TRIES = 3

Stamps = tuple[FileStamp | None, ...]
"""Inode, time and size of each file that loading reads."""


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
    sha256 : str
        Digest of its manifest, which names every byte of it.
    is_row_exact : bool
        Whether a row has the same score, to the last bit, alone and among others.
    """

    predictor: Predictor
    decoder: Decoder
    loaded_at: datetime
    cost_ms: float
    sha256: str = ""
    is_row_exact: bool = False

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
        return self.predictor.predict(as_table(rows)).tolist() if rows else []

    def covers(self, row: Sequence[float]) -> bool:
        """Whether every value is within the range this version was trained for."""
        for value, (low, high) in zip(row, self.ranges, strict=True):
            if not low <= value <= high:
                return False
        return True


class Loaded(NamedTuple):
    """What asking a shelf for a version gave.

    Parameters
    ----------
    live : Live
        The version.
    was_kept : bool
        It was loaded before and its files were not touched since.
    load_ms : float
        What loading took, 0 for a kept one.
    """

    live: Live
    was_kept: bool
    load_ms: float


class Shelf:
    """Loaded versions, the last few of them kept: going back to one loads nothing.

    Safe to use from many threads; two that ask for the same new version both load it.

    Parameters
    ----------
    models_dir : Path
        Holds the versions.
    max_rows : int
        Largest batch their decoders take.
    clock : Clock
        Stamps and times loading.
    kept : int
        Versions kept.
    signer : Signer, optional
        Where it pins a key, a version that is not signed by it is refused.
    """

    def __init__(
        self,
        models_dir: Path,
        *,
        max_rows: int,
        clock: Clock,
        kept: int,
        signer: Signer | None = None,
    ) -> None:
        self._models_dir, self._signer = models_dir, signer
        self._max_rows, self._clock, self._n_kept = max_rows, clock, kept
        self._kept: dict[str, tuple[Stamps, Live]] = {}
        self._lock = threading.Lock()

    @property
    def versions(self) -> tuple[str, ...]:
        """What is kept, the longest unused first."""
        return tuple(self._kept)

    def stamps(self, version: str) -> Stamps:
        """Stamps of the files of a version; they change when a file does."""
        return tuple(_stamp(self._models_dir / version / name) for name in _WATCHED)

    def load(self, version: str) -> Loaded:
        """A version, verified and warm.

        Parameters
        ----------
        version : str
            Its name; a link's text is not trusted to be one.

        Returns
        -------
        Loaded

        Raises
        ------
        ParamsError
            The name cannot be a version.
        ArtifactError, ModelError
            As ``Predictor.load``, or another version stands under this name.
        """
        stamps = self.stamps(check_version(version))
        found = self._kept.get(version)
        if found is not None and found[0] == stamps:
            self._keep(version, *found)
            return Loaded(found[1], was_kept=True, load_ms=0.0)
        start = self._clock.monotonic_s()
        live = self._read(version)
        self._keep(version, stamps, live)
        return Loaded(live, was_kept=False, load_ms=(self._clock.monotonic_s() - start) * 1e3)

    def _keep(self, version: str, stamps: Stamps, live: Live) -> None:
        with self._lock:
            self._kept.pop(version, None)
            self._kept[version] = stamps, live
            while len(self._kept) > self._n_kept:
                del self._kept[next(iter(self._kept))]

    def _read(self, version: str) -> Live:
        folder = self._models_dir / version
        predictor = Predictor.load(folder, signer=self._signer)
        if predictor.version != version:
            raise DigestMismatchError(
                "a version stands under another's name", expected=version, got=predictor.version
            )
        row = [(field.low + field.high) / 2 for field in predictor.sidecar.features]
        times = []
        for _ in range(_TRIES):
            start = self._clock.monotonic_s()
            predictor.predict_row(row)
            times.append(self._clock.monotonic_s() - start)
        decoder = Decoder(predictor.sidecar, self._max_rows)
        return Live(
            predictor,
            decoder,
            self._clock.now(),
            cost_ms=min(times) * 1e3,
            sha256=digest_file(folder / "manifest.json"),
            is_row_exact=predictor.is_row_exact,
        )


def _stamp(path: Path) -> FileStamp | None:
    try:
        return file_stamp(path)
    except OSError:
        return None  # loading it says what is wrong
