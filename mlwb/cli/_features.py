"""``mlwb features``."""

from __future__ import annotations

import typer

from mlwb.cli import _features_served, _features_study, _features_table

__all__ = ["add"]


def add(app: typer.Typer) -> None:
    """Register the commands."""
    features = typer.Typer(help="Features: what they are and whether they are worth anything.")
    features.callback()(_about)
    _features_study.add(features)
    _features_table.add(features)
    _features_served.add(features)
    app.add_typer(features, name="features")


def _about() -> None:
    """Features: what they are and whether they are worth anything."""
