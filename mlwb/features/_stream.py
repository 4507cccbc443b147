"""Features online: one bar in, one vector out, state that can be put away and taken up again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlwb.core.bars import BAR_FIELDS, INTERVAL_S, TS
from mlwb.core.errors import DataSchemaError
from mlwb.features._spec import FeatureSpec, spec_digest

__all__ = ["FeatureStream"]

_STATE_SCHEMA = "mlwb.feature-state/1"


class FeatureStream:
    """Steps a set of features bar by bar.

    Parameters
    ----------
    chosen : sequence of FeatureSpec
        What to compute, in order.

    Examples
    --------
    >>> from mlwb.features import FeatureStream, specs
    >>> stream = FeatureStream(specs(["bias", "mid_logret_1m"]))
    >>> stream.step([0.0, 100.0, *[math.nan] * 9])
    [1.0, nan]
    >>> stream.step([60.0, 101.0, *[math.nan] * 9])[1] == math.log(101.0 / 100.0)
    True
    """

    def __init__(self, chosen: Sequence[FeatureSpec]) -> None:
        self.specs = tuple(chosen)
        self.digest = spec_digest(self.specs)
        self._states = [list(spec.start) for spec in self.specs]
        self._steps = [spec.step for spec in self.specs]
        self._warm_s = max((spec.lookback_s for spec in self.specs), default=0)
        self._first_ts = math.nan
        self._last_ts = -math.inf

    @property
    def last_ts(self) -> float:
        """Open of the last bar, seconds since 1970; -inf before the first."""
        return self._last_ts

    @property
    def ready(self) -> bool:
        """True once the stream has seen the longest look-back of its features."""
        return self._last_ts - self._first_ts >= self._warm_s

    def step(self, bar: Sequence[float]) -> list[float]:
        """Take one bar and return the features known at its close.

        Parameters
        ----------
        bar : sequence of float
            One value for each of ``mlwb.core.bars.BAR_FIELDS``; NaN where the source has none.

        Returns
        -------
        list of float
            One value a feature; NaN where it is not known.

        Raises
        ------
        DataSchemaError
            The bar has another number of fields, is off the minute grid, or is not later than
            the one before; the state is unchanged.
        """
        ts = bar[TS] if len(bar) == len(BAR_FIELDS) else math.nan
        if not (ts > self._last_ts and ts % INTERVAL_S == 0):
            raise DataSchemaError(
                "a bar cannot follow",
                expected=f"{len(BAR_FIELDS)} fields, on the minute, after {self._last_ts:.0f} s",
                got=f"{len(bar)} fields, ts {ts}",
            )
        if self._first_ts != self._first_ts:
            self._first_ts = ts
        self._last_ts = ts
        return [step(state, bar) for step, state in zip(self._steps, self._states, strict=True)]

    def dump(self) -> dict[str, Any]:
        """State as plain JSON values; NaN is None, an infinity its name."""
        return {
            "schema": _STATE_SCHEMA,
            "digest": self.digest,
            "first_ts": _plain(self._first_ts),
            "last_ts": _plain(self._last_ts),
            "states": [[_plain(x) for x in state] for state in self._states],
        }

    @classmethod
    def load(cls, chosen: Sequence[FeatureSpec], dumped: Mapping[str, Any]) -> FeatureStream:
        """Take up a dumped state; the next values equal those of a stream that never stopped.

        Raises
        ------
        DataSchemaError
            The state belongs to other features, or to another version of their code.
        """
        stream = cls(chosen)
        sizes = [len(state) for state in stream._states]
        try:
            stream._states = [[_number(x, math.nan) for x in s] for s in dumped["states"]]
            stream._first_ts = _number(dumped["first_ts"], math.nan)
            stream._last_ts = _number(dumped["last_ts"], -math.inf)
            fits = (dumped["schema"], dumped["digest"]) == (_STATE_SCHEMA, stream.digest)
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits or [len(state) for state in stream._states] != sizes:
            raise DataSchemaError(
                "the saved feature state does not fit these features",
                expected=stream.digest,
                got=str(dumped.get("digest", "no digest")),
                todo="warm the stream from bars instead",
            )
        return stream


def _plain(x: float) -> float | str | None:
    if math.isfinite(x):
        return x
    return None if math.isnan(x) else str(x)


def _number(x: float | str | None, absent: float) -> float:
    return absent if x is None else float(x)
