"""One observed symbol: its last day of bars, and the features folded over them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from mlwb.core.bars import BAR_FIELDS, INTERVAL_S, TS
from mlwb.core.clock import format_utc
from mlwb.core.errors import DataSchemaError, ServeError
from mlwb.features import FeatureStream
from mlwb.serve._feature_set import FeatureSet
from mlwb.serve._problems import problem_error

__all__ = ["Saved", "SymbolState", "utc_minute"]

_WIDTH = len(BAR_FIELDS)
_SPARE = 60
"""Bars that are let go of at a time: moving the rest costs as much for one as for many."""


class Saved(NamedTuple):
    """What is put away of a symbol; made on the event loop, encoded on another thread.

    Parameters
    ----------
    bars, values : bytes
        Float64, little endian: bars kept, row by row, and the features of the last one.
    stream : dict
        Dump of the feature stream.
    """

    bars: bytes
    values: bytes
    stream: dict[str, Any]

    @property
    def last_ts(self) -> float:
        """Open of the last bar, seconds since 1970; -inf without bars."""
        times = _floats(self.bars)[TS::_WIDTH]
        return times[-1] if times else -math.inf


class SymbolState:
    """Bars of the longest look-back, at least a day of them, and a feature stream.

    Parameters
    ----------
    features : FeatureSet
        What is computed.

    Attributes
    ----------
    values : list of float
        Features at the last bar; NaN where a value is not known.
    """

    __slots__ = ("_bars", "_features", "_stream", "values")

    def __init__(self, features: FeatureSet) -> None:
        self.values: list[float] = []
        self._bars = array("d")
        self._features = features
        self._stream = FeatureStream(features.specs)

    @property
    def last_ts(self) -> float:
        """Open of the last bar, seconds since 1970; -inf before the first."""
        return self._bars[-_WIDTH + TS] if self._bars else -math.inf

    @property
    def is_warm(self) -> bool:
        """Whether the longest look-back of the features has been seen."""
        return self._stream.ready

    @property
    def minutes_missing(self) -> int:
        """Minutes until then, 0 when it has been."""
        if self._stream.ready:
            return 0
        longest = max(spec.lookback_s for spec in self._features.specs)
        seen = self.last_ts - self._bars[TS] if self._bars else 0.0
        return int(longest - seen) // INTERVAL_S

    def has_gap(self, seconds: int) -> bool:
        """Whether a minute of the last ``seconds`` was not observed."""
        seen = len(self) - self._place(self.last_ts - seconds)
        return seen < seconds // INTERVAL_S + 1

    def __len__(self) -> int:
        """Bars kept."""
        return len(self._bars) // _WIDTH

    def check(self, bars: Sequence[Sequence[float]]) -> int:
        """How many of some bars were observed before; nothing is changed.

        Parameters
        ----------
        bars : sequence of bars
            In increasing time.

        Raises
        ------
        ServeError
            409: a bar is not the one observed for its minute, or stands before the last one and
            was not observed.
        """
        last, known = self.last_ts, 0
        for bar in bars:
            if bar[TS] > last:
                break
            place = self._place(bar[TS]) * _WIDTH
            if self._bars[place + TS] != bar[TS]:
                raise _earlier("bar_out_of_order", last)
            if self._bars[place : place + _WIDTH].tobytes() != array("d", bar).tobytes():
                raise _earlier("bar_conflict", last)
            known += 1
        return known

    def take(self, bar: Sequence[float]) -> None:
        """Take in a bar that is later than the last one.

        Raises
        ------
        ServeError
            503: a feature has no value for it, not even NaN; the bar is not taken in.
        """
        try:
            self.values = self._stream.step(self._features.with_mid(bar))
        except (ArithmeticError, ValueError) as error:
            self._begin()  # some steps have seen the bar, some have not
            raise problem_error("model_failed", "a feature failed on this bar") from error
        self._bars.extend(bar)
        oldest = bar[TS] - self._features.keep_s
        # One bar at or before the oldest second stays: a stream begun there is warm at once.
        if len(self._bars) > _SPARE * _WIDTH and self._bars[_SPARE * _WIDTH + TS] <= oldest:
            del self._bars[: _SPARE * _WIDTH]

    def follow(self, features: FeatureSet) -> None:
        """Compute these features from now on; others than before, over the bars that are kept."""
        before, self._features = self._features, features
        if (before.digest, before.spread) != (features.digest, features.spread):
            self._begin()

    def save(self) -> Saved:
        """All that is needed to go on elsewhere."""
        return Saved(_little(self._bars), _little(array("d", self.values)), self._stream.dump())

    @classmethod
    def load(cls, saved: Saved, features: FeatureSet) -> SymbolState:
        """Go on from what was put away; what was of other features is computed from the bars.

        Raises
        ------
        DataSchemaError
            It is no state of a symbol.
        """
        state = cls(features)
        state._bars = _floats(saved.bars)
        times = state._bars[TS::_WIDTH]
        grid = all(ts % INTERVAL_S == 0.0 for ts in times)
        if len(state._bars) % _WIDTH or not grid or any(np.diff(times) <= 0.0):
            raise DataSchemaError("no bars in their order", got=f"{len(times)} rows")
        if saved.stream.get("digest") != features.digest:
            state._begin()
            return state
        state._stream = FeatureStream.load(features.specs, saved.stream)
        state.values = _floats(saved.values).tolist()
        if state._stream.last_ts != state.last_ts or len(state.values) != len(features.specs):
            raise DataSchemaError("the parts of a saved state do not belong together")
        return state

    def _begin(self) -> None:
        self._stream = FeatureStream(self._features.specs)
        for place in range(0, len(self._bars), _WIDTH):
            bar = self._bars[place : place + _WIDTH]
            self.values = self._stream.step(self._features.with_mid(bar))

    def _place(self, ts: float) -> int:
        """Number of the first bar at or after a time."""
        return bisect_left(range(len(self)), ts, key=lambda row: self._bars[row * _WIDTH + TS])


def utc_minute(seconds: float) -> str:
    """A bar's open as it stands in requests.

    Examples
    --------
    >>> utc_minute(1767225660.0)
    '2026-01-01T00:01:00Z'
    """
    return format_utc(datetime.fromtimestamp(seconds, UTC))


def _earlier(problem: str, last_ts: float) -> ServeError:
    return problem_error(problem, f"the last bar observed is that of {utc_minute(last_ts)}")


def _little(values: array[float]) -> bytes:
    return np.asarray(values, dtype="<f8").tobytes()


def _floats(data: bytes) -> array[float]:
    return array("d", np.frombuffer(data, dtype="<f8").astype(np.float64).tobytes())
