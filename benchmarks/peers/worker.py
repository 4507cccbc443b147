"""Peer libraries, in an interpreter of their own: one JSON job a line in, one JSON answer out.

Run by :class:`benchmarks.peers.client.Peers`, never by hand. It imports only what a job asks for
and nothing of mlwb, since the peers' requirements do not fit beside its own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

warnings.filterwarnings("ignore")
for switch in ("DO_NOT_TRACK", "NML_DISABLE_USAGE_LOGGING", "NML_DISABLE_USER_ANALYTICS"):
    os.environ[switch] = "1"

Arrays = dict[str, "np.ndarray[Any, Any]"]
REPEATS = 3


def versions() -> dict[str, str]:
    """Peers that are installed here."""
    found = {}
    for name in ("evidently", "nannyml", "river"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _frame(columns: np.ndarray[Any, Any]) -> Any:
    pandas = importlib.import_module("pandas")
    return pandas.DataFrame(columns, columns=[f"c{i}" for i in range(columns.shape[1])])


def _evidently(reference: Any, current: Any, method: str | None) -> dict[str, Any]:
    evidently = importlib.import_module("evidently")
    presets = importlib.import_module("evidently.presets")
    preset = presets.DataDriftPreset(**({"method": method} if method else {}))
    return dict(evidently.Report([preset]).run(current, reference).dict())


def evidently_days(data: Arrays, method: str | None) -> list[list[bool]]:
    """Drifted or not, by day and column, at the preset's own thresholds."""
    reference, out = _frame(data["reference"]), []
    for day in data["current"]:
        by_column = {}
        for metric in _evidently(reference, _frame(day), method)["metrics"]:
            config = metric["config"]
            if "column" not in config:
                continue
            is_p_value = "p_value" in config["method"]
            value, threshold = float(metric["value"]), float(config["threshold"])
            by_column[config["column"]] = value < threshold if is_p_value else value >= threshold
        out.append([bool(by_column[name]) for name in reference.columns])
    return out


def nannyml_days(data: Arrays, method: str) -> list[list[bool]]:
    """Alerts by day and column, a chunk a day, at the default thresholds of three deviations."""
    nannyml = importlib.import_module("nannyml")
    n_days, n_rows, _ = data["current"].shape
    reference = _frame(data["reference"])
    current = _frame(data["current"].reshape(n_days * n_rows, -1))
    names = list(reference.columns)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=names, chunk_size=n_rows, continuous_methods=[method]
    )
    found = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
    alerts = [found[(name, method, "alert")] for name in names]
    return [[bool(alert) for alert in day] for day in zip(*alerts, strict=True)]


def river_days(data: Arrays, method: str) -> list[list[bool]]:
    """Days on which the stream's detector fired, by column; it has seen the reference."""
    drift = importlib.import_module("river.drift")
    out = []
    for column in range(data["reference"].shape[1]):
        detector = getattr(drift, method)()
        _fired(detector, data["reference"][:, column])
        out.append([_fired(detector, day[:, column]) for day in data["current"]])
    return [list(day) for day in zip(*out, strict=True)]


def _fired(detector: Any, values: Iterable[float]) -> bool:
    fired = False
    for value in values:
        if not math.isnan(value):  # a detector takes no missing value
            detector.update(float(value))
            fired = fired or bool(detector.drift_detected)
    return fired


def evidently_seconds(data: Arrays) -> float:
    """Least seconds of the processor for the PSI preset, frames ready, no page made."""
    reference, current, taken = _frame(data["reference"]), _frame(data["current"]), []
    for _ in range(REPEATS):
        start = time.process_time()
        _evidently(reference, current, "psi")
        taken.append(time.process_time() - start)
    return min(taken)


JOBS: dict[str, Callable[..., Any]] = {
    "evidently": evidently_days,
    "evidently_seconds": evidently_seconds,
    "nannyml": nannyml_days,
    "river": river_days,
}


def main() -> None:
    """Answer until the input ends; what libraries print goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(versions()), file=answers, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        with np.load(job["data"]) as data:
            found = JOBS[job["name"]](dict(data), *job["args"])
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
