"""Features over whole arrays: the step functions of the stream, compiled and folded.

The only door to numba. Never imported by the serving path and never re-exported by the room.
Compiled code is cached beside the package under a name that holds a digest of the step's source, so
an edited step is never answered by old machine code.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import numba
import numpy as np

from mlwb.core.arrays import Float2D
from mlwb.core.bars import BAR_FIELDS, INTERVAL_S, TS
from mlwb.core.errors import DataSchemaError, ParamsError
from mlwb.features._open import check_bars
from mlwb.features._spec import FeatureSpec, called_by
from mlwb.features._stream import FeatureStream

__all__ = ["check_compiled", "compute"]

_CHUNK = 1_024
"""Bars that all features are folded over before the next ones: they stay in the cache."""


def STEP(state: Any, bar: Any) -> float:  # noqa: ARG001, N802 - a placeholder, bound to a compiled step before use
    """Stand for the step a fold is compiled for."""
    return 0.0


def fold(bars: Any, state: Any, out: Any, column: int) -> None:
    """Run one step over bars in order."""
    for i in range(bars.shape[0]):
        b = bars[i]
        # a tuple, not the row: a field that a step does not read costs nothing
        bar = (b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10])
        out[i, column] = STEP(state, bar)


@numba.njit(cache=True)
def last_of(bars: Any, last: float) -> float:
    """Last time, where all increase on the minute grid from ``last`` on; else NaN."""
    for i in range(bars.shape[0]):
        ts = bars[i, TS]
        if not (last < ts < np.inf) or ts / INTERVAL_S != np.floor(ts / INTERVAL_S):
            return np.nan
        last = ts
    return last


def compute(chosen: Sequence[FeatureSpec], bars: Float2D) -> Float2D:
    """Compute features for every bar.

    Parameters
    ----------
    chosen : sequence of FeatureSpec
        What to compute, in column order.
    bars : ndarray of shape (n_bars, n_fields), float64
        Columns as in ``mlwb.core.bars.BAR_FIELDS``; ``ts`` strictly increasing, on the minute.

    Returns
    -------
    ndarray of shape (n_bars, n_features), float64
        Row t reads bars up to t only; NaN where a value is not known.
        Equal bit for bit to :class:`mlwb.features.FeatureStream`.

    Raises
    ------
    DataSchemaError
        Wrong number of columns, or times that do not increase on the minute grid.

    Examples
    --------
    >>> from mlwb.features import specs
    >>> bars = np.full((2, len(BAR_FIELDS)), np.nan)
    >>> bars[:, 0], bars[:, 1] = (0.0, 60.0), (100.0, 100.0)
    >>> compute(specs(["mid_logret_1m"]), bars)[1]
    array([0.])
    """
    bars = np.ascontiguousarray(bars, dtype=np.float64)
    if bars.ndim != 2 or bars.shape[1] != len(BAR_FIELDS):
        raise DataSchemaError(
            "not an array of bars", expected=f"{len(BAR_FIELDS)} columns", got=str(bars.shape)
        )
    out = np.empty((len(bars), len(chosen)))
    folds = [_compiled_fold(spec.step, spec.digest) for spec in chosen]
    states = [np.array(spec.start) for spec in chosen]
    last = -np.inf
    for start in range(0, len(bars), _CHUNK):
        part = slice(start, start + _CHUNK)
        last = last_of(bars[part], last)
        if np.isnan(last):
            raise DataSchemaError("bar times must increase on the minute grid")
        for column, (run, state) in enumerate(zip(folds, states, strict=True)):
            run(bars[part], state, out[part], column)
    return out


def check_compiled(chosen: Sequence[FeatureSpec]) -> None:
    """Compile features and hold them against the stream on a rough market.

    Features mlwb comes with need no such check; those of :func:`mlwb.features.load_features` do.

    Parameters
    ----------
    chosen : sequence of FeatureSpec
        What to check.

    Raises
    ------
    ParamsError
        numba cannot compile a step, or its values differ in a bit from the interpreted ones.
    """
    bars = np.array(check_bars())
    for spec in chosen:
        try:
            found = compute([spec], bars)[:, 0]
        except (numba.core.errors.NumbaError, ArithmeticError, TypeError, ValueError) as error:
            reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
            raise ParamsError(
                f"feature {spec.name!r}: numba cannot compile the step",
                expected="arithmetic and math on floats, one type a variable",
                got=reason.strip(),
            ) from error
        stream = FeatureStream([spec])
        online = np.array([stream.step(bar)[0] for bar in bars.tolist()])
        differs = np.flatnonzero((found != online) & ~(np.isnan(found) & np.isnan(online)))
        if len(differs):
            raise ParamsError(
                f"feature {spec.name!r}: the compiled step differs from the interpreted one",
                expected=repr(float(online[differs[0]])),
                got=repr(float(found[differs[0]])),
                todo="keep whole numbers and floats apart: int(x) where an index is meant",
            )


@cache
def _compiled_fold(step: Callable[..., float], code: str) -> Callable[..., None]:
    bound = _bind(step, code, {})
    compiled: Callable[..., None] = _jit(_renamed(fold, f"fold_{step.__name__}", code, STEP=bound))
    return compiled


def _bind(function: Callable[..., Any], code: str, known: dict[Callable[..., Any], Any]) -> Any:
    """Compile a function after the functions it calls, depth first."""
    if function not in known:
        called = {name: _bind(item, code, known) for name, item in called_by(function).items()}
        bound = _renamed(function, function.__name__, code, **called)
        known[function] = _jit(bound, inline="always")
    return known[function]


def _renamed(function: Callable[..., Any], name: str, code: str, **bound: Any) -> Any:
    copy = types.FunctionType(
        function.__code__, {**function.__globals__, **bound}, name, function.__defaults__
    )
    copy.__qualname__ = f"{name}_{code.removeprefix('sha256:')[:16]}"
    copy.__module__ = function.__module__
    return copy


def _jit(function: Callable[..., Any], *, inline: Literal["never", "always"] = "never") -> Any:
    return numba.njit(cache=True, fastmath=False, inline=inline)(function)
