"""What a feature is called, measured in and made of; its digest is the code itself."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from mlwb.core.canonical import digest
from mlwb.features._window import Bar, State

__all__ = ["WINSOR", "FeatureSpec", "called_by", "spec_digest"]

Step = Callable[[State, Bar], float]

WINSOR = (0.005, 0.995)
"""Quantiles of training values that a model clips features to (requirements: percentiles 0.5 and
99.5); fitted inside each fold, nodes of the ONNX graph."""


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
    bounds : tuple of (float, float), default=(-inf, inf)
        Ends, inclusive, that no known value can pass by definition, rounding included; a server
        refuses what lies beyond. They follow from the step and are no part of the digest.
    """

    name: str
    unit: str
    step: Step
    start: tuple[float, ...]
    lookback_s: int
    inputs: tuple[str, ...]
    source: str
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @cached_property
    def digest(self) -> str:
        """sha256 over name, unit, start state and the source text of the step and its helpers."""
        code = _source_of(self.step)
        return digest([self.name, self.unit, [repr(x) for x in self.start], code])


def called_by(function: Callable[..., object]) -> dict[str, types.FunctionType]:
    """Functions of its module that a function names, by the name it uses."""
    scope = getattr(function, "__globals__", {})
    named = {name: scope.get(name) for name in function.__code__.co_names}
    return {name: item for name, item in named.items() if isinstance(item, types.FunctionType)}


@cache
def _source_of(function: Callable[..., object]) -> list[list[str]]:
    found: dict[Callable[..., object], list[str]] = {}
    waiting = [function]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        scope = getattr(current, "__globals__", {})
        constants = [
            f"{name} = {scope[name]!r}"
            for name in current.__code__.co_names
            if isinstance(scope.get(name), (int, float))
        ]
        found[current] = [inspect.getsource(current), *constants]
        waiting += called_by(current).values()
    return list(found.values())


def spec_digest(chosen: Sequence[FeatureSpec]) -> str:
    """sha256 of an ordered set of features: what was trained on is what must serve."""
    return digest([spec.digest for spec in chosen])
