"""Routes about the newest scored rows: how they lie, and how far from their baseline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mlwb.core import fsops
from mlwb.core.arrays import Float1D
from mlwb.core.clock import format_utc
from mlwb.drift import SCORE, FeatureReference
from mlwb.serve._endpoints import Call, Endpoint, Permission, json_response
from mlwb.serve._problems import problem_error
from mlwb.serve._releases import Reason
from mlwb.serve._state import State
from mlwb.serve._window import Moments, ScoredRows, Spread, shift, shift_from_bins, spread_of

__all__ = ["stats_endpoints"]

_LOG = logging.getLogger("mlwb.serve")


class FeatureStats(msgspec.Struct, kw_only=True):
    """One feature; `z` is how many sd of the baseline its mean has moved, null where none is known.

    It is beyond the threshold too where the baseline does not vary and the mean is another.
    """

    name: str
    mean: float
    sd: float
    min: float
    max: float
    z: float | None
    is_beyond: bool


class BaselineInfo(msgspec.Struct):
    """What the window is compared with: the training reference, or a window that was taken."""

    source: Literal["reference", "window", "none"]
    taken_at: str | None
    rows: int | None


class WindowStats(msgspec.Struct, kw_only=True):
    """The newest rows of one worker; the score has a `z` too, and the rest is null without rows."""

    model_version: str | None
    rows: int
    capacity: int
    first_at: str | None
    last_at: str | None
    threshold: float
    beyond: list[str]
    baseline: BaselineInfo
    score: Spread | None
    score_z: float | None
    latency_ms: Spread | None
    features: list[FeatureStats]


class TakeBaseline(msgspec.Struct, forbid_unknown_fields=True):
    """Why, and the fewest rows that make a baseline."""

    reason: Reason
    least_rows: Annotated[int, Meta(ge=2, le=1_000_000)] = 100


class Baseline(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A window that later ones are compared with; kept in a file."""

    schema: Literal["mlwb.baseline/1"]
    model_version: str
    taken_at: str
    by: str
    reason: str
    rows: int
    columns: dict[str, Moments]


def stats_endpoints(state: State) -> tuple[Endpoint, ...]:
    """Statistics of the newest rows, and their baseline.

    Parameters
    ----------
    state : State
        Of the server.
    """
    routes = _Stats(state)
    return (
        Endpoint(
            method="GET",
            path="/ml/monitoring/stats",
            permission=Permission.READ,
            summary="How the newest scored rows lie, and how far their means have moved",
            answer=WindowStats,
            handler=routes.stats,
        ),
        Endpoint(
            method="POST",
            path="/ml/monitoring/baseline",
            permission=Permission.ADMIN,
            summary="Compare with the rows scored up to now from here on",
            body=TakeBaseline,
            answer=Baseline,
            handler=routes.take,
            refusals=("too_few_rows", "storage"),
        ),
    )


class _Stats:
    def __init__(self, state: State) -> None:
        self._state = state
        self._file = state.settings.baseline_file
        self._kept: Baseline | None = None

    async def stats(self, _call: Call) -> Response:
        held, drift = self._state.window.copy(), self._state.drift.current
        references = () if drift is None or drift.version != held.version else drift.references
        return json_response(await asyncio.to_thread(self._measure, held, references))

    async def take(self, call: Call) -> Response:
        held, wanted = self._state.window.copy(), call.body.least_rows
        if len(held.rows) < wanted:
            detail = f"the window holds {len(held.rows)} rows, expected at least {wanted}"
            raise problem_error("too_few_rows", detail)
        columns = self._columns(held)
        baseline = Baseline(
            schema="mlwb.baseline/1",
            model_version=held.version,
            taken_at=format_utc(self._state.clock.now()),
            by=call.caller.name,
            reason=call.body.reason,
            rows=len(held.rows),
            columns={name: Moments(float(v.mean()), float(v.std())) for name, v in columns.items()},
        )
        await asyncio.to_thread(self._keep, baseline)
        return json_response(baseline)

    def _measure(self, held: ScoredRows, references: Sequence[FeatureReference]) -> WindowStats:
        settings, n_rows = self._state.settings, len(held.rows)
        baseline = self._baseline(held.version)
        if baseline is not None:
            info = BaselineInfo("window", baseline.taken_at, baseline.rows)
        else:
            info = BaselineInfo("reference" if references else "none", None, None)
        columns = self._columns(held) if n_rows else {}
        shifts = _shifts(columns, baseline, references)
        far = [name for name in columns if _is_beyond(shifts, name, settings.z_threshold)]
        return WindowStats(
            model_version=held.version or None,
            rows=n_rows,
            capacity=settings.stats_window,
            first_at=_utc(held.first_ts) if n_rows else None,
            last_at=_utc(held.last_ts) if n_rows else None,
            threshold=settings.z_threshold,
            beyond=far,
            baseline=info,
            score=spread_of(held.scores) if n_rows else None,
            score_z=shifts.get(SCORE),
            latency_ms=spread_of(held.latency_ms) if n_rows else None,
            features=[
                _feature(name, v, shifts, is_beyond=name in far)
                for name, v in columns.items()
                if name != SCORE
            ],
        )

    def _columns(self, held: ScoredRows) -> dict[str, Float1D]:
        champion = self._state.champion.live
        if champion is not None and champion.version == held.version:
            names = champion.predictor.sidecar.names
        else:  # another version took over a moment ago
            names = tuple(f"column_{place}" for place in range(held.rows.shape[1]))
        return {**dict(zip(names, held.rows.T, strict=True)), SCORE: held.scores}

    def _baseline(self, version: str) -> Baseline | None:
        """The baseline that was taken of this version; not on the event loop."""
        found = self._kept if self._file is None else _read(self._file)
        return found if found is not None and found.model_version == version else None

    def _keep(self, baseline: Baseline) -> None:
        self._kept = baseline
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fsops.write_atomic(self._file, msgspec.json.encode(baseline))
        except OSError as error:
            raise problem_error("storage", "the baseline could not be written") from error


def _feature(
    name: str, values: Float1D, shifts: Mapping[str, float | None], *, is_beyond: bool
) -> FeatureStats:
    return FeatureStats(
        name=name,
        mean=float(values.mean()),
        sd=float(values.std()),
        min=float(values.min()),
        max=float(values.max()),
        z=shifts.get(name),
        is_beyond=is_beyond,
    )


def _read(path: Path) -> Baseline | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _LOG.warning("the baseline %s cannot be read: %s", path.name, error)
        return None


def _shifts(
    columns: Mapping[str, Float1D],
    baseline: Baseline | None,
    references: Sequence[FeatureReference],
) -> dict[str, float | None]:
    """How far each column has moved; a column without a counterpart is left out."""
    if baseline is not None:
        known = baseline.columns
        return {
            name: shift(float(values.mean()), known[name])
            for name, values in columns.items()
            if name in known
        }
    return {
        item.name: shift_from_bins(columns[item.name], item.bins)
        for item in references
        if item.name in columns
    }


def _is_beyond(shifts: Mapping[str, float | None], name: str, threshold: float) -> bool:
    if name not in shifts:
        return False
    found = shifts[name]
    return found is None or abs(found) > threshold


def _utc(ts: float) -> str:
    return format_utc(datetime.fromtimestamp(ts, UTC))
