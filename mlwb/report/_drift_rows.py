"""A PSI snapshot as rows: what the terminal tells is read from evidence, not measured again."""

from __future__ import annotations

from dataclasses import dataclass

from mlwb.evidence import Metric, Record

__all__ = ["DriftRow", "drift_rows", "overall_row", "score_row"]


@dataclass(frozen=True)
class DriftRow:
    """One feature's drift in numbers; see :class:`mlwb.report._shapes.Judged`."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    null95: float | None
    limit: float
    reading: str
    p_value: float | None = None
    p_recent: float | None = None
    n_eff: float | None = None
    gateable_days: int | None = None


def drift_rows(record: Record) -> tuple[DriftRow, ...]:
    """Features of a snapshot in column order.

    Parameters
    ----------
    record : Record
        Of kind ``psi_snapshot``.
    """
    limit = record.details["held_against"]["feature"]
    found: dict[str, dict[str, float | int | None]] = {}
    for metric in record.metrics:
        if metric.segment:
            found.setdefault(metric.segment, {})[metric.name] = metric.value
    return tuple(
        DriftRow(
            name=name,
            value=float(values["psi"] or 0.0),
            lower=values.get("psi_lower"),
            upper=values.get("psi_upper"),
            null95=values.get("psi_null95"),
            limit=limit,
            reading=record.details["readings"][name],
            p_value=values.get("q_bh"),
            p_recent=values.get("q_recent"),
            n_eff=values.get("psi_n_eff"),
            gateable_days=_whole(values.get("gateable_days")),
        )
        for name, values in found.items()
        if "psi" in values
    )


def score_row(record: Record) -> DriftRow:
    """The score of a snapshot, held against its own limit."""
    values = _whole_of(record)
    return DriftRow(
        name="prediction",
        value=float(values["prediction_psi"].value or 0.0),
        lower=values["prediction_psi_lower"].value,
        upper=values["prediction_psi_upper"].value,
        null95=values["prediction_psi_null95"].value,
        limit=record.details["held_against"]["prediction"],
        reading=record.details["readings"]["prediction"],
        p_value=values["prediction_p_block"].value,
        p_recent=values["prediction_p_recent"].value,
        gateable_days=_whole(values["prediction_gateable_days"].value),
    )


def overall_row(record: Record) -> DriftRow:
    """The mean over features of a snapshot."""
    values = _whole_of(record)
    return DriftRow(
        name="the overall mean",
        value=float(values["psi_overall"].value or 0.0),
        lower=values["psi_overall_lower"].value,
        upper=values["psi_overall_upper"].value,
        null95=values["psi_overall_null95"].value,
        limit=record.details["held_against"]["overall"],
        reading=record.details["overall_reading"],
        p_value=values["p_overall"].value,
    )


def _whole_of(record: Record) -> dict[str, Metric]:
    return {metric.name: metric for metric in record.metrics if not metric.segment}


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
