"""Features from modules outside the package: read them, and refuse what a step must not do."""

from __future__ import annotations

import dis
import inspect
import math
import random
import re
import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from mlwb.core.bars import BAR_FIELDS, INTERVAL_S
from mlwb.core.canonical import digest_bytes
from mlwb.core.errors import ParamsError
from mlwb.core.imports import import_source
from mlwb.features._spec import FeatureSpec, called_by

__all__ = ["check_bars", "read_modules"]

Found = tuple[tuple[str, FeatureSpec], ...]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BUILTINS = frozenset({"abs", "bool", "float", "int", "len", "max", "min", "range", "round"})
_PLAIN = inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS | inspect.CO_NESTED
_REFUSED = {
    "IMPORT_NAME": "import inside a step",
    "STORE_GLOBAL": "global",
    "DELETE_GLOBAL": "global",
    "STORE_ATTR": "an attribute that is set",
    "MAKE_FUNCTION": "a function, lambda or comprehension inside a step",
    "RAISE_VARARGS": "raise",
    "SETUP_FINALLY": "try",
    "PUSH_EXC_INFO": "try or with",
    "BUILD_LIST": "a list",
    "BUILD_MAP": "a dictionary",
    "BUILD_SET": "a set",
    "FORMAT_VALUE": "text",
}
"""Instructions a step has no use for, and what they are in Python."""
_CHECK_BARS = 3_000
"""Two days of minutes: longer than the longest look-back that is checked here."""
_LATER = 700
"""Where a second stream begins, whose values must agree once the look-back has passed."""


def read_modules(modules: tuple[str, ...]) -> Found:
    """Checked specs of modules, each with the module it is from.

    Raises
    ------
    ParamsError
        See :func:`mlwb.features.load_features`.
    """
    return tuple((name, spec) for name in modules for spec in _features_of(name))


def _features_of(name: str) -> tuple[FeatureSpec, ...]:
    if not name.endswith(".py"):
        return _checked_module(name, "")
    path = Path(name).expanduser()
    try:
        return _checked_module(str(path.absolute()), digest_bytes(path.read_bytes()))
    except OSError as error:
        raise ParamsError(
            f"the feature file {path.name} cannot be read", got=error.strerror or "an error"
        ) from error


@cache
def _checked_module(name: str, content: str) -> tuple[FeatureSpec, ...]:  # noqa: ARG001 - of the cache's key
    """Import once for each content of a file; an edited file is another module."""
    module = _module(name)
    found = getattr(module, "FEATURES", None)
    origin = Path(name).name
    if not (isinstance(found, tuple) and found and all(isinstance(s, FeatureSpec) for s in found)):
        raise ParamsError(
            f"{origin} holds no features", expected="FEATURES, a tuple of FeatureSpec"
        )
    for spec in found:
        _check_facts(spec, origin)
        for function in _functions(spec.step):
            _check_code(spec, function, origin)
        _check_values(spec, origin)
    return found


def _module(name: str) -> types.ModuleType:
    try:
        return import_source(name)
    except (Exception, SystemExit) as error:  # whatever somebody else's module raises when read
        raise ParamsError(
            f"the feature module {Path(name).name} cannot be imported",
            got=f"{type(error).__name__}: {error}",
            todo="name an importable module, or a .py file by its path",
        ) from error


def _refuse(spec: FeatureSpec, origin: str, what: str, *, expected: str, got: str = "") -> None:
    raise ParamsError(f"feature {spec.name!r} of {origin}: {what}", expected=expected, got=got)


def _check_facts(spec: FeatureSpec, origin: str) -> None:
    facts = {
        "a name of small letters, digits and _": _NAME.fullmatch(spec.name),
        "a unit and a source": spec.unit and spec.source,
        "a look-back of whole minutes": spec.lookback_s >= 0 and not spec.lookback_s % INTERVAL_S,
        "inputs that are fields of a bar": set(spec.inputs) <= set(BAR_FIELDS),
        "a start state of floats": spec.start and all(type(x) is float for x in spec.start),
        "bounds in order": spec.bounds[0] <= spec.bounds[1],
        "a step(state, bar)": isinstance(spec.step, types.FunctionType)
        and len(inspect.signature(spec.step).parameters) == 2,
    }
    for fact, holds in facts.items():
        if not holds:
            _refuse(spec, origin, "the row is not complete", expected=fact)


def _functions(step: Callable[..., object]) -> Iterator[types.FunctionType]:
    """The step and what it calls, but for mlwb's own helpers."""
    seen: set[Callable[..., object]] = set()
    waiting = [step]
    while waiting:
        current = waiting.pop()
        if current in seen or not isinstance(current, types.FunctionType):
            continue
        seen.add(current)
        if not current.__module__.startswith("mlwb.features."):
            yield current
            waiting += called_by(current).values()


def _check_code(spec: FeatureSpec, function: types.FunctionType, origin: str) -> None:
    what = next(_offences(function), "")
    if what:
        _refuse(
            spec,
            origin,
            f"{function.__name__} uses {what}",
            expected="arithmetic, math, number constants and functions of the same kind",
        )


def _offences(function: types.FunctionType) -> Iterator[str]:
    code = function.__code__
    if code.co_freevars or code.co_flags & ~_PLAIN or function.__defaults__:
        yield "a closure, default, generator or coroutine"
    for line in dis.get_instructions(code):
        name = str(line.argval)
        if line.opname in _REFUSED:
            yield _REFUSED[line.opname]
        elif line.opname in {"LOAD_ATTR", "LOAD_METHOD"} and not hasattr(math, name):
            yield f".{name}"
        elif line.opname in {"LOAD_GLOBAL", "LOAD_NAME"} and not _is_plain(function, name):
            yield name


def _is_plain(function: types.FunctionType, name: str) -> bool:
    if name not in function.__globals__:
        return name in _BUILTINS
    value = function.__globals__[name]
    plain = isinstance(value, (types.FunctionType, int, float)) or value is math
    return plain or (isinstance(value, types.BuiltinFunctionType) and value.__module__ == "math")


def _check_values(spec: FeatureSpec, origin: str) -> None:
    """Fold it over a rough market, and again from a later start."""
    bars = check_bars()
    try:
        first, later = _run(spec, bars), _run(spec, bars[_LATER:])
    except Exception as error:  # noqa: BLE001 - whatever somebody else's step raises
        _refuse(
            spec,
            origin,
            "the step fails on a market with gaps, missing fields and flat prices",
            expected="a float for every bar, math.nan where the value is not known",
            got=f"{type(error).__name__}: {error}",
        )
        return
    _check_bounds(spec, origin, first)
    warm = bars[_LATER][0] + spec.lookback_s
    if bars[-1][0] < warm:
        return
    tail = [row for row, bar in enumerate(bars) if bar[0] >= warm and row >= _LATER]
    if any(first[row] != later[row - _LATER] for row in tail):
        _refuse(
            spec,
            origin,
            "the value depends on bars before its look-back",
            expected=f"a look-back of more than {spec.lookback_s} s, or sums over a window",
        )
    if all(first[row] == repr(math.nan) for row in tail):
        _refuse(spec, origin, "the value is never known", expected="a number on a plain market")


def _check_bounds(spec: FeatureSpec, origin: str, values: Sequence[str]) -> None:
    low, high = spec.bounds
    beyond = [text for text in values if float(text) < low or float(text) > high]
    if beyond:
        _refuse(
            spec,
            origin,
            "the value passes the bounds of its row",
            expected=f"{low:g} .. {high:g}",
            got=beyond[0],
        )


def _run(spec: FeatureSpec, bars: Sequence[Sequence[float]]) -> list[str]:
    """Values as exact text, so that NaN equals NaN."""
    state = list(spec.start)
    out = []
    for bar in bars:
        value = spec.step(state, bar)
        if type(value) is not float or math.isinf(value):
            raise TypeError(f"the step returned {value!r}")
        out.append(repr(value))
    if len(state) != len(spec.start) or any(type(x) is not float for x in state):
        raise TypeError("the state must stay a list of as many floats")
    return out


@cache
def check_bars() -> tuple[tuple[float, ...], ...]:
    """Bars of a rough market: gaps, missing fields, flat stretches, a jump; the same every time."""
    draw = random.Random(1)  # noqa: S311 - a fixed market, not a secret
    mid, out = 1_000.0, []
    for minute in range(_CHECK_BARS):
        flat = 1_200 <= minute < 1_260
        mid = mid if flat else round(mid * math.exp(draw.gauss(0.0, 4e-4)), 2)
        mid = mid * 1.05 if minute == 1_500 else mid
        high, low = mid + abs(draw.gauss(0.0, 0.2)), mid - abs(draw.gauss(0.0, 0.2))
        sizes = draw.uniform(0.0, 5.0), draw.uniform(0.0, 5.0)
        volume = 0.0 if flat else round(draw.expovariate(0.1), 3)
        bar = [60.0 * minute, mid, mid, high, low, mid, volume, mid - 0.05, mid + 0.05, *sizes]
        if draw.random() < 0.01:
            bar[draw.randrange(1, len(bar))] = math.nan
        if draw.random() > 0.01 and not 1_800 <= minute < 1_850:
            out.append(tuple(bar))
    return tuple(out)
