"""What each feature is called, measured in and made of; its digest is the code itself."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from mlwb.core.canonical import digest
from mlwb.core.errors import UnknownParameterError
from mlwb.features import _steps as steps
from mlwb.features._window import Bar, State, window_start

__all__ = ["FEATURES", "FeatureSpec", "feature_names", "spec_digest", "specs"]

Step = Callable[[State, Bar], float]


@dataclass(frozen=True)
class FeatureSpec:
    """One feature: a step function and the facts about it.

    Parameters
    ----------
    name : str
        Column name, unique.
    unit : str
        ``"1"`` for a dimensionless number.
    step : callable
        ``step(state, bar) -> float``; see :mod:`mlwb.features`.
    start : tuple of float
        State before the first bar; settings in its first cells.
    lookback_s : int
        Seconds of bars a value depends on; the stream is warm after that.
    inputs : tuple of str
        Bar fields read.
    source : str
        Where the definition comes from.
    """

    name: str
    unit: str
    step: Step
    start: tuple[float, ...]
    lookback_s: int
    inputs: tuple[str, ...]
    source: str

    @cached_property
    def digest(self) -> str:
        """sha256 over name, unit, start state and the source text of the step and its helpers."""
        code = _source_of(self.step)
        return digest([self.name, self.unit, [repr(x) for x in self.start], code])


@cache
def _source_of(function: Callable[..., object]) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = [function]
    while waiting:
        current = waiting.pop()
        if current.__name__ in found:
            continue
        found[current.__name__] = inspect.getsource(current)
        names = current.__code__.co_names
        scope = getattr(current, "__globals__", {})
        for name in names:
            value = scope.get(name)
            if isinstance(value, types.FunctionType):
                waiting.append(value)
            elif isinstance(value, (int, float)):
                found[name] = repr(value)
    return found


def _logret(lag: int) -> tuple[float, ...]:
    return (float(lag), -1.0, 0.0) + (math.nan,) * (lag + 1)


_NO_BAR = (-2.0, math.nan)
_DAY_S = 86_400
_RSI_S = 60_000
"""Wilder's averages forget by 13/14 a bar: after 1,000 bars nothing of the start is left."""

FEATURES: tuple[FeatureSpec, ...] = (
    FeatureSpec("bias", "1", steps.bias, (0.0,), 0, (), "requirements"),
    FeatureSpec("mid_logret_1m", "1", steps.mid_logret, _logret(1), 60, ("mid",), "requirements"),
    FeatureSpec("mid_logret_5m", "1", steps.mid_logret, _logret(5), 300, ("mid",), "requirements"),
    FeatureSpec(
        "spread_bp", "bp", steps.spread_bp, (0.0,), 0, ("bid", "ask", "mid"), "requirements"
    ),
    FeatureSpec(
        "vol1m_log", "ln(1 + volume)", steps.log_volume, (0.0,), 0, ("volume",), "requirements"
    ),
    FeatureSpec(
        "rsi14_z",
        "1",
        steps.rsi14_z,
        (0.0, math.nan, -1.0, 0.0, 0.0),
        _RSI_S,
        ("mid",),
        "Wilder 1978, scaled as the requirements do",
    ),
    FeatureSpec(
        "zscore_mid_24h",
        "1",
        steps.zscore_mid,
        window_start(1440, 60, centred=True),
        _DAY_S,
        ("mid",),
        "requirements",
    ),
    FeatureSpec(
        "realised_vol_60m",
        "ln bp",
        steps.realised_vol,
        (*_NO_BAR, *window_start(60, 10)),
        3_660,
        ("mid",),
        "Andersen, Bollerslev, Diebold and Labys 2003, as a log",
    ),
    FeatureSpec(
        "vol_ratio",
        "1",
        steps.vol_ratio,
        (*_NO_BAR, *window_start(60, 10), *_NO_BAR, *(math.nan,) * 5),
        3_660,
        ("mid",),
        "ratio of realised volatilities, 5 over 60 minutes",
    ),
    FeatureSpec(
        "minute_sin", "1", steps.minute_of_day, (0.0,), 0, ("ts",), "time of day on the circle"
    ),
    FeatureSpec(
        "minute_cos", "1", steps.minute_of_day, (1.0,), 0, ("ts",), "time of day on the circle"
    ),
)
"""Every feature mlwb knows. Adding one is a step function and a row here."""

_BY_NAME = {spec.name: spec for spec in FEATURES}
_ESTIMATE = FeatureSpec(
    "spread_bp",
    "bp",
    steps.spread_estimate,
    (*_NO_BAR, math.nan, *window_start(60, 10)),
    3_660,
    ("high", "low", "close"),
    "Abdi and Ranaldo 2017, on minutes",
)
"""What ``spread_bp`` is where a market has no quotes."""


def feature_names() -> tuple[str, ...]:
    """Names of all features, in registry order."""
    return tuple(_BY_NAME)


def specs(names: Sequence[str], *, quoted: bool = True) -> tuple[FeatureSpec, ...]:
    """Specs by name, in the order asked for.

    Parameters
    ----------
    names : sequence of str
        Feature names.
    quoted : bool, default=True
        False where the market has no bid and ask: ``spread_bp`` is then the estimate, which
        makes it another feature with another digest.

    Returns
    -------
    tuple of FeatureSpec

    Raises
    ------
    UnknownParameterError
        A name is not a feature, or stands twice.
    """
    unknown = [name for name in names if name not in _BY_NAME]
    if unknown or len(set(names)) != len(names):
        raise UnknownParameterError(
            "features must be known and named once",
            expected=f"some of {', '.join(_BY_NAME)}",
            got=", ".join(unknown or names),
        )
    known = _BY_NAME if quoted else {**_BY_NAME, _ESTIMATE.name: _ESTIMATE}
    return tuple(known[name] for name in names)


def spec_digest(chosen: Sequence[FeatureSpec]) -> str:
    """sha256 of an ordered set of features: what was trained on is what must serve."""
    return digest([spec.digest for spec in chosen])
