"""Market data: read, judged, or made up; one canonical frame of 1-minute bars.

Belongs here: source profiles, calendars, the quality report, the synthetic market.
Does not belong here: features and labels, limits and verdicts. What speaks to a network is a door
of its own, :mod:`mlwb.data.fetch`, which nothing here imports.
"""

from mlwb.data._calendars import CALENDARS, Calendar, open_minutes
from mlwb.data._clocks import CLOCKS
from mlwb.data._defects import DefectPlan, Injected, inject_defects
from mlwb.data._facts import FACTS, Fact, market_facts
from mlwb.data._market import InputFile, Market, Quality, RawBars, SourceInfo, to_bars
from mlwb.data._profile import SourceProfile
from mlwb.data._profiles import PROFILES, describe, profile_names
from mlwb.data._quality import quality
from mlwb.data._read import load_market, read_market
from mlwb.data._report import Count, Finding, QualityReport, counted
from mlwb.data._simulate import Regime, simulate_market
from mlwb.data._write import write_market

__all__ = [
    "CALENDARS",
    "CLOCKS",
    "FACTS",
    "PROFILES",
    "Calendar",
    "Count",
    "DefectPlan",
    "Fact",
    "Finding",
    "Injected",
    "InputFile",
    "Market",
    "Quality",
    "QualityReport",
    "RawBars",
    "Regime",
    "SourceInfo",
    "SourceProfile",
    "counted",
    "describe",
    "inject_defects",
    "load_market",
    "market_facts",
    "open_minutes",
    "profile_names",
    "quality",
    "read_market",
    "simulate_market",
    "to_bars",
    "write_market",
]
