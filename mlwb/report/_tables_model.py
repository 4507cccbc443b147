"""Tables about a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlwb.report._numbers import NOT_MEASURED, count, moment, number
from mlwb.report._table import Table, heads

if TYPE_CHECKING:
    from mlwb.model import Dataset, Parity, Scores

__all__ = ["parity", "scores", "windows"]


def windows(train: Dataset, holdout: Dataset, version: str, champion: str) -> Table:
    """What is learnt from and what is kept unseen.

    Parameters
    ----------
    train, holdout : Dataset
        Rows before and after the cut.
    version, champion : str
        Candidate, and the version it is held against; empty when that is trained beside it.

    Returns
    -------
    Table
    """
    rows = tuple(
        (
            name,
            count(len(data)),
            moment(data.t0[0], with_time=True) if len(data) else NOT_MEASURED,
            moment(data.t1[-1], with_time=True) if len(data) else NOT_MEASURED,
            number(float(data.y.mean()), "%") if len(data) else NOT_MEASURED,
        )
        for name, data in (("training", train), ("held out", holdout))
    )
    columns = heads(
        "window", ">rows", ">first decision, UTC", ">last label resolved, UTC", ">label 1"
    )
    against = champion or "a champion trained on the earlier part of the window"
    return Table(f"Candidate {version} against {against}", columns, rows)


def scores(found: Mapping[str, Scores | None]) -> Table:
    """What predictions are worth, one row a set of them; None was not measured."""
    columns = heads(
        "predictions", ">AUC", ">precision, top 20 %", ">recall, top 20 %", ">label 1", ">Brier",
        ">rows",
    )  # fmt: skip
    rows = tuple((name, *_scored(item)) for name, item in found.items())
    return Table("Scores against the label; higher is better, but for Brier", columns, rows)


def parity(found: Parity, feature_mismatches: int, n_feature_values: int) -> Table:
    """Graph against model, and features online against batch.

    Parameters
    ----------
    found : Parity
        Of the exported graph.
    feature_mismatches, n_feature_values : int
        Values that differ in any bit, of those compared.

    Returns
    -------
    Table
    """
    of = count(found.n_rows)
    rows = (
        ("largest difference of a probability", number(found.max_abs_diff), of),
        ("99 % of differences are below", number(found.p99_abs_diff), of),
        ("rows that differ by more than 1e-5", count(found.n_above), of),
        ("decisions flipped at one half", count(found.flips), of),
        ("features, online against batch, that differ in a bit", count(feature_mismatches),
         count(n_feature_values)),
    )  # fmt: skip
    columns = heads("check", ">found", ">compared")
    return Table("The served graph against the fitted model", columns, rows)


def _scored(found: Scores | None) -> tuple[str, ...]:
    if found is None:
        return (NOT_MEASURED, "", "", "", "", "")
    return (
        number(found.auc),
        number(found.precision_top_20pct, "%"),
        number(found.recall_top_20pct, "%"),
        number(found.base_rate, "%"),
        number(found.brier),
        count(found.n_rows),
    )
