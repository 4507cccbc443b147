"""A version whose features the server computes itself, bars for it, and what batch says of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mlwb.core.arrays import Bool1D, Float2D
from mlwb.core.bars import ASK, BAR_FIELDS, BID, MID, TS
from mlwb.core.clock import ManualClock, format_utc
from mlwb.features import FeatureSpec, spec_digest, specs
from mlwb.inference import FeatureField, schema_crc32
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import point, sidecar_for, write_version
from tests.strategies import walk_bars

__all__ = [
    "FEATURES",
    "body",
    "clock_after",
    "market",
    "observing",
    "plain",
    "served",
    "write_observed",
]

FEATURES = ("bias", "mid_logret_5m", "spread_bp", "realised_vol_60m", "rsi14_z")
_WEIGHTS = (0.1, 1.5, -0.4, 0.1, 0.8)


def write_observed(
    models: Path,
    version: str = "v1.0.0",
    names: Sequence[str] = FEATURES,
    *,
    spread: Literal["quoted", "estimated", "none"] = "quoted",
    modules: Sequence[str] = (),
    digest: str = "",
    low: float = -1e9,
    high: float = 1e9,
) -> tuple[FeatureSpec, ...]:
    """Publish a version behind `latest`; its features, in order."""
    chosen = specs(names, quoted=spread == "quoted", modules=modules)
    fields = tuple(FeatureField(spec.name, spec.unit, "float64", low, high) for spec in chosen)
    sidecar = replace(
        sidecar_for(version, names),
        features=fields,
        schema_crc32=schema_crc32(fields),
        feature_spec_digest=digest or spec_digest(chosen),
        spread=spread,
    )
    weights = [_WEIGHTS[place % len(_WEIGHTS)] * 1e-9 for place in range(len(names))]
    write_version(models, version, weights=weights, sidecar=sidecar)
    point(models, "latest", version)
    return chosen


def market(n: int, *, seed: int = 1, keep: Bool1D | None = None, holes: float = 0.0) -> Float2D:
    """Bars of a walk; `mid` is that of a quoted market."""
    bars = walk_bars(n, seed=seed, keep=keep, holes=holes)
    bars[:, MID] = (bars[:, BID] + bars[:, ASK]) / 2.0
    return bars


def plain(bar: Sequence[float]) -> dict[str, Any]:
    """A bar as a client sends it."""
    named = dict(zip(BAR_FIELDS, map(float, bar), strict=True))
    ts = format_utc(datetime.fromtimestamp(named.pop("ts"), UTC))
    del named["mid"]
    return {"ts": ts, **{name: x for name, x in named.items() if not math.isnan(x)}}


def body(bars: Sequence[Sequence[float]] | Float2D, symbol: str = "EURUSD", **more: Any) -> bytes:
    """One bar as ``bar``, several as ``bars``."""
    rows = [plain(bar) for bar in bars]
    asked = {"bar": rows[0]} if len(rows) == 1 else {"bars": rows}
    return json.dumps({"symbol": symbol, **asked, **more}).encode()


def clock_after(bars: Float2D) -> ManualClock:
    """A clock that stands where the last bar has just closed."""
    clock = ManualClock()
    clock.advance(float(bars[-1, TS]) + 60.0 - clock.now().timestamp())
    return clock


def observing(models: Path, bars: Float2D, **settings: Any) -> App:
    """A server whose clock stands after the last bar and which scores bars of any age."""
    settings = {"observe_max_age_s": 0.0, **settings}
    return create_app(ServeSettings(models, **settings), clock=clock_after(bars))


def served(answer: dict[str, Any]) -> list[float]:
    """Features of an answer, NaN where null."""
    return [math.nan if x is None else x for x in answer["features"].values()]
