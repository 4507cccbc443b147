"""Training's proof: what a cross-validated score alone does not show.

Whole out-of-sample histories, the rows nobody chose by, the rule that needs no model, the champion,
and what choosing among trials is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.inference import Predictor
from mlwb.model import (
    AucInterval,
    CombinatorialPurgedCV,
    Comparison,
    Dataset,
    Importance,
    Paths,
    PurgedKFold,
    Skill,
    Trial,
    TrialResult,
    auc_interval,
    compare_models,
    cross_validate_paths,
    feature_groups,
    importance,
    outside_influence,
    p_against_folds,
    rank_contributions,
    refit,
    rule_scores,
    skill,
    skill_beyond,
)
from mlwb.params import TrainingParams
from mlwb.stages._training_selection import Configuration, Selection, select

__all__ = ["Proof", "prove"]


@dataclass(frozen=True)
class Proof:
    """The chosen trial, looked at from every side.

    Parameters
    ----------
    skill : Skill
        Rank IC over folds against no skill.
    auc, auc_holdout : AucInterval
        Over purged folds, and of the exported graph on the held-out rows.
    paths : Paths
        Whole out-of-sample histories of the chosen trial.
    held_out : Skill
        Rank IC on the held-out rows against no skill.
    beyond_rule : Skill or None
        Rank IC over folds beyond the rule that needs no model; None where there is no rule.
    p_folds : float
        The requirements' advisory p over fold means.
    challenge : Comparison
        Candidate against champion on the held-out rows.
    importance : Importance
        Of feature groups, by fold.
    selection : Selection
        What choosing among the trials is worth.
    fit_leaks : int
        Test rows of the first fold whose score depends on rows the fit must not see.
    """

    skill: Skill
    auc: AucInterval
    auc_holdout: AucInterval
    paths: Paths
    held_out: Skill
    beyond_rule: Skill | None
    p_folds: float
    challenge: Comparison
    importance: Importance
    selection: Selection
    fit_leaks: int


def prove(
    train: Dataset,
    holdout: Dataset,
    results: tuple[TrialResult, ...],
    chosen: TrialResult,
    *,
    predictors: tuple[Predictor, Predictor],
    configuration: Configuration,
    params: TrainingParams,
) -> Proof:
    """Look at the chosen trial from every side.

    Parameters
    ----------
    train, holdout : Dataset
        Rows that were searched on, and rows that were not.
    results : tuple of TrialResult
        Everything that was tried.
    chosen : TrialResult
        One of them.
    predictors : tuple of Predictor
        The champion's graph and the candidate's.
    configuration : Configuration
        What the ledger of trials knows the candidate by.
    params : TrainingParams
        Validation, label and resampling.

    Returns
    -------
    Proof
    """
    out, cv, kind = chosen.out_of_fold, params.cv, params.label.kind
    drawn: Any = {
        "least_block": max(params.label.horizon_s // INTERVAL_S, 1),
        "n_resamples": params.resample.n_resamples,
        "seed": params.resample.seed,
    }
    champion, candidate = (predictor.predict(holdout.X) for predictor in predictors)
    rule = rule_scores(train, kind)
    contributions = rank_contributions(out.probability, train.target[out.index], out.fold)
    one_fold = np.zeros(len(holdout), dtype=np.int64)
    return Proof(
        skill=skill(contributions, **drawn),
        auc=auc_interval(train.y[out.index], out.probability, fold=out.fold, **drawn),
        auc_holdout=auc_interval(holdout.y, candidate, **drawn),
        paths=_paths(train, chosen.trial, params),
        held_out=skill(rank_contributions(candidate, holdout.target, one_fold), **drawn),
        beyond_rule=None if rule is None else skill_beyond(out, train.target, rule, **drawn),
        p_folds=p_against_folds(
            contributions, out.fold, n_resamples=drawn["n_resamples"], seed=drawn["seed"]
        ),
        challenge=compare_models(holdout.y, champion, candidate, **drawn),
        importance=importance(
            train,
            chosen.trial,
            PurgedKFold(train.t0, train.t1, n_splits=cv.n_splits, embargo_s=cv.embargo_s),
            seed=params.search.seed,
            groups=feature_groups(train.names),
        ),
        selection=select(results, chosen, train, configuration=configuration, params=params),
        fit_leaks=outside_influence(
            partial(_fit_rows, chosen.trial), train, out.splits[0], seed=params.search.seed
        ),
    )


def _fit_rows(trial: Trial, data: Dataset, rows: Int1D) -> Callable[[Float2D], Float1D]:
    return refit(data.rows(rows), trial).predict


def _paths(data: Dataset, trial: Trial, params: TrainingParams) -> Paths:
    cv = params.cv
    splitter = CombinatorialPurgedCV(
        data.t0,
        data.t1,
        n_groups=cv.n_groups,
        n_test_groups=cv.n_test_groups,
        embargo_s=cv.embargo_s,
    )
    return cross_validate_paths(data, trial, splitter)
