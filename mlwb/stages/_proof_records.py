"""Training's proof as metrics of the significance and ablation records."""

from __future__ import annotations

from mlwb.evidence import Interval, Metric
from mlwb.model import Importance
from mlwb.stages._training_result import Result
from mlwb.stages._training_selection import Selection
from mlwb.stages.common import null

__all__ = ["importance_metrics", "proof_metrics"]


def proof_metrics(result: Result) -> list[Metric]:
    """Skill against every baseline, and what choosing among trials is worth."""
    return [*_against(result), *_selection(result.proof.selection)]


def _against(result: Result) -> list[Metric]:
    proof = result.proof
    held, rule = proof.held_out, proof.beyond_rule
    low, high = held.drawn.interval(0.95)
    found = [
        Metric(
            "rank_ic_holdout",
            held.rank_ic,
            n=held.drawn.n_obs,
            ci=Interval(0.95, low, high, "circular block bootstrap"),
        ),
        Metric(
            "p_against_holdout",
            held.p_against,
            n=held.drawn.n_obs,
            definition="as p_against, on rows that no trial was chosen by",
        ),
        Metric(
            "p_against_folds",
            proof.p_folds,
            n=len(result.candidate.chosen.out_of_fold.splits),
            definition="share of resampled fold means <= 0, folds as if independent; advisory",
        ),
    ]
    if rule is None:
        reason = "nothing so simple ranks this label"
        return [*found, null("rank_ic_beyond_rule", reason), null("p_against_rule", reason)]
    low, high = rule.drawn.interval(0.95)
    interval = Interval(0.95, low, high, "paired circular block bootstrap")
    definition = "rank IC minus that of the last hour's volatility, same rows"
    n = rule.drawn.n_obs
    return [
        *found,
        Metric("rank_ic_beyond_rule", rule.rank_ic, n=n, ci=interval, definition=definition),
        Metric("p_against_rule", rule.p_against, n=n, definition="as p_against, against the rule"),
    ]


def _selection(found: Selection) -> list[Metric]:
    days = found.n_days
    overfit = found.overfitting
    reason = "a single trial: nothing was chosen"
    return [
        Metric(
            "trials_tried",
            found.n_tried,
            unit="1",
            definition="distinct configurations at this market, label and horizon, ever",
        ),
        Metric(
            "dsr",
            found.dsr,
            n=days,
            definition="probability that the daily rank IC's mean over sd exceeds what the best "
            "of all trials reaches by luck (Bailey and Lopez de Prado 2014)",
        ),
        Metric(
            "spa_p",
            found.superiority.p_value,
            n=days,
            definition="no trial is better than no skill (Hansen 2005), days resampled",
        ),
        Metric(
            "pbo",
            overfit.probability,
            n=len(overfit.logits),
            definition="share of splits whose best in sample ends below the median (CSCV)",
        )
        if overfit
        else null("pbo", reason),
    ]


def importance_metrics(found: Importance) -> list[Metric]:
    """Which groups of features the model leans on, and whether folds agree."""
    n_folds = len(found.loss)
    pairs = n_folds * (n_folds - 1) // 2
    return [
        *(
            Metric(
                "importance",
                float(loss),
                n=n_folds,
                segment=name,
                definition="AUC lost out of sample when the group's rows are shuffled",
            )
            for name, loss in zip(found.names, found.mean_loss, strict=True)
        ),
        Metric("importance_agreement", found.agreement, n=n_folds, definition="Kendall's W"),
        Metric(
            "importance_top_overlap",
            found.top_overlap,
            n=pairs,
            definition="mean Jaccard index of the three leading groups, pairs of folds",
        ),
    ]
