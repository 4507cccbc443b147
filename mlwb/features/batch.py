"""Features over whole arrays: the step functions of the stream, compiled and folded.

The only door to numba. Never imported by the serving path and never re-exported by the room.
Compiled code is cached beside the package under a name that holds a digest of the step's source, so
an edited step is never answered by old machine code.
"""

from __future__ import annotations

import math
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
from mlwb.features._spec import FeatureSpec, called_by, spec_digest
from mlwb.features._stream import FeatureStream

__all__ = ["check_compiled", "compute"]

_CHUNK = 1_024
"""Bars that all features are folded over before the next ones: they stay in the cache."""
_MANY = 50_000
"""Bars from which all features are compiled into one loop, where their chains of arithmetic overlap
in the processor. Below, each has a loop of its own, which any choice of features shares, so that a
small table does not wait for the compiler."""
_LATEST = 2.0**53
"""Seconds beyond which a float is no exact number of seconds."""


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
    groups = [tuple(chosen)] if len(bars) >= _MANY else [(spec,) for spec in chosen]
    folds = [(_compiled_fold(group), [np.array(spec.start) for spec in group]) for group in groups]
    last, chunk = -np.inf, max(len(bars), 1) if len(groups) == 1 else _CHUNK
    for start in range(0, len(bars), chunk):
        part = slice(start, start + chunk)
        column, until = 0, last
        for run, states in folds:
            until = run(bars[part], out[part, column:], last, *states)
            column += len(states)
        if np.isnan(until):
            raise DataSchemaError("bar times must increase on the minute grid")
        last = until
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
def _compiled_fold(group: tuple[FeatureSpec, ...]) -> Callable[..., float]:
    code = spec_digest(group)
    steps = {f"STEP{k}": _bind(spec.step, spec.digest, {}) for k, spec in enumerate(group)}
    written: dict[str, Any] = {}
    text = compile(_fold_source(len(group)), __file__, "exec")
    exec(text, {"math": math, "__name__": __name__}, written)  # noqa: S102 - our own text
    folded = _renamed(written["fold"], f"fold_{len(group)}", code, **steps)
    compiled: Callable[..., float] = _jit(folded)
    return compiled


def _fold_source(n_steps: int) -> str:
    """One loop over bars that runs some steps, and the last time, NaN where times do not increase.

    Written out, since numba follows neither a list of functions nor a tuple of states as fast. The
    bar is a tuple, not a row of the array: a field that no step reads costs nothing.
    """
    states = ", ".join(f"s{k}" for k in range(n_steps))
    fields = ", ".join(f"bars[i, {k}]" for k in range(len(BAR_FIELDS)))
    lines = [
        f"def fold(bars, out, last, {states}):",
        "    for i in range(bars.shape[0]):",
        f"        ts = bars[i, {TS}]",
        "        second = int(ts)",
        f"        if not (last < ts < {_LATEST}) or second != ts or second % {INTERVAL_S}:",
        "            return math.nan",
        "        last = ts",
        f"        bar = ({fields})",
        *(f"        out[i, {k}] = STEP{k}(s{k}, bar)" for k in range(n_steps)),
        "    return last",
    ]
    return "\n".join(lines)


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
