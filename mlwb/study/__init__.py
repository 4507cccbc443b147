"""What features are, before any model: distribution, memory, stationarity, information, cost.

Belongs here: descriptive statistics with their uncertainty, arrays in and frozen results out.
Does not belong here: fitting a model (``model``), drawing (``report``), or a verdict (``gates``).
"""

from mlwb.study._clipping import CLIP_ALARM, CLIP_EXPECTED, Clipping, clipping
from mlwb.study._costs import Costed, ic_after_costs
from mlwb.study._describe import Distribution, Redundancy, describe, redundancy
from mlwb.study._eligibility import Eligibility, WindowNull, eligibility
from mlwb.study._information import Information, adjusted, information
from mlwb.study._memory import Memory, memory, on_grid
from mlwb.study._regimes import RegimeStudy, regime_study
from mlwb.study._stationarity import Stationarity, stationarity, stationarity_of_all
from mlwb.study._through_time import Daily, Decay, daily, decay

__all__ = [
    "CLIP_ALARM",
    "CLIP_EXPECTED",
    "Clipping",
    "Costed",
    "Daily",
    "Decay",
    "Distribution",
    "Eligibility",
    "Information",
    "Memory",
    "Redundancy",
    "RegimeStudy",
    "Stationarity",
    "WindowNull",
    "adjusted",
    "clipping",
    "daily",
    "decay",
    "describe",
    "eligibility",
    "ic_after_costs",
    "information",
    "memory",
    "on_grid",
    "redundancy",
    "regime_study",
    "stationarity",
    "stationarity_of_all",
]
