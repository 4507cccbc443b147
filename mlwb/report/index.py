"""The index page of a run and the list of all runs: self-contained, the same bytes every time."""

from __future__ import annotations

from mlwb.report._index_page import render_index
from mlwb.report._index_view import (
    Command,
    IndexView,
    KeyNumber,
    MarketFacts,
    ReportLink,
    RunEntry,
    Stopped,
    key_numbers,
)
from mlwb.report._runs_page import render_runs

__all__ = [
    "Command",
    "IndexView",
    "KeyNumber",
    "MarketFacts",
    "ReportLink",
    "RunEntry",
    "Stopped",
    "key_numbers",
    "render_index",
    "render_runs",
]
