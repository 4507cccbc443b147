"""Counts to calibrated readings: every feature, their mean, its weeks, the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlwb.core.arrays import Float1D, Int1D, Int2D
from mlwb.core.clock import DAY_S
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import (
    BlockCounts,
    FeatureReference,
    bin_counts,
    count_blocks,
    out_of_range,
    psi_of_counts,
    split_missing,
)
from mlwb.drift.battery import second_opinions
from mlwb.drift.calibration import (
    BlockNull,
    Calibrated,
    block_null,
    calibrate,
    gateable_days,
    is_gateable,
    reading,
)
from mlwb.drift.multivariate import classifier_test, pca_test
from mlwb.drift.planning import Plan, plan
from mlwb.drift.recent import against_previous
from mlwb.stages._psi_validation_inputs import Inputs, Limits
from mlwb.stages._psi_validation_result import AllAtOnce, Drifted, Missing, Rolling
from mlwb.stages.market import Prepared
from mlwb.stats import benjamini_hochberg, holm

__all__ = ["all_at_once", "drifted", "is_averaged", "rolling"]

ROLLING_DAYS = 7
"""Length of the rolling window (requirements: 7-day rolling PSI)."""


def drifted(inputs: Inputs, names: Sequence[str], limit: float) -> tuple[Drifted, ...]:
    """Columns against their references, p values adjusted over those that can be judged.

    Parameters
    ----------
    inputs : Inputs
        Held-out values and references.
    names : sequence of str
        Columns that are one family of tests.
    limit : float
        PSI each is held against, nats.

    Returns
    -------
    tuple of Drifted
    """
    return _read([_Held.of(inputs, name) for name in names], limit, inputs.limits)


@dataclass(frozen=True)
class _Held:
    """A column against its frozen reference, before p values are adjusted over columns."""

    frozen: FeatureReference
    blocks: BlockCounts
    calibrated: Calibrated
    missing: Missing | None

    @classmethod
    def of(cls, inputs: Inputs, name: str) -> _Held:
        frozen = inputs.reference.features[name]
        blocks = count_blocks(frozen.bins.edges, inputs.current[name], inputs.ts)
        is_feature = name in inputs.prepared.names
        missing = _missing(inputs, frozen, blocks) if is_feature else None
        return cls(frozen, blocks, calibrate(frozen, blocks), missing)


def _read(held: Sequence[_Held], limit: float, limits: Limits) -> tuple[Drifted, ...]:
    """Readings after Holm over the columns that can be judged; the rest has no part in it."""
    known = {item.frozen.name: p for item in held if (p := item.calibrated.p_value) is not None}
    judged = {
        item.frozen.name: known[item.frozen.name]
        for item in held
        if is_gateable(item.calibrated, limit)
    }
    p_holm, q_bh = _adjusted(holm, judged), _adjusted(benjamini_hochberg, known)
    recent = {item.frozen.name: against_previous(item.frozen, item.blocks) for item in held}
    lately = {name: p for name, r in recent.items() if r and (p := r.p_value) is not None}
    q_recent = _adjusted(benjamini_hochberg, lately)
    return tuple(
        Drifted(
            frozen=item.frozen,
            blocks=item.blocks,
            calibrated=item.calibrated,
            limit=limit,
            reading=reading(
                item.calibrated,
                limit,
                p_adjusted=p_holm.get(item.frozen.name),
                level=limits.level,
                sure=limits.sure,
            ),
            p_holm=p_holm.get(item.frozen.name),
            q_bh=q_bh.get(item.frozen.name),
            gateable_days=gateable_days(item.frozen, limit),
            plan=_plan(item, limit, limits.level),
            recent=recent[item.frozen.name],
            q_recent=q_recent.get(item.frozen.name),
            others=second_opinions(item.frozen, item.blocks, item.calibrated.null),
            missing=item.missing,
        )
        for item in held
    )


def _adjusted(
    adjust: Callable[[Float1D], Float1D], p_values: Mapping[str, float]
) -> dict[str, float]:
    adjusted = adjust(np.asarray(list(p_values.values()), dtype=np.float64))
    return dict(zip(p_values, adjusted.tolist(), strict=True))


def _plan(held: _Held, limit: float, level: float) -> Plan | None:
    """What this window can show at all; a constant needs none."""
    if held.calibrated.null is None or held.frozen.bins.n_bins == 1:
        return None
    return plan(held.frozen, days=len(held.blocks.days), limit=limit, level=level)


def all_at_once(inputs: Inputs, names: Sequence[str]) -> AllAtOnce | None:
    """Tests on whole rows: full days of the training window against the held-out ones.

    Parameters
    ----------
    inputs : Inputs
        Held-out values, and the market that training saw.
    names : sequence of str
        Features that vary and are no function of the clock.

    Returns
    -------
    AllAtOnce or None
        None where the training window is too short, or no feature is left.
    """
    prepared = inputs.prepared
    if not names:
        return None
    frozen = inputs.reference.features[names[0]].blocks
    rows = prepared.complete & (prepared.ts < prepared.windows.train_end)
    rows &= np.isin(prepared.ts // DAY_S, frozen.days)
    columns = [prepared.names.index(name) for name in names]
    before = (prepared.X[rows][:, columns], prepared.ts[rows])
    now = (np.column_stack([inputs.current[name] for name in names]), inputs.ts)
    try:
        return AllAtOnce(classifier_test(before, now, names), pca_test(before, now))
    except EmptyWindowError:
        return None


def is_averaged(item: Drifted, prepared: Prepared) -> bool:
    """Whether a feature belongs in the mean: a constant or a clock would only dilute it."""
    spec = next(spec for spec in prepared.specs if spec.name == item.name)
    return item.reference.n_bins > 1 and set(spec.inputs) - {"ts"} != set()


def rolling(features: Sequence[Drifted]) -> Rolling:
    """The mean of every seven held-out days in a row, and of every seven of the reference."""
    days, width = features[0].blocks.days, ROLLING_DAYS
    ends = (days[width - 1 :] + 1) * DAY_S
    values = [_scores(item.reference.counts, item.blocks.daily, width) for item in features]
    try:
        nulls = [
            block_null(item.name, item.frozen.blocks.daily, window_blocks=width)
            for item in features
        ]
    except EmptyWindowError:
        return Rolling(width, ends, np.mean(values, axis=0), None)
    return Rolling(width, ends, np.mean(values, axis=0), _mean_of(nulls))


def _mean_of(nulls: Sequence[BlockNull]) -> BlockNull:
    """Null of a mean over features: window by window, since they move together."""
    return replace(
        nulls[0],
        scores=np.mean([null.scores for null in nulls], axis=0),
        memory=float(np.mean([null.memory for null in nulls])),
    )


def _scores(reference: Int1D, daily: Int2D, width: int) -> Float1D:
    windows = _windows(daily, width)
    return np.asarray([psi_of_counts("", reference, window).value for window in windows])


def _windows(daily: Int2D, width: int) -> Int2D:
    """Counts of every so many days in a row; shape (n_windows, n_cells)."""
    running = np.cumsum(np.vstack([0 * daily[:1], daily]), axis=0)
    return np.asarray(running[width:] - running[:-width], dtype=np.int64)


def _missing(inputs: Inputs, frozen: FeatureReference, blocks: BlockCounts) -> Missing:
    """All bars of the compared days, those without a value among them."""
    values, ts = inputs.prepared.column(frozen.name), inputs.prepared.ts
    cut, days = inputs.prepared.windows.train_end, ts // DAY_S
    before = bin_counts(frozen.bins.edges, values[(ts < cut) & np.isin(days, frozen.blocks.days)])
    now = bin_counts(frozen.bins.edges, values[(ts >= cut) & np.isin(days, blocks.days)])
    below, above = out_of_range(frozen.bins, inputs.current[frozen.name])
    return Missing(before, now, split_missing(before, now), below, above)
