"""Figures for notebooks: each says its message in a title computed from the data.

Every function returns a :class:`Figure`: PNG with alternative text, the same bytes for the same
data. Where there is nothing to draw, it says so.
"""

from __future__ import annotations

from mlwb.core.bars import MID
from mlwb.report._figure import Figure
from mlwb.report._figures_data import distributions, market
from mlwb.report._figures_drift import psi_bins, psi_by_feature, psi_rolling
from mlwb.report._figures_losses import losses
from mlwb.report._figures_memory import daily, decay, eligibility, memory
from mlwb.report._figures_model import (
    ablation,
    calibration,
    fold_auc,
    importance,
    walk_forward,
)
from mlwb.report._figures_panels import drift_panels
from mlwb.report._figures_paper import paper
from mlwb.report._figures_study import costs, information, redundancy, regimes
from mlwb.report._figures_traffic import agreement, latency
from mlwb.report._rollout import rollout_figure as rollout

__all__ = [
    "MID",
    "Figure",
    "ablation",
    "agreement",
    "calibration",
    "costs",
    "daily",
    "decay",
    "distributions",
    "drift_panels",
    "eligibility",
    "fold_auc",
    "importance",
    "information",
    "latency",
    "losses",
    "market",
    "memory",
    "paper",
    "psi_bins",
    "psi_by_feature",
    "psi_rolling",
    "redundancy",
    "regimes",
    "rollout",
    "walk_forward",
]
