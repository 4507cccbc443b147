"""The table that asks of a chosen model whether it is more than the best of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlwb.report._numbers import NOT_MEASURED, count, interval, number, several, signed
from mlwb.report._shapes import Chosen, Proven
from mlwb.report._table import Table, heads

if TYPE_CHECKING:
    from mlwb.model import Skill

__all__ = ["proof"]


def proof(found: Proven) -> Table:
    """Every look at the chosen trial, with its uncertainty and what it says.

    Parameters
    ----------
    found : Proven
        As training measures it.

    Returns
    -------
    Table
    """
    histories = found.paths.auc
    gain = found.challenge
    better = interval(gain.low, gain.high, "%", decimals=2)
    rows = (
        ("AUC over purged folds", number(found.auc.auc), interval(found.auc.low, found.auc.high),
         f"blocks of {several(found.auc.block, 'row')}, as long as errors remember"),
        ("AUC of whole histories", number(float(histories.mean())),
         interval(float(histories.min()), float(histories.max())),
         f"lowest and highest of {count(len(histories))} out-of-sample histories"),
        ("AUC held out", number(found.auc_holdout.auc),
         interval(found.auc_holdout.low, found.auc_holdout.high), _reuses(found.selection)),
        ("rank IC held out", *_skill(found.held_out), "against no skill"),
        ("rank IC beyond the rule", *_skill(found.beyond_rule),
         "the rule ranks by the last hour's volatility, without a model"),
        ("gain over the champion, held out", signed(gain.improvement, "%", decimals=2),
         better, f"p against {number(gain.p_against, 'p')}"),
        *_choice(found.selection),
        ("agreement of folds on what matters", number(found.importance.agreement), "",
         "Kendall's W: 1 when every fold ranks the feature groups alike"),
    )  # fmt: skip
    columns = heads("look", ">found", ">95 % interval or range", "what it says")
    return Table("The chosen trial, looked at from every side", columns, rows)


def _skill(found: Skill | None) -> tuple[str, str]:
    if found is None:
        return NOT_MEASURED, ""
    low, high = found.drawn.interval(0.95)
    said = f"{interval(low, high)}, p {number(found.p_against, 'p')}"
    return number(found.rank_ic), said


def _reuses(chosen: Chosen) -> str:
    if chosen.window_reuses == 0:
        return "on bars that no other candidate was measured on"
    others = several(chosen.window_reuses, "other candidate")
    return f"{others} had been measured on these bars: they helped to choose, newer ones are needed"


def _choice(chosen: Chosen) -> tuple[tuple[str, str, str, str], ...]:
    overfit = chosen.overfitting
    luck = number(overfit.probability, "%") if overfit else NOT_MEASURED
    meaning = "50 % and more: the trials are alike, or choosing is a draw"
    return (
        ("p against the best of all trials", number(chosen.superiority.p_value, "p"), "",
         "Hansen's test: no trial is better than no skill"),
        ("probability of skill, deflated (DSR)", number(chosen.dsr, "%"), "",
         f"by {several(chosen.n_tried, 'configuration')} tried at this so far"),
        ("best in sample, below median after (PBO)", luck, "",
         meaning if overfit else "a single trial: nothing was chosen"),
    )  # fmt: skip
