"""Stage 01: what the market is like, what the features are, and whether they know anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlwb.backtest import half_spread_cost
from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.clock import DAY_S, Clock
from mlwb.data import quality
from mlwb.evidence import Record, new_record
from mlwb.features import specs
from mlwb.features.batch import compute
from mlwb.features.labels import Labels, forward_return
from mlwb.features.regimes import REGIMES, fit_regimes, regime_inputs, regime_of
from mlwb.gates import Verdict
from mlwb.params import FeatureStudyParams, Policy
from mlwb.stages._feature_study_metrics import study_details, study_metrics
from mlwb.stages._feature_study_result import Inputs, Result
from mlwb.stages._quality_metrics import quality_record
from mlwb.stages.common import (
    context,
    judge_gates,
    next_version,
    policy_of,
    registry_of,
    store_of,
    write_all,
)
from mlwb.stages.market import market_inputs, market_origin, prepare
from mlwb.study import (
    Costed,
    Eligibility,
    Information,
    RegimeStudy,
    Stationarity,
    adjusted,
    clipping,
    daily,
    decay,
    describe,
    eligibility,
    ic_after_costs,
    information,
    memory,
    on_grid,
    redundancy,
    regime_study,
    stationarity_of_all,
)

__all__ = ["Inputs", "Result", "judge", "load", "measure", "record", "run"]

GATES = ("data",)


def load(params: FeatureStudyParams) -> Inputs:
    """Read the market and the PSI limit, compute features and labels."""
    prepared = prepare(params.data, params.features.names, params.window, params.features.modules)
    registry = registry_of(params.run)
    version = params.run.model_version or next_version(registry)
    limit = float(policy_of(params.run).limit("psi.feature").value)
    return Inputs(params, prepared, prepared.labels(params.label), version, limit)


def measure(inputs: Inputs) -> Result:
    """Describe the market and every feature on the training window.

    Clip bounds and regime cuts are fitted before ``champion_end``, as the champion would have
    them, and looked at between there and ``train_end``.
    """
    window = _Window.of(inputs)
    prepared, label = inputs.prepared, inputs.params.label
    clocks = [spec.name for spec in prepared.specs if set(spec.inputs) == {"ts"}]
    tested = stationarity_of_all(window.named, clocks=clocks)
    target = window.target(label.horizon_s)
    days = prepared.ts[window.rows] // DAY_S
    grids = dict(
        zip(prepared.names, on_grid(prepared.ts[window.rows], *window.columns), strict=True)
    )
    (target_grid,) = on_grid(prepared.ts[window.rows], target)
    varying = [name for name, values in window.named if _varies(values)]
    return Result(
        inputs=inputs,
        quality=quality(prepared.market),
        distributions=tuple(describe(name, values) for name, values in window.named),
        clipping=tuple(
            clipping(name, values[window.earlier], values[~window.earlier])
            for name, values in window.named
        ),
        stationarity=tested,
        memory=tuple(memory(name, values) for name, values in grids.items()),
        eligibility=tuple(_eligibility(inputs, tested)),
        information=adjusted(_information(window, varying)),
        daily=tuple(daily(name, window[name], target, days) for name in varying),
        decay=tuple(decay(name, grids[name], target_grid) for name in varying),
        costs=tuple(_costs(window, varying)),
        regimes=_regimes(window, varying),
        redundancy=redundancy(prepared.X[window.rows & prepared.complete], prepared.names),
        base_rate=window.base_rate,
    )


def record(result: Result, params: FeatureStudyParams, clock: Clock) -> tuple[Record, ...]:
    """Write data quality and feature study."""
    inputs = result.inputs
    shared = context(
        "feature_study",
        params,
        clock,
        version=inputs.version,
        origin=market_origin(inputs.prepared),
        inputs=market_inputs(inputs.prepared),
    )
    return write_all(
        store_of(params.run),
        [
            quality_record(inputs.prepared, result.quality, shared),
            new_record(
                "feature_study", study_metrics(result), shared, details=study_details(result)
            ),
        ],
    )


def judge(records: Sequence[Record], policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """Ask the data gate."""
    return judge_gates(GATES, records, policy, clock)


def run(params: FeatureStudyParams, policy: Policy, clock: Clock) -> tuple[Verdict, ...]:
    """All four verbs."""
    return judge(record(measure(load(params)), params, clock), policy, clock)


class _Window:
    """The training window of a study, cut to rows once."""

    def __init__(self, inputs: Inputs, rows: Bool1D, earlier: Bool1D) -> None:
        self.inputs, self.rows, self.earlier = inputs, rows, earlier
        self.columns: list[Float1D] = list(inputs.prepared.X[rows].T)
        self.named = list(zip(inputs.prepared.names, self.columns, strict=True))

    @classmethod
    def of(cls, inputs: Inputs) -> _Window:
        ts, windows = inputs.prepared.ts, inputs.prepared.windows
        rows = ts < windows.train_end
        return cls(inputs, rows, ts[rows] < windows.champion_end)

    def __getitem__(self, name: str) -> Float1D:
        return self.columns[self.inputs.prepared.names.index(name)]

    def forward(self, horizon_s: int) -> Float1D:
        """Coming return; NaN where it is resolved only after the window."""
        prepared = self.inputs.prepared
        forward = forward_return(prepared.bars, horizon_s)[self.rows]
        end = prepared.ts[self.rows] + INTERVAL_S + horizon_s
        is_resolved = end <= prepared.windows.train_end
        return np.asarray(np.where(is_resolved, forward, np.nan), dtype=np.float64)

    def target(self, horizon_s: int) -> Float1D:
        """What features are held against: the coming return, or its size."""
        forward = self.forward(horizon_s)
        return np.abs(forward) if self.inputs.params.label.kind == "volatility" else forward

    @property
    def y(self) -> Float1D:
        """Label of each row; NaN where it has none, or one that is resolved after the window."""
        labels: Labels = self.inputs.labels
        known = labels.valid & (labels.t1 <= self.inputs.prepared.windows.train_end)
        return np.where(known, labels.y, np.nan)[self.rows]

    @property
    def base_rate(self) -> float:
        """Share of label 1; NaN without a label."""
        y = self.y[np.isfinite(self.y)]
        return float(y.mean()) if len(y) else float("nan")


def _varies(values: Float1D) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(np.ptp(known) > 0.0)


def _rows_of(horizon_s: int) -> int:
    return max(horizon_s // INTERVAL_S, 1)


def _information(window: _Window, names: Sequence[str]) -> list[Information]:
    params = window.inputs.params
    found = []
    for horizon_s in params.horizons_s:
        target = window.target(horizon_s)
        found += [
            information(
                name,
                window[name],
                target,
                horizon_s=horizon_s,
                horizon_rows=_rows_of(horizon_s),
                n_resamples=params.resample.n_resamples,
                seed=params.resample.seed,
            )
            for name in names
        ]
    return found


def _eligibility(inputs: Inputs, tested: Sequence[Stationarity]) -> list[Eligibility]:
    """On the rows training freezes its reference from: all features known."""
    prepared = inputs.prepared
    rows = prepared.complete & (prepared.ts < prepared.windows.train_end)
    days = prepared.ts[rows] // DAY_S
    return [
        eligibility(
            test.name,
            values,
            days,
            n_bins=inputs.params.psi.n_bins,
            limit=inputs.psi_limit,
            has_unit_root=test.verdict == "unit root",
        )
        for test, values in zip(tested, prepared.X[rows].T, strict=True)
    ]


def _costs(window: _Window, names: Sequence[str]) -> list[Costed]:
    ts = window.inputs.prepared.ts[window.rows]
    cost = _one_way_cost(window, ts)
    grids = dict(zip(names, on_grid(ts, *(window[name] for name in names)), strict=True))
    found = []
    for horizon_s in window.inputs.params.horizons_s:
        (forward,) = on_grid(ts, window.forward(horizon_s))
        found += [
            ic_after_costs(
                name, values, forward, cost, horizon_s=horizon_s, horizon_rows=_rows_of(horizon_s)
            )
            for name, values in grids.items()
        ]
    return found


def _one_way_cost(window: _Window, ts: Int1D) -> Float1D:
    """Half the last known spread, fee and slippage, every minute, as a fraction of the amount."""
    prepared, costs = window.inputs.prepared, window.inputs.params.costs
    spread = compute(specs(["spread_bp"], quoted=prepared.market.has_quotes), prepared.bars)[:, 0]
    (spread,) = on_grid(ts, spread[window.rows])
    return half_spread_cost(spread, fee_bp=costs.fee_bp, slippage_bp=costs.slippage_bp)


def _regimes(window: _Window, names: Sequence[str]) -> tuple[RegimeStudy, ...]:
    """Cuts from the earlier rows, everything else from the later ones."""
    params, prepared = window.inputs.params, window.inputs.prepared
    seen = regime_inputs(prepared.bars)
    cuts = fit_regimes(seen, prepared.ts < prepared.windows.champion_end)
    later = ~window.earlier
    horizon_s = params.label.horizon_s
    return regime_study(
        regime_of(seen, cuts)[window.rows][later],
        window.y[later],
        window.target(horizon_s)[later],
        [(name, window[name][later]) for name in names],
        names=REGIMES,
        horizon_s=horizon_s,
        horizon_rows=_rows_of(horizon_s),
        n_resamples=params.resample.n_resamples,
        seed=params.resample.seed,
    )
