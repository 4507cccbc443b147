"""What features are, before any model: distribution, stationarity, information, redundancy.

Belongs here: descriptive statistics with their uncertainty, arrays in and frozen results out.
Does not belong here: fitting a model (``model``), drawing (``report``), or a verdict (``gates``).
"""

from mlwb.study._describe import Distribution, Redundancy, describe, redundancy
from mlwb.study._information import Information, effective_n, information
from mlwb.study._stationarity import Stationarity, stationarity

__all__ = [
    "Distribution",
    "Information",
    "Redundancy",
    "Stationarity",
    "describe",
    "effective_n",
    "information",
    "redundancy",
    "stationarity",
]
