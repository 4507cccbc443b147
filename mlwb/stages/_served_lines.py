"""Where a server's logs stand, and their lines as the monitor takes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mlwb.core.errors import EvidenceSchemaError
from mlwb.core.home import Home, served_path
from mlwb.core.linelog import read_all_lines
from mlwb.core.predictionlog import PredictionLine, parse_line
from mlwb.monitor import Fold

__all__ = [
    "drift_dir",
    "feature_log",
    "fold_logs",
    "prediction_log",
    "served_lines",
    "shadow_log",
]


def prediction_log(home: Home) -> Path:
    """Of everything that was answered."""
    return served_path("prediction_log", home, os.environ)


def shadow_log(home: Home) -> Path:
    """Of everything a candidate was shown."""
    return served_path("shadow_log", home, os.environ)


def feature_log(home: Home) -> Path:
    """Of the rows of features."""
    return served_path("feature_log", home, os.environ)


def drift_dir(home: Home) -> Path:
    """Counts of live rows."""
    return served_path("drift_dir", home, os.environ)


def served_lines(path: Path, damaged: Callable[[], None]) -> Iterator[PredictionLine]:
    """Lines of a log and of the files set aside; what cannot be read is told and passed over.

    A killed server, a full disk or a file cut while it was copied costs the line, not the day.

    Parameters
    ----------
    path : Path
        The named file.
    damaged : callable
        Called for each whole line that is none.
    """
    for line in read_all_lines(path, _line_or_none):
        if line is None:
            damaged()
        else:
            yield line


def fold_logs(home: Home, fold: Fold) -> int:
    """Both logs of a home into a window; how many lines were damaged."""
    n_damaged = 0

    def damaged() -> None:
        nonlocal n_damaged
        n_damaged += 1

    for line in served_lines(prediction_log(home), damaged):
        fold.answer(line)
    for line in served_lines(shadow_log(home), damaged):
        fold.comparison(line)
    return n_damaged


def _line_or_none(data: bytes) -> PredictionLine | None:
    try:
        return parse_line(data)
    except EvidenceSchemaError:
        return None
