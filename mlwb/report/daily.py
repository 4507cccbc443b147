"""The pages of days and weeks: self-contained, the same bytes for the same numbers."""

from __future__ import annotations

from mlwb.report._daily_figure import trends
from mlwb.report._daily_money import money
from mlwb.report._daily_page import render_day, render_week
from mlwb.report._daily_panels import panels

__all__ = ["money", "panels", "render_day", "render_week", "trends"]
