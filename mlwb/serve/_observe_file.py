"""The state of observed symbols on disk: a file a symbol, replaced in one step."""

from __future__ import annotations

import base64
import itertools
import logging
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from mlwb.core import fsops
from mlwb.core.bars import BAR_FIELDS
from mlwb.core.canonical import canonical_bytes, digest, parse_json
from mlwb.core.errors import EvidenceSchemaError
from mlwb.serve._symbol import Saved

__all__ = ["ObserveFolder"]

_LOG = logging.getLogger("mlwb.serve")
_SCHEMA = "mlwb.observe-state/1"
_FLOAT_BYTES = 8
_ROW_BYTES = _FLOAT_BYTES * len(BAR_FIELDS)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: str
    symbol: str
    bars: bytes
    values: bytes
    states: bytes
    sizes: list[int]
    stream: dict[str, Any]
    sha256: str


class ObserveFolder:
    """A folder that one living server writes to.

    Parameters
    ----------
    path : Path
        ``artifacts/observe``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path / ".lock", timeout=0, thread_local=False)

    def take(self) -> bool:
        """Whether this process writes there: at most one that is alive does.

        Raises
        ------
        OSError
            The folder cannot be used.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            self._lock.acquire()
        return self._lock.is_locked

    def read(self) -> Iterator[tuple[str, Saved, float]]:
        """What was saved of each symbol, and when; a file that is no such thing is set aside."""
        for path in sorted(self._path.glob("*.json")):
            try:
                saved = _parse(fsops.read_bytes(path), path.stem)
                yield path.stem, saved, path.stat().st_mtime
            except (EvidenceSchemaError, msgspec.ValidationError, OSError) as error:
                self.set_aside(path.stem, str(error))

    def write(self, symbol: str, saved: Saved) -> None:
        """Replace the file of a symbol; a crash leaves the old one or the new one.

        Raises
        ------
        OSError
            The disk refuses; the old file is as it was.
        """
        fsops.write_atomic(self._path / f"{symbol}.json", _encode(symbol, saved))

    def set_aside(self, symbol: str, reason: str) -> None:
        """Keep a file that cannot be used as ``<symbol>.rejected``, and say why in the log."""
        path = self._path / f"{symbol}.json"
        _LOG.warning("%s cannot be used: %s", path.name, reason)
        if self._lock.is_locked:  # another server's files are left as they are
            with suppress(OSError):
                path.replace(path.with_suffix(".rejected"))

    def remove(self, symbol: str) -> None:
        """Forget a symbol."""
        fsops.remove_file(self._path / f"{symbol}.json")

    def close(self) -> None:
        """Leave the folder to the next server."""
        self._lock.release()


def _encode(symbol: str, saved: Saved) -> bytes:
    states = saved.stream["states"]
    flat = [math.nan if x is None else float(x) for state in states for x in state]
    body = {
        "schema": _SCHEMA,
        "symbol": symbol,
        "bars": base64.b64encode(saved.bars).decode(),
        "values": base64.b64encode(saved.values).decode(),
        # As bytes: a number as text costs a microsecond, and there are thousands.
        "states": base64.b64encode(np.array(flat, dtype="<f8").tobytes()).decode(),
        "sizes": [len(state) for state in states],
        "stream": {name: value for name, value in saved.stream.items() if name != "states"},
    }
    return canonical_bytes({**body, "sha256": digest(body)})


def _parse(data: bytes, symbol: str) -> Saved:
    plain = parse_json(data)
    found = msgspec.convert(plain, type=_File)
    body = {name: value for name, value in plain.items() if name != "sha256"}
    if (found.schema, found.symbol, found.sha256) != (_SCHEMA, symbol, digest(body)):
        raise EvidenceSchemaError("not the state of this symbol, or damaged", expected=_SCHEMA)
    if not found.bars or len(found.bars) % _ROW_BYTES or len(found.values) % _FLOAT_BYTES:
        raise EvidenceSchemaError("not whole bars", got=f"{len(found.bars)} bytes")
    if len(found.states) != _FLOAT_BYTES * sum(found.sizes) or min(found.sizes, default=0) < 0:
        raise EvidenceSchemaError("not a whole stream", got=f"{len(found.states)} bytes")
    flat = iter(np.frombuffer(found.states, dtype="<f8").tolist())
    states = [list(itertools.islice(flat, size)) for size in found.sizes]
    return Saved(found.bars, found.values, {**found.stream, "states": states})
