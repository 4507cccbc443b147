"""A PSI snapshot as rows: what the terminal tells is read from evidence, not measured again."""

from __future__ import annotations

from dataclasses import dataclass

from mlwb.evidence import Metric, Record

__all__ = ["DriftRow", "drift_rows", "overall_row"]


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


def overall_row(record: Record) -> DriftRow:
    """The mean over features of a snapshot."""
    values: dict[str, Metric] = {m.name: m for m in record.metrics if not m.segment}
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


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
