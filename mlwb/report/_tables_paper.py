"""The numbers of a traded rule, as they stand in evidence."""

from __future__ import annotations

from mlwb.evidence import Metric, Record
from mlwb.report._numbers import NOT_MEASURED, interval, number
from mlwb.report._table import Table, heads
from mlwb.report._words import metric_unit, metric_words

__all__ = ["money"]


def money(found: Record | None) -> Table:
    """Every number of the book with its interval and its formula, or why there is none.

    Parameters
    ----------
    found : Record or None
        Of kind ``pnl``; None where there is none.

    Returns
    -------
    Table
        Without the numbers of single regimes, costs and caps, which have pictures, and without
        scaling and edge rules, which stand in docs/backtest.md.
    """
    if found is None:
        return Table("Nothing was traded", (), ())
    rows = tuple(_row(metric) for metric in found.metrics if not metric.segment)
    columns = heads("number", ">value", ">interval", "what it is")
    rule, meaning = (str(found.details.get(name, "")) for name in ("rule", "definition"))
    return Table(f"{rule.capitalize()}: {meaning}", columns, rows)


def _row(metric: Metric) -> tuple[str, str, str, str]:
    unit = metric_unit(metric.name)
    shown = "" if metric.ci is None else interval(metric.ci.lo, metric.ci.hi, unit)
    if metric.value is None:
        return metric_words(metric.name), NOT_MEASURED, shown, metric.null_reason
    formula = metric.definition.partition(";")[0]
    return metric_words(metric.name), number(metric.value, unit), shown, formula
