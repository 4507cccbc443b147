"""Statistics with no opinion about markets: resampling, intervals, multiplicity.

Belongs here: estimators that several rooms need, numpy only at import.
Does not belong here: a limit, a verdict, or anything that knows what a feature is.
"""

from mlwb.stats._bootstrap import BlockMeans, block_length, block_means, p_against
from mlwb.stats._intervals import wilson
from mlwb.stats._multiplicity import holm

__all__ = ["BlockMeans", "block_length", "block_means", "holm", "p_against", "wilson"]
