"""The feature study as evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mlwb.evidence import Interval, Metric, rate
from mlwb.stages._feature_study_result import Result
from mlwb.stages.common import null
from mlwb.study import CLIP_EXPECTED, Costed, Daily, Eligibility, Information, Stationarity

__all__ = ["study_details", "study_metrics"]

_BLOCKS = "circular block bootstrap"
_UNTRADED = "a volatility forecast has no sign to be held by"


def study_metrics(result: Result) -> list[Metric]:
    """Every number of the page, each with its unit, its count and, where it has one, its interval.

    Parameters
    ----------
    result : Result
        As measured.

    Returns
    -------
    list of Metric
        Segments are ``feature``, ``feature@horizon``, or a regime. What has no value says why.
    """
    return [
        _told("base_rate", result.base_rate, "no row has a label"),
        *_descriptions(result),
        *(metric for test in result.stationarity for metric in _stationarity(test)),
        *_memory(result),
        *(metric for item in result.eligibility for metric in _eligibility(item)),
        *(metric for item in result.information for metric in _information(item)),
        *(metric for item in result.daily for metric in _daily(item, _label_horizon(result))),
        *_half_lives(result),
        *(metric for item in result.costs for metric in _costs(item, traded=result.is_traded)),
        *_regimes(result),
    ]


def study_details(result: Result) -> dict[str, object]:
    """What is not a number of its own: verdicts, curves, units."""
    params = result.inputs.params
    return {
        "features": result.inputs.prepared.names,
        "stationarity": {test.name: test.verdict for test in result.stationarity},
        "psi_eligibility": {item.name: item.reason for item in result.eligibility},
        "decay": {
            item.name: {
                "ages_s": item.ages_s,
                "rank_ic": [value if math.isfinite(value) else None for value in item.rank_ic],
            }
            for item in result.decay
        },
        "units": {spec.name: spec.unit for spec in result.inputs.prepared.specs},
        "sources": {spec.name: spec.source for spec in result.inputs.prepared.specs},
        "label": {"kind": params.label.kind, "horizon_s": params.label.horizon_s},
        "costs": {"fee_bp": params.costs.fee_bp, "slippage_bp": params.costs.slippage_bp},
    }


def _label_horizon(result: Result) -> int:
    return result.inputs.params.label.horizon_s


def _told(
    name: str,
    value: float,
    why_not: str,
    *,
    unit: str = "1",
    n: int | None = None,
    segment: str = "",
    ci: Interval | None = None,
) -> Metric:
    """A metric; one without a finite value says why."""
    if not math.isfinite(value):
        return null(name, why_not, unit, segment)
    return Metric(name, value, unit=unit, n=n, ci=ci, segment=segment)


def _ci(low: float, high: float, method: str = _BLOCKS) -> Interval | None:
    return Interval(0.95, low, high, method) if math.isfinite(low) else None


def _descriptions(result: Result) -> Iterator[Metric]:
    for found in result.distributions:
        yield Metric("missing_share", found.missing_share, n=found.n_obs, segment=found.name)
        yield Metric("mode_share", found.mode_share, n=found.n_obs, segment=found.name)
    definition = f"beyond bounds fitted before champion_end; {CLIP_EXPECTED:g} expected"
    for item in result.clipping:
        k = item.below + item.above
        yield rate("clip_rate", k, item.n_obs, segment=item.name, definition=definition)
    redundancy = result.redundancy
    for name, value in zip(redundancy.names, redundancy.vif, strict=True):
        yield _told("vif", float(value), "a combination of other features", segment=name)


def _stationarity(test: Stationarity) -> Iterator[Metric]:
    values = {
        "adf_p": test.adf_p,
        "adf_p_holm": test.adf_p_holm,
        "kpss_p": test.kpss_p,
        "phillips_perron_p": test.pp_p,
        "variance_ratio": test.variance_ratio,
        "variance_ratio_p": test.variance_ratio_p,
        "zivot_andrews_p": test.break_p,
    }
    for name, value in values.items():
        why = f"the series is {test.verdict}"
        if math.isfinite(test.adf_p):
            why = "the break test is not feasible on this series"
        yield _told(name, value, why, n=test.n_obs, segment=test.name)


def _memory(result: Result) -> Iterator[Metric]:
    for item in result.memory:
        yield Metric("n_effective", item.n_effective, unit="rows", n=item.n_obs, segment=item.name)
        why = "never halves within the window" if math.isinf(item.half_life_s) else "constant"
        yield _told("half_life_s", item.half_life_s, why, unit="s", segment=item.name)
        for lag, value in zip(item.lags_s, item.autocorrelation, strict=True):
            yield _told(
                "autocorrelation",
                value,
                "constant, or no two values so far apart",
                n=item.n_obs,
                segment=f"{item.name}@{lag}s",
            )


def _eligibility(item: Eligibility) -> Iterator[Metric]:
    why = f"not eligible: {item.reason}"
    days = float("nan") if item.window_days is None else float(item.window_days)
    yield _told("psi_window_days", days, why, unit="d", segment=item.name)
    for window in item.nulls:
        segment = f"{item.name}@{window.days}d"
        n = window.n_disjoint
        yield Metric("psi_null95", window.limit95, unit="nats", n=n, segment=segment)
        yield Metric("psi_n_eff", window.n_eff, unit="rows", segment=segment)


def _information(item: Information) -> Iterator[Metric]:
    segment, n = f"{item.name}@{item.horizon_s}s", item.n_obs
    why = "feature or target does not vary"
    yield _told("rank_ic", item.rank_ic, why, n=n, segment=segment, ci=_ci(item.low, item.high))
    yield _told("ic", item.ic, why, n=n, segment=segment, ci=_ci(item.ic_low, item.ic_high))
    yield _told("rank_ic_p_holm", item.p_holm, why, n=n, segment=segment)


def _daily(item: Daily, horizon_s: int) -> Iterator[Metric]:
    segment = f"{item.name}@{horizon_s}s"
    interval = _ci(item.low, item.high, "Lo 2002, independent days")
    why = "fewer than three days with a correlation"
    yield _told("icir", item.icir, why, n=item.n_days, segment=segment, ci=interval)
    k = round(item.same_sign_share * item.n_days) if item.n_days else 0
    yield rate("same_sign_days", k, item.n_days, segment=segment)


def _half_lives(result: Result) -> Iterator[Metric]:
    for item in result.decay:
        why = "zero is in the interval of the fresh value: nothing to fade"
        if math.isinf(item.half_life_s):
            why = f"more than half is left after {item.ages_s[-1]} s"
        segment = f"{item.name}@{_label_horizon(result)}s"
        yield _told("ic_half_life_s", item.half_life_s, why, unit="s", segment=segment)


def _costs(item: Costed, *, traded: bool) -> Iterator[Metric]:
    segment, n = f"{item.name}@{item.horizon_s}s", item.n_obs
    why = "feature or return does not vary"
    net, why_net = (item.net, why) if traded else (float("nan"), _UNTRADED)
    even = item.break_even_bp if traded else float("nan")
    yield _told("ic_after_costs", net, why_net, n=n, segment=segment)
    yield _told("break_even_bp", even, why_net, unit="bp", n=n, segment=segment)
    yield _told("ic_cost_hurdle", item.hurdle, why, n=n, segment=segment)
    yield _told("turnover", item.turnover, why, unit="sd/bar", n=n, segment=segment)


def _regimes(result: Result) -> Iterator[Metric]:
    total = sum(item.n_rows for item in result.regimes)
    for regime in result.regimes:
        yield rate("regime_share", regime.n_rows, total, segment=regime.name)
        interval = _ci(regime.base_low, regime.base_high)
        why = "no row of this regime has a label"
        base, n = regime.base_rate, regime.n_labels
        yield _told("regime_base_rate", base, why, n=n, segment=regime.name, ci=interval)
        for item in regime.information:
            segment = f"{item.name}@{item.horizon_s}s in {regime.name}"
            found = _ci(item.low, item.high)
            why = "too few rows of this regime, or no variation"
            yield _told(
                "regime_rank_ic", item.rank_ic, why, n=item.n_obs, segment=segment, ci=found
            )
