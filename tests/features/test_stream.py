"""The online stream: what it refuses, when it is ready, what its saved state accepts."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mlwb.core.bars import BAR_FIELDS, MID, TS
from mlwb.core.errors import DataSchemaError
from mlwb.features import FeatureStream, feature_names, specs
from tests.strategies import START, walk_bars

ALL = specs(feature_names())


def warmed(n: int = 30) -> FeatureStream:
    """A stream that has seen some bars."""
    stream = FeatureStream(ALL)
    for row in walk_bars(n).tolist():
        stream.step(row)
    return stream


def following(stream: FeatureStream) -> list[float]:
    """The bar that comes next."""
    bar: list[float] = walk_bars(1, start=int(stream.last_ts) + 60).tolist()[0]
    return bar


@pytest.mark.parametrize(
    "ts",
    [-60.0, 0.0, 30.0, 60.5, math.nan, math.inf],
    ids=["earlier", "same", "off grid", "half second", "nan", "inf"],
)
def test_bar_that_cannot_follow_is_refused(ts: float) -> None:
    """Repeated, earlier, off-grid and timeless bars raise, and the state is as before."""
    stream = warmed()
    before = stream.dump()
    bad = following(stream)
    bad[TS] = stream.last_ts + ts
    with pytest.raises(DataSchemaError, match="cannot follow"):
        stream.step(bad)
    assert stream.dump() == before


@pytest.mark.parametrize("width", [0, 1, len(BAR_FIELDS) - 1, len(BAR_FIELDS) + 1])
def test_bar_of_another_width_is_refused(width: int) -> None:
    """A bar with too few or too many fields raises, and the state is as before."""
    stream = warmed()
    before = stream.dump()
    with pytest.raises(DataSchemaError, match=f"got {width} fields"):
        stream.step([stream.last_ts + 60.0] * width)
    assert stream.dump() == before


def test_refused_bar_leaves_no_trace() -> None:
    """The bar after a refused one has the values it would have had."""
    stream, other = warmed(), warmed()
    bar = following(stream)
    with pytest.raises(DataSchemaError):
        stream.step([*bar, 0.0])
    assert stream.step(bar) == other.step(bar)


def test_ready_after_the_longest_lookback() -> None:
    """Not ready before the first bar nor a minute early; ready when the look-back is covered."""
    stream = FeatureStream(specs(["bias", "mid_logret_5m"]))
    assert (stream.ready, stream.last_ts) == (False, -math.inf)
    told = []
    for row in walk_bars(7).tolist():
        stream.step(row)
        told.append(stream.ready)
    assert told == [False] * 5 + [True, True]
    assert stream.last_ts == START + 360


def test_features_without_memory_are_ready_at_once() -> None:
    """A look-back of zero is covered by the first bar."""
    stream = FeatureStream(specs(["bias"]))
    stream.step(walk_bars(1).tolist()[0])
    assert stream.ready


def test_state_is_strict_json() -> None:
    """A dumped state holds no NaN, comes back equal, and keeps readiness and last time."""
    stream = warmed()
    dumped = json.loads(json.dumps(stream.dump(), allow_nan=False))
    loaded = FeatureStream.load(ALL, dumped)
    assert loaded.dump() == stream.dump()
    assert (loaded.last_ts, loaded.ready) == (stream.last_ts, stream.ready)


def test_overflowed_sums_survive_json() -> None:
    """A price beyond all measure makes sums infinite; put away and taken up they still are."""
    stream, rows = FeatureStream(ALL), walk_bars(90)
    rows[40, MID] = 1e300
    for row in rows[:60].tolist():
        stream.step(row)
    text = json.dumps(stream.dump(), allow_nan=False)
    assert '"inf"' in text
    loaded = FeatureStream.load(ALL, json.loads(text))
    for row in rows[60:].tolist():
        assert repr(loaded.step(row)) == repr(stream.step(row))


def test_fresh_state_can_be_put_away_too() -> None:
    """Before the first bar there is a state as well: it loads as a fresh stream."""
    loaded = FeatureStream.load(ALL, FeatureStream(ALL).dump())
    assert (loaded.last_ts, loaded.ready) == (-math.inf, False)
    loaded.step(walk_bars(1).tolist()[0])


def test_streams_do_not_share_state() -> None:
    """Two streams of the same features go their own ways."""
    first, second = FeatureStream(ALL), FeatureStream(ALL)
    before = second.dump()
    first.step(walk_bars(1).tolist()[0])
    assert second.dump() == before


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "mlwb.feature-state/0"},
        {"digest": "sha256:" + "0" * 64},
        {"states": []},
        {"states": [[0.0]] * len(ALL)},
        {"states": None},
        {"states": [["x"]] * len(ALL)},
        {"states": 5},
        {"last_ts": "noon"},
    ],
    ids=["schema", "digest", "none", "short", "null", "text", "number", "time"],
)
def test_foreign_state_is_refused(change: dict[str, Any]) -> None:
    """Another schema, other features, a cut or mangled state: refused with what to do instead."""
    with pytest.raises(DataSchemaError, match="warm the stream from bars"):
        FeatureStream.load(ALL, {**warmed().dump(), **change})


@pytest.mark.parametrize("lost", ["schema", "digest", "states", "first_ts", "last_ts"])
def test_incomplete_state_is_refused(lost: str) -> None:
    """A state without one of its parts is refused, not guessed."""
    dumped = warmed().dump()
    del dumped[lost]
    with pytest.raises(DataSchemaError, match="does not fit"):
        FeatureStream.load(ALL, dumped)


def test_state_of_the_same_features_in_another_order_is_refused() -> None:
    """Order is part of what was trained on."""
    with pytest.raises(DataSchemaError):
        FeatureStream.load(ALL[::-1], warmed().dump())
