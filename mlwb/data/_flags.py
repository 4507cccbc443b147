"""The quality bits of each bar, from its values and its neighbours."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.data._market import VALUE_FIELDS, Quality
from mlwb.data._rows import INTERVAL_NS

__all__ = ["SPIKE_SCALES", "STALE_RUN_BARS", "flag_bars", "present_fields", "runs_of"]

STALE_RUN_BARS = 5
"""A quiet minute is ordinary; five in a row without a trade or a move are an outage."""
SPIKE_SCALES = 30.0
"""Robust standard deviations. On 840,000 recorded bars the largest genuine move that the next
minute took back was 22, at a central bank's press conference."""
_SPIKE_NET = 0.25
_SCALE_BARS = 1440
_NORMAL_MAD = 1.4826
_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME, _BID, _ASK, *_SIZES = range(len(VALUE_FIELDS))
_PRICES = [_OPEN, _HIGH, _LOW, _CLOSE, _BID, _ASK]
_AMOUNTS = [_VOLUME, *_SIZES]


def present_fields(values: Float2D) -> Bool1D:
    """Which columns of :data:`VALUE_FIELDS` a source has: any number in them."""
    return np.asarray(~np.all(np.isnan(values), axis=0))


def flag_bars(ts_ns: Int1D, values: Float2D) -> Int1D:
    """:class:`Quality` bits that follow from the bars themselves.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_bars,), int64
        Sorted and unique.
    values : ndarray of shape (n_bars, 9), float64
        As read: NaN and infinities included.

    Returns
    -------
    ndarray of shape (n_bars,), int64
    """
    present = present_fields(values)
    columns = np.ascontiguousarray(values.T)  # a third of the time: each column is read whole
    o, h, low, c = columns[_OPEN], columns[_HIGH], columns[_LOW], columns[_CLOSE]
    bid, ask = columns[_BID], columns[_ASK]
    bits = np.zeros(len(values), dtype=np.int64)
    bits[~np.isfinite(columns[present]).all(axis=0)] |= Quality.NON_FINITE
    is_wrong_sign = (columns[_PRICES] <= 0).any(axis=0) | (columns[_AMOUNTS] < 0).any(axis=0)
    bits[is_wrong_sign] |= Quality.NON_POSITIVE
    bits[(h < o) | (h < c) | (h < low) | (low > o) | (low > c)] |= Quality.OHLC
    bits[ask < bid] |= Quality.CROSSED
    bits[ask == bid] |= Quality.LOCKED
    bits[_stale(ts_ns, values, has_volume=bool(present[_VOLUME]))] |= Quality.STALE
    bits[_spikes(ts_ns, c)] |= Quality.SPIKE
    return bits


def runs_of(mask: Bool1D) -> tuple[Int1D, Int1D]:
    """Starts and lengths of the runs of True.

    Examples
    --------
    >>> runs_of(np.array([True, False, True, True]))
    (array([0, 2]), array([1, 2]))
    """
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    starts = np.flatnonzero(edges == 1)
    return starts, np.flatnonzero(edges == -1) - starts


def _stale(ts_ns: Int1D, values: Float2D, *, has_volume: bool) -> Bool1D:
    """Bars in runs without a trade at an unchanged price.

    Where the source has no volume, nothing of the bar may have moved, quotes and sizes included.
    """
    is_next = np.concatenate([[False], np.diff(ts_ns) == INTERVAL_NS])
    prices = values[:, : _CLOSE + 1]
    is_frozen = is_next & (prices == np.roll(values[:, [_CLOSE]], 1, axis=0)).all(axis=1)
    if has_volume:
        is_frozen &= values[:, _VOLUME] == 0
    else:
        quotes = values[:, [_BID, _ASK, *_SIZES]]
        is_same = (quotes == np.roll(quotes, 1, axis=0)) | np.isnan(quotes)
        is_frozen &= is_same.all(axis=1)
    starts, lengths = runs_of(is_frozen)
    stale = np.zeros(len(values), dtype=bool)
    for start, length in zip(starts, lengths, strict=True):
        stale[start : start + length] = length >= STALE_RUN_BARS
    return stale


def _spikes(ts_ns: Int1D, close: Float1D) -> Bool1D:
    """Bars whose move beyond ``SPIKE_SCALES`` the next bar takes back."""
    spikes = np.zeros(len(close), dtype=bool)
    if len(close) < 3:
        return spikes
    is_usable = np.isfinite(close) & (close > 0)
    moves = np.diff(np.log(np.where(is_usable, close, np.nan)))
    moves[np.diff(ts_ns) != INTERVAL_NS] = np.nan
    limit = SPIKE_SCALES * _day_scale(moves)
    there, back, limit = moves[:-1], moves[1:], limit[:-1]
    size = np.fmin(np.abs(there), np.abs(back))
    is_taken_back = np.abs(there + back) <= _SPIKE_NET * np.fmax(np.abs(there), np.abs(back))
    spikes[1:-1] = (limit > 0) & (size > limit) & is_taken_back
    return spikes


def _day_scale(moves: Float1D) -> Float1D:
    """1.4826 x median |move| of the day around, at least the whole sample's."""
    padded = np.full(-(-len(moves) // _SCALE_BARS) * _SCALE_BARS, np.nan)
    padded[: len(moves)] = np.abs(moves)
    days = padded.reshape(-1, _SCALE_BARS)
    has_any = ~np.isnan(days).all(axis=1)
    if not has_any.any():
        return np.zeros(len(moves))
    scale = np.zeros(len(days))
    scale[has_any] = np.nanmedian(days[has_any], axis=1)
    whole = float(np.nanmedian(padded))
    return np.repeat(_NORMAL_MAD * np.maximum(scale, whole), _SCALE_BARS)[: len(moves)]
