"""Statistics with no opinion about markets: resampling, intervals, multiplicity, sureness.

Belongs here: estimators that several rooms need, numpy only at import.
Does not belong here: a limit, a verdict, or anything that knows what a feature is.
"""

from mlwb.stats._agreement import Agreement, agreement
from mlwb.stats._betting import MeanBets
from mlwb.stats._bootstrap import BlockMeans, block_length, block_means, p_against
from mlwb.stats._divergence_bets import DivergenceBets
from mlwb.stats._e_value import e_value
from mlwb.stats._intervals import wilson
from mlwb.stats._multiplicity import benjamini_hochberg, e_benjamini_hochberg, holm
from mlwb.stats._overfitting import Overfitting, overfitting
from mlwb.stats._rate_alarm import RateAlarm
from mlwb.stats._ratio_bets import RatioBets
from mlwb.stats._sequential import quantile_shift, rate_evidence
from mlwb.stats._sharpe import (
    DAYS_A_YEAR,
    SharpeRatio,
    deflated_benchmark,
    dsr,
    min_track_record,
    near_one,
    psr,
    ratio_error,
    sharpe_ratio,
)
from mlwb.stats._standard import standardised
from mlwb.stats._superior import Superiority, superior
from mlwb.stats._track_record import TrackRecord, track_record

__all__ = [
    "DAYS_A_YEAR",
    "Agreement",
    "BlockMeans",
    "DivergenceBets",
    "MeanBets",
    "Overfitting",
    "RateAlarm",
    "RatioBets",
    "SharpeRatio",
    "Superiority",
    "TrackRecord",
    "agreement",
    "benjamini_hochberg",
    "block_length",
    "block_means",
    "deflated_benchmark",
    "dsr",
    "e_benjamini_hochberg",
    "e_value",
    "holm",
    "min_track_record",
    "near_one",
    "overfitting",
    "p_against",
    "psr",
    "quantile_shift",
    "rate_evidence",
    "ratio_error",
    "sharpe_ratio",
    "standardised",
    "superior",
    "track_record",
    "wilson",
]
