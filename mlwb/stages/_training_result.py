"""What training reads and what it measures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.features.labels import Labels
from mlwb.inference import Predictor
from mlwb.model import (
    Dataset,
    FittedModel,
    GroupEffect,
    OutOfFold,
    Parity,
    Scores,
    TrialResult,
)
from mlwb.params import TrainingParams
from mlwb.stages._paper import Paper
from mlwb.stages._training_proof import Proof
from mlwb.stages._training_selection import Configuration
from mlwb.stages.market import Prepared

__all__ = ["Fitted", "Inputs", "Result"]


@dataclass(frozen=True)
class Inputs:
    """What training reads.

    Parameters
    ----------
    params : TrainingParams
        As loaded.
    prepared : Prepared
        Market and features.
    labels : Labels
        Of every bar.
    train, holdout : Dataset
        Rows before and after ``windows.train_end``; no label spans the cut.
    version : str
        Of the candidate.
    champion : str
        Comparable version that serves, or an empty string: then one is trained.
    taken : tuple of str
        Versions there are.
    configuration : Configuration
        What is chosen before the held-out window is looked at.
    """

    params: TrainingParams
    prepared: Prepared
    labels: Labels
    train: Dataset
    holdout: Dataset
    version: str
    champion: str
    taken: tuple[str, ...]
    configuration: Configuration


@dataclass(frozen=True)
class Fitted:
    """A version that can be published.

    Parameters
    ----------
    version : str
        Its name.
    model : FittedModel
        Refitted on all training rows.
    predictor : Predictor
        The exported graph in the serving runtime.
    trials : tuple of TrialResult
        Everything that was tried, in order.
    chosen : TrialResult
        The one taken.
    files : mapping of str to bytes
        The version's files, without manifest.
    """

    version: str
    model: FittedModel
    predictor: Predictor
    trials: tuple[TrialResult, ...]
    chosen: TrialResult
    files: dict[str, bytes]


@dataclass(frozen=True)
class Result:
    """What training measured.

    Parameters
    ----------
    inputs : Inputs
        What it read.
    candidate : Fitted
        The new version.
    bootstrap : Fitted or None
        The champion trained on the earlier window, when there was none to compare with.
    scores, holdout : Scores
        Out of fold, and on the held-out window.
    champion_holdout : Scores or None
        The champion on the same held-out rows.
    proof : Proof
        What a cross-validated score alone does not show.
    effects : tuple of GroupEffect
        Ablation.
    segments : OutOfFold
        Walk-forward.
    paper : Paper
        Traded on paper.
    parity : Parity
        Graph against model.
    feature_mismatches, n_feature_values : int
        Online and batch features that differ in any bit, of how many compared.
    latencies : mapping of int to ndarray
        Milliseconds of a call at batch 1 and 32.
    """

    inputs: Inputs
    candidate: Fitted
    bootstrap: Fitted | None
    scores: Scores
    holdout: Scores
    champion_holdout: Scores | None
    proof: Proof
    effects: tuple[GroupEffect, ...]
    segments: OutOfFold
    paper: Paper
    parity: Parity
    feature_mismatches: int
    n_feature_values: int
    latencies: dict[int, Float1D]

    @property
    def segment_starts(self) -> Int1D:
        """When each walk-forward segment begins, seconds since 1970."""
        t0 = self.inputs.train.t0
        return np.asarray([t0[split.test[0]] for split in self.segments.splits], dtype=np.int64)

    @property
    def segment_returns(self) -> Float1D | None:
        """What each walk-forward segment earned after costs; None where the rule is no bet."""
        if not self.paper.is_bet:
            return None
        t0, ts, net = self.inputs.train.t0, self.paper.ts, self.paper.ledger.net
        spans = (
            (t0[split.test[i]] - INTERVAL_S for i in (0, -1)) for split in self.segments.splits
        )
        return np.asarray([net[(ts >= first) & (ts <= last)].sum() for first, last in spans])
