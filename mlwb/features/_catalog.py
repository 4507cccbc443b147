"""The features mlwb comes with, and finding a feature by name there and in modules of one's own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlwb.core.clock import DAY_S
from mlwb.core.errors import ParamsError, UnknownParameterError
from mlwb.features import _steps as steps
from mlwb.features._open import read_modules
from mlwb.features._spec import FeatureSpec
from mlwb.features._window import window_start

__all__ = ["FEATURES", "feature_names", "load_features", "specs"]


def _logret(lag: int) -> tuple[float, ...]:
    return (float(lag), -1.0, 0.0) + (math.nan,) * (lag + 1)


_NO_BAR = (-2.0, math.nan)
_RSI_S = 60_000
"""Wilder's averages forget by 13/14 a bar: after 1,000 bars nothing of the start is left."""
_NOT_NEGATIVE = (0.0, math.inf)
_ON_CIRCLE = (-1.0, 1.0)
_RSI_BOUNDS = (-1.67, 1.67)
"""(0 - 50) / 30 and (100 - 50) / 30, rounded outwards."""
_ZSCORE_BOUNDS = (-38.0, 38.0)
"""Of n numbers none is further than sqrt(n - 1) standard deviations from their mean: 37.93."""
_LOG_VOL_BOUNDS = (math.log(steps.RMS_FLOOR_BP), math.inf)
_VOL_RATIO_BOUNDS = (-math.inf, 1.5)
"""The squares of 3 returns are no more than those of all 60: ln(sqrt(60 / 3)) = 1.498."""

FEATURES: tuple[FeatureSpec, ...] = (
    FeatureSpec("bias", "1", steps.bias, (0.0,), 0, (), "requirements", (1.0, 1.0)),
    FeatureSpec("mid_logret_1m", "1", steps.mid_logret_1m, _NO_BAR, 60, ("mid",), "requirements"),
    FeatureSpec("mid_logret_5m", "1", steps.mid_logret, _logret(5), 300, ("mid",), "requirements"),
    FeatureSpec(
        "spread_bp",
        "bp",
        steps.spread_bp,
        (0.0,),
        0,
        ("bid", "ask", "mid"),
        "requirements",
        _NOT_NEGATIVE,
    ),
    FeatureSpec(
        "vol1m_log",
        "ln(1 + volume)",
        steps.log_volume,
        (0.0,),
        0,
        ("volume",),
        "requirements",
        _NOT_NEGATIVE,
    ),
    FeatureSpec(
        "rsi14_z",
        "1",
        steps.rsi14_z,
        (0.0, math.nan, -1.0, 0.0, 0.0),
        _RSI_S,
        ("mid",),
        "Wilder 1978, scaled as the requirements do",
        _RSI_BOUNDS,
    ),
    FeatureSpec(
        "zscore_mid_24h",
        "1",
        steps.zscore_mid,
        window_start(1440, 60, centred=True),
        DAY_S,
        ("mid",),
        "requirements",
        _ZSCORE_BOUNDS,
    ),
    FeatureSpec(
        "realised_vol_60m",
        "ln bp",
        steps.realised_vol,
        (*_NO_BAR, *window_start(60, 10)),
        3_660,
        ("mid",),
        "Andersen, Bollerslev, Diebold and Labys 2003, as a log",
        _LOG_VOL_BOUNDS,
    ),
    FeatureSpec(
        "vol_ratio",
        "1",
        steps.vol_ratio,
        (*_NO_BAR, *window_start(60, 10), *_NO_BAR, *(math.nan,) * 5),
        3_660,
        ("mid",),
        "ratio of realised volatilities, 5 over 60 minutes",
        _VOL_RATIO_BOUNDS,
    ),
    FeatureSpec(
        "minute_sin",
        "1",
        steps.minute_of_day,
        (0.0,),
        0,
        ("ts",),
        "time of day on the circle",
        _ON_CIRCLE,
    ),
    FeatureSpec(
        "minute_cos",
        "1",
        steps.minute_of_day,
        (1.0,),
        0,
        ("ts",),
        "time of day on the circle",
        _ON_CIRCLE,
    ),
    FeatureSpec(
        "book_imbalance",
        "1",
        steps.book_imbalance,
        (0.0,),
        0,
        ("bid_size", "ask_size"),
        "Cont, Kukanov and Stoikov 2014, at the touch",
        _ON_CIRCLE,
    ),
)
"""The features mlwb comes with."""

_BY_NAME = {spec.name: spec for spec in FEATURES}
_ESTIMATE = FeatureSpec(
    "spread_bp",
    "bp",
    steps.spread_estimate,
    (*_NO_BAR, math.nan, *window_start(60, 10)),
    3_660,
    ("high", "low", "close"),
    "Abdi and Ranaldo 2017, on minutes",
    _NOT_NEGATIVE,
)
"""What ``spread_bp`` is where a market has no quotes."""


def load_features(modules: Sequence[str]) -> tuple[FeatureSpec, ...]:
    """Features of modules outside the package, checked; nothing is registered.

    Parameters
    ----------
    modules : sequence of str
        Names of importable modules, or paths of ``.py`` files, each with a tuple ``FEATURES``.

    Returns
    -------
    tuple of FeatureSpec
        In the order of the modules and their tuples.

    Raises
    ------
    ParamsError
        A module cannot be read, a name is taken, a spec is incomplete, or a step breaks a rule:
        it uses more than arithmetic and :mod:`math`, returns something else than a float, or
        needs more bars than its look-back says.
    """
    found = read_modules(tuple(modules))
    taken = dict.fromkeys(_BY_NAME, "mlwb")
    for origin, spec in found:
        if spec.name in taken:
            raise ParamsError(
                f"feature {spec.name!r} of {origin} has a name that is taken",
                expected="a name of its own",
                got=f"one of {taken[spec.name]}",
            )
        taken[spec.name] = origin
    return tuple(spec for _, spec in found)


def feature_names() -> tuple[str, ...]:
    """Names of the features mlwb comes with, in order."""
    return tuple(_BY_NAME)


def specs(
    names: Sequence[str], *, quoted: bool = True, modules: Sequence[str] = ()
) -> tuple[FeatureSpec, ...]:
    """Specs by name, in the order asked for.

    Parameters
    ----------
    names : sequence of str
        Feature names.
    quoted : bool, default=True
        False where the market has no bid and ask: ``spread_bp`` is then the estimate, which
        makes it another feature with another digest.
    modules : sequence of str, default=()
        Modules or ``.py`` files that hold further features; see :func:`load_features`.

    Returns
    -------
    tuple of FeatureSpec

    Raises
    ------
    UnknownParameterError
        A name is not a feature, or stands twice.
    ParamsError
        A module cannot be taken.
    """
    known = {**_BY_NAME, **{spec.name: spec for spec in load_features(modules)}}
    if not quoted:
        known[_ESTIMATE.name] = _ESTIMATE
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) != len(names):
        raise UnknownParameterError(
            "features must be known and named once",
            expected=f"some of {', '.join(known)}",
            got=", ".join(unknown or names),
        )
    return tuple(known[name] for name in names)
