"""What the numbers in evidence are called in prose, and the unit they are shown in."""

from __future__ import annotations

import re

__all__ = [
    "GATE_WORDS",
    "METRIC_WORDS",
    "TELLING",
    "gate_words",
    "in_words",
    "metric_unit",
    "metric_words",
]

METRIC_WORDS: dict[str, tuple[str, str]] = {
    "days": ("days of data", "d"),
    "bars": ("bars", "bars"),
    "coverage": ("minutes with a bar", "%"),
    "completeness": ("usable minutes", "%"),
    "feature_completeness": ("bars with a value", "%"),
    "longest_gap_s": ("longest gap", "seconds"),
    "stale_longest_bars": ("longest frozen run", "bars"),
    "duplicates_identical": ("repeated rows", "rows"),
    "duplicates_conflicting": ("rows in conflict", "rows"),
    "out_of_order": ("rows out of order", "rows"),
    "crossed_share": ("crossed quotes", "%"),
    "locked_share": ("locked quotes", "%"),
    "spikes_share": ("spikes", "%"),
    "non_positive": ("prices at or below zero", "rows"),
    "ohlc_violations": ("impossible bars", "rows"),
    "non_finite": ("values that are no number", "rows"),
    "clock_skew_p99_ms": ("clock skew, p99", "ms"),
    "auc": ("AUC", "1"),
    "auc_holdout": ("AUC, held out", "1"),
    "precision_top_20pct": ("precision in the top 20 %", "%"),
    "recall_top_20pct": ("recall in the top 20 %", "%"),
    "auc_pooled": ("AUC over all folds at once", "1"),
    "base_rate": ("label 1", "%"),
    "brier": ("Brier score", "1"),
    "n_eff": ("rows, overlap counted", "rows"),
    "purged": ("rows purged", "rows"),
    "embargoed": ("rows embargoed", "rows"),
    "rank_ic": ("rank IC", "1"),
    "rank_ic_holdout": ("rank IC, held out", "1"),
    "rank_ic_beyond_rule": ("rank IC beyond the rule without a model", "1"),
    "p_against": ("p against skill", "p"),
    "p_against_folds": ("p against skill, fold means", "p"),
    "p_against_holdout": ("p against skill, held out", "p"),
    "p_against_rule": ("p against the rule without a model", "p"),
    "precision_top_20pct_holdout": ("precision in the top 20 %, held out", "%"),
    "gate_window_reuses": ("other candidates measured on the held-out bars", "count"),
    "trials_tried": ("configurations tried so far", "count"),
    "pbo": ("best in sample, below median after", "%"),
    "spa_p": ("p against the best of all trials", "p"),
    "dsr": ("chance of skill, deflated by all trials", "%"),
    "improvement_p_against": ("p against the gain", "p"),
    "importance": ("AUC lost when shuffled", "1"),
    "importance_top_overlap": ("overlap of the top three between folds", "%"),
    "importance_agreement": ("agreement of folds on importance", "1"),
    "leak_count": ("labels leaking", "rows"),
    "fit_leaks": ("scores that depend on unseen rows", "rows"),
    "improvement": ("gain over the champion", "%"),
    "delta": ("change of rank IC without the group", "1"),
    "delta_after_costs": ("the same after costs", "1"),
    "harmful_groups": ("harmful feature groups", "count"),
    "positive_share": ("positive segments", "%"),
    "net_return": ("net return", "%"),
    "sharpe": ("Sharpe ratio", "1"),
    "psr": ("probability that Sharpe > 0", "%"),
    "max_drawdown": ("largest drawdown", "%"),
    "win_rate": ("win rate", "%"),
    "win_rate_upper": ("win rate, upper 95 % bound", "%"),
    "cap_breaches": ("cap breaches", "count"),
    "negative_regimes": ("negative regimes", "count"),
    "gross_return": ("return before costs", "%"),
    "net_p": ("p that it is not above 0", "p"),
    "sharpe_se": ("standard error of the Sharpe ratio", "1"),
    "sharpe_upper": ("Sharpe ratio, upper 95 % bound", "1"),
    "sharpe_bars": ("Sharpe ratio of minutes", "1"),
    "sharpe_lo": ("Sharpe ratio of correlated days", "1"),
    "min_track_record": ("length that would show it", "d"),
    "calmar": ("growth a year over drawdown", "1"),
    "turnover": ("turnover a day", "equity/day"),
    "exposure_mean": ("mean exposure", "%"),
    "exposure_max": ("largest exposure", "%"),
    "break_even_bp": ("break-even cost, one way", "bp"),
    "paid_bp": ("cost paid, one way", "bp"),
    "variance_ratio": ("variance against constant exposure", "%"),
    "variance_upper": ("variance against constant exposure, upper 95 % bound", "%"),
    "variance_lower": ("variance against constant exposure, lower 95 % bound", "%"),
    "tail_ratio": ("worst hours against constant exposure", "%"),
    "drawdown_timed": ("largest drawdown, timed", "%"),
    "drawdown_constant": ("largest drawdown, constant", "%"),
    "max_abs_diff": ("largest difference", "1"),
    "n_rows": ("rows compared", "rows"),
    "flips": ("flipped decisions", "rows"),
    "feature_mismatches": ("features that differ in a bit", "count"),
    "served_mismatches": ("served features that differ", "count"),
    "schema_mismatches": ("schema mismatches", "count"),
    "psi": ("PSI", "nats"),
    "psi_lower": ("PSI, lower 95 % bound", "nats"),
    "psi_upper": ("PSI, upper 95 % bound", "nats"),
    "psi_null95": ("PSI of its own windows, 95 %", "nats"),
    "psi_noise_floor": ("PSI of independent rows, mean", "nats"),
    "p_block": ("p against its own windows", "p"),
    "null_windows": ("windows that share no day", "count"),
    "null_memory": ("what days in a row add to chance", "1"),
    "gateable": ("can be judged", "1"),
    "psi_overall": ("overall PSI", "nats"),
    "psi_overall_lower": ("overall PSI, lower 95 % bound", "nats"),
    "psi_overall_upper": ("overall PSI, upper 95 % bound", "nats"),
    "psi_rolling_7d_max": ("largest 7-day PSI", "nats"),
    "psi_rolling_7d_null95": ("7-day PSI of the reference's own weeks, 95 %", "nats"),
    "psi_raw": ("PSI without smoothing", "nats"),
    "psi_corrected": ("PSI less what chance gives", "nats"),
    "psi_n_eff": ("independent rows it is worth", "rows"),
    "design_effect": ("chance over that of independent rows", "1"),
    "psi_detectable": ("smallest PSI this window would find", "nats"),
    "c2st_auc": ("AUC of telling held-out rows from training's", "1"),
    "c2st_p": ("p of that AUC against training's own windows", "p"),
    "pca_error": ("distance from training's principal components", "1"),
    "pca_p": ("p of that distance, both ways", "p"),
    "gateable_days": ("shortest window that could judge it", "d"),
    "n_bins": ("bins", "count"),
    "brier_reference": ("Brier loss out of fold in training", "1"),
    "brier_heldout": ("Brier loss of held-out predictions", "1"),
    "brier_expected": ("Brier loss the probabilities lead to expect", "1"),
    "brier_rise": ("rise of the Brier loss", "1"),
    "loss_e_value": ("evidence that realised losses rose", "1"),
    "calibration_gap": ("frequency less mean probability", "1"),
    "ece": ("expected calibration error", "1"),
    "ece_chance": ("calibration error that chance gives, 95 %", "1"),
    "calibration_slope": ("slope of the calibration", "1"),
    "p_holm": ("p against its own windows, Holm", "p"),
    "q_bh": ("the same by Benjamini-Hochberg", "p"),
    "psi_recent": ("PSI against the window before", "nats"),
    "p_recent": ("p against the window before", "p"),
    "q_recent": ("the same by Benjamini-Hochberg", "p"),
    "ks": ("Kolmogorov-Smirnov", "1"),
    "ks_null95": ("Kolmogorov-Smirnov of its own windows, 95 %", "1"),
    "ks_p_block": ("Kolmogorov-Smirnov, p against its own windows", "p"),
    "wasserstein_bins": ("bins moved", "1"),
    "wasserstein_bins_null95": ("bins moved of its own windows, 95 %", "1"),
    "wasserstein_bins_p_block": ("bins moved, p against its own windows", "p"),
    "jensen_shannon": ("Jensen-Shannon", "1"),
    "jensen_shannon_null95": ("Jensen-Shannon of its own windows, 95 %", "1"),
    "jensen_shannon_p_block": ("Jensen-Shannon, p against its own windows", "p"),
    "hellinger": ("Hellinger", "1"),
    "hellinger_null95": ("Hellinger of its own windows, 95 %", "1"),
    "hellinger_p_block": ("Hellinger, p against its own windows", "p"),
    "chi_square": ("chi-square", "1"),
    "chi_square_null95": ("chi-square of its own windows, 95 %", "1"),
    "chi_square_p_block": ("chi-square, p against its own windows", "p"),
    "missing_share_reference": ("bars without a value, in training", "%"),
    "missing_share_heldout": ("bars without a value, held out", "%"),
    "psi_missing": ("PSI of what is missing", "nats"),
    "psi_finite": ("PSI of the finite values beside it", "nats"),
    "out_of_range_share": ("rows beyond the range of training", "%"),
    "psi_overall_null95": ("overall PSI of the reference's own windows, 95 %", "nats"),
    "p_overall": ("p of the overall PSI against its own windows", "p"),
    "features_moved": ("features, or their mean, beyond chance and large", "count"),
    "p_block_holm": ("p against the block null", "p"),
    "not_gateable_unlisted": ("features beyond judging", "count"),
    "prediction_psi": ("PSI of the score", "nats"),
    "prediction_psi_lower": ("PSI of the score, lower 95 % bound", "nats"),
    "prediction_psi_upper": ("PSI of the score, upper 95 % bound", "nats"),
    "golden_max_abs_diff": ("largest difference of a golden row", "1"),
    "psi_day": ("PSI of the last day", "nats"),
    "moved": ("moved beyond chance", "1"),
    "e_value": ("evidence of a change", "1"),
    "e_value_highest": ("highest evidence of a change", "1"),
    "sr_highest": ("highest Shiryaev-Roberts sum", "d"),
    "rows_logged": ("rows in the prediction log", "rows"),
    "age_h": ("age", "h"),
    "age_d": ("age", "d"),
    "prediction_moved": ("scores beyond chance and large", "count"),
    "psi_overall_corrected": ("overall PSI less what chance gives", "nats"),
    "prediction_not_gateable": ("scores beyond judging", "count"),
    "prediction_ks": ("KS of the score", "1"),
    "prediction_ks_p": ("KS p of the score", "p"),
    "requests": ("requests", "count"),
    "p50_ms": ("latency, p50", "ms"),
    "p95_ms": ("latency, p95", "ms"),
    "p99_ms": ("latency, p99", "ms"),
    "onnx_p95_ms": ("model latency, p95", "ms"),
    "error_rate": ("errors", "%"),
    "success_rate": ("successes", "%"),
    "score_mismatches": ("answers unlike the offline score", "%"),
    "match_rate": ("agreement", "%"),
    "shadow_error_rate": ("shadow errors", "%"),
    "shadow_p95_ms": ("shadow latency, p95", "ms"),
    "rank_corr": ("rank correlation", "1"),
    "mean_abs_delta": ("mean score difference", "1"),
    "median_abs_delta": ("median score difference", "1"),
    "p95_abs_delta": ("score difference, 95 % quantile", "1"),
    "max_abs_delta": ("largest score difference", "1"),
    "covered_h": ("time covered", "h"),
    "phases_completed": ("phases completed", "%"),
    "questions_shown": ("questions shown to be within their limits", "%"),
    "beyond_limit": ("beyond the limit", "%"),
    "e_value_shown": ("e-value for it", "1"),
    "aborted": ("aborts", "count"),
    "model_versions": ("candidate versions seen", "count"),
    "consecutive_green": ("green nights in a row", "count"),
    "critical_alerts": ("critical alerts", "count"),
    "kinds_missing": ("kinds of evidence missing", "count"),
    "other_versions": ("records about other versions", "count"),
    "lint_problems": ("impossible numbers", "count"),
    "chain_problems": ("breaks in the ledger", "count"),
    "rows_taken_back": ("counted rows taken back", "rows"),
    "valid_confirmation": ("valid confirmations", "count"),
}
"""Name in evidence to words and unit; shares are shown in percent."""

GATE_WORDS = {
    "data": "Is the data complete and in order?",
    "signal": "Is the model better than chance, without leaking?",
    "ablation": "Does every feature group help, or at least not harm?",
    "wf": "Does it hold through time?",
    "pnl": "Does it earn after costs, on paper?",
    "parity": "Is the served graph the fitted model?",
    "schema": "Does the server read the columns the model was trained on?",
    "psi": "Are the features still those of training?",
    "drift": "Are the scores still those of acceptance?",
    "perf": "Does the server answer fast and without errors?",
    "shadow": "Does the candidate agree beside the champion?",
    "canary": "Does it behave as traffic grows?",
    "nightly": "Has it stayed green night after night?",
    "validation": "A day or two in place without a critical alert?",
    "evidence": "Is the evidence complete, possible and unchanged?",
    "confirmation": "Has a person said yes to exactly this?",
}
"""The question each gate answers."""


TELLING = {"perf": "perf.p95_ms", "psi": "psi.overall"}
"""The limit that says most about a gate, where it is not the first."""

_NAME = re.compile(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b")


def in_words(sentence: str) -> str:
    """A gate's sentence with its metrics in words; other names stay.

    Examples
    --------
    >>> in_words("match_rate = 0.9 for zscore_mid_24h")
    'agreement = 0.9 for zscore_mid_24h'
    """
    return _NAME.sub(lambda name: METRIC_WORDS.get(name[0], (name[0], ""))[0], sentence)


def metric_words(name: str) -> str:
    """A metric in words; an unknown one by its name.

    Examples
    --------
    >>> metric_words("p95_ms"), metric_words("new_thing")
    ('latency, p95', 'new thing')
    """
    return METRIC_WORDS.get(name, (name.replace("_", " "), "1"))[0]


def metric_unit(name: str) -> str:
    """The unit a metric is shown in."""
    return METRIC_WORDS.get(name, ("", "1"))[1]


def gate_words(gate: str) -> str:
    """The question a gate answers; empty for an unknown gate."""
    return GATE_WORDS.get(gate, "")
