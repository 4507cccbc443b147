"""Markets, label spans and JSON values for property tests, and the comparison of exact bits."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy import signal

from mlwb.core.arrays import Bool1D, Float1D, Float2D, FloatArray, Int1D
from mlwb.core.bars import (
    ASK,
    ASK_SIZE,
    BAR_FIELDS,
    BID,
    BID_SIZE,
    CLOSE,
    HIGH,
    LOW,
    MID,
    OPEN,
    TS,
    VOLUME,
)

__all__ = ["START", "ar1", "bars", "faded", "json_values", "label_spans", "same_bits", "walk_bars"]

START = 1_767_225_600
"""2026-01-01T00:00:00Z."""


def same_bits(left: FloatArray, right: FloatArray) -> bool:
    """True where both hold the same float64 bit patterns; any NaN equals any NaN."""
    plain = np.where(np.isnan(left), 0.0, left), np.where(np.isnan(right), 0.0, right)
    alike = bool(np.array_equal(np.isnan(left), np.isnan(right)))
    return alike and np.ascontiguousarray(plain[0]).tobytes() == plain[1].tobytes()


def ar1(n: int, phi: float, rng: np.random.Generator) -> Float1D:
    """A stationary AR(1) series with unit innovations."""
    out = np.empty(n)
    out[0] = rng.normal() / np.sqrt(1.0 - phi * phi)
    for i, shock in enumerate(rng.normal(size=n - 1), start=1):
        out[i] = phi * out[i - 1] + shock
    return out


def faded(decay: float, size: tuple[int, int], rng: np.random.Generator) -> Float2D:
    """Stationary AR(1) rows of unit variance."""
    shocks = rng.normal(size=size)
    shocks[:, 1:] *= np.sqrt(1.0 - decay * decay)
    return np.asarray(signal.lfilter([1.0], [1.0, -decay], shocks, axis=1))


def walk_bars(
    n: int, *, seed: int = 0, start: int = START, keep: Bool1D | None = None, holes: float = 0.0
) -> Float2D:
    """Bars of a random walk on a tick grid.

    Parameters
    ----------
    n : int
        Minutes before gaps are cut.
    seed : int
        Of everything random.
    start : int
        Open of the first minute, seconds since 1970.
    keep : ndarray of shape (n,), bool, optional
        Minutes that are there.
    holes : float
        Share of bars without volume, and as many without quotes.
    """
    rng = np.random.default_rng(seed)
    mid = np.round(1000.0 * np.exp(np.cumsum(rng.normal(0.0, 4e-4, n))), 2)
    wide = np.abs(rng.normal(0.0, 0.3, (2, n)))
    out = np.full((n, len(BAR_FIELDS)), np.nan)
    out[:, TS] = start + 60 * np.arange(n)
    out[:, MID] = out[:, CLOSE] = mid
    out[:, OPEN] = np.concatenate([mid[:1], mid[:-1]])
    out[:, HIGH] = np.maximum(out[:, OPEN], mid) + wide[0]
    out[:, LOW] = np.minimum(out[:, OPEN], mid) - wide[1]
    out[:, VOLUME] = np.round(rng.gamma(2.0, 5.0, n), 3)
    out[:, BID], out[:, ASK] = mid - 0.05 * rng.integers(0, 4, n), mid + 0.05
    out[rng.random(n) < holes, VOLUME] = np.nan
    out[rng.random(n) < holes, BID : ASK + 1] = np.nan
    out[:, BID_SIZE : ASK_SIZE + 1] = np.round(rng.gamma(2.0, 1.0, (n, 2)), 3)
    return out if keep is None else out[keep]


@st.composite
def bars(draw: st.DrawFn, max_minutes: int = 1_800) -> Float2D:
    """Bars with single gaps, long gaps, missing fields, flat stretches and any start minute."""
    n = draw(st.integers(1, max_minutes))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    keep = rng.random(n) >= draw(st.sampled_from([0.0, 0.01, 0.04, 0.3]))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, n - 1))
        keep[at : at + draw(st.sampled_from([1, 4, 5, 6, 60, 300]))] = False
    if not keep.any():
        keep[-1] = True
    start = START + 60 * draw(st.integers(0, 3_000))
    holes = draw(st.sampled_from([0.0, 0.05]))
    found = walk_bars(n, seed=seed, start=start, keep=keep, holes=holes)
    if draw(st.booleans()):
        flat = slice(len(found) // 3, 2 * len(found) // 3)
        found[flat, MID:VOLUME] = found[flat, MID:VOLUME][:1]
    found[rng.random(len(found)) < holes, MID] = np.nan
    return found


@st.composite
def label_spans(draw: st.DrawFn, max_rows: int = 120) -> tuple[Int1D, Int1D]:
    """Decision and resolution times: uneven steps, repeats, gaps, ends of any length."""
    n = draw(st.integers(20, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = rng.choice([0, 60, 60, 60, 120, 3_600], size=n)
    t0 = (START + np.cumsum(steps)).astype(np.int64)
    longest = draw(st.sampled_from([1, 5, 60, 600]))
    return t0, (t0 + 60 * rng.integers(1, longest + 1, size=n)).astype(np.int64)


def json_values() -> st.SearchStrategy[object]:
    """Any value canonical JSON can hold."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]))
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
        ),
        max_leaves=12,
    )
