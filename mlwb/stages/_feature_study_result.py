"""What the feature study reads and measures."""

from __future__ import annotations

from dataclasses import dataclass

from mlwb.core.clock import DAY_S
from mlwb.data import QualityReport
from mlwb.features.labels import Labels
from mlwb.params import FeatureStudyParams
from mlwb.stages.market import Prepared
from mlwb.study import (
    Clipping,
    Costed,
    Daily,
    Decay,
    Distribution,
    Eligibility,
    Information,
    Memory,
    Redundancy,
    RegimeStudy,
    Stationarity,
)

__all__ = ["Inputs", "Result"]


@dataclass(frozen=True)
class Inputs:
    """What the study reads.

    Parameters
    ----------
    params : FeatureStudyParams
        As loaded.
    prepared : Prepared
        Market and features.
    labels : Labels
        Of every bar.
    version : str
        Version the study is made for.
    psi_limit : float
        PSI a feature may reach under the policy, nats.
    """

    params: FeatureStudyParams
    prepared: Prepared
    labels: Labels
    version: str
    psi_limit: float


@dataclass(frozen=True)
class Result:
    """What the study measured, on the training window.

    Parameters
    ----------
    inputs : Inputs
        What it read.
    quality : QualityReport
        Of the market as read.
    distributions : tuple of Distribution
        One a feature.
    clipping : tuple of Clipping
        One a feature: bounds from before ``champion_end``, counted after it.
    stationarity : tuple of Stationarity
        One a feature, tested as a family.
    memory : tuple of Memory
        One a feature, on the clock.
    eligibility : tuple of Eligibility
        One a feature, for a PSI gate with the policy's limit.
    information : tuple of Information
        One a feature that varies and horizon, with the size of the coming return for a volatility
        label and the return itself for any other; adjusted over all of them.
    daily : tuple of Daily
        One a feature that varies, at the label's horizon.
    decay : tuple of Decay
        One a feature that varies, at the label's horizon.
    costs : tuple of Costed
        One a feature that varies and horizon, always with the return itself.
    regimes : tuple of RegimeStudy
        One a regime: cuts from before ``champion_end``, rows after it.
    redundancy : Redundancy
        Overlap of the features.
    base_rate : float
        Share of label 1.
    """

    inputs: Inputs
    quality: QualityReport
    distributions: tuple[Distribution, ...]
    clipping: tuple[Clipping, ...]
    stationarity: tuple[Stationarity, ...]
    memory: tuple[Memory, ...]
    eligibility: tuple[Eligibility, ...]
    information: tuple[Information, ...]
    daily: tuple[Daily, ...]
    decay: tuple[Decay, ...]
    costs: tuple[Costed, ...]
    regimes: tuple[RegimeStudy, ...]
    redundancy: Redundancy
    base_rate: float

    @property
    def held_out_days(self) -> float:
        """Length of the window after the training window, days."""
        windows = self.inputs.prepared.windows
        return (windows.end - windows.train_end) / DAY_S

    @property
    def is_traded(self) -> bool:
        """Whether the label has a sign to be held: a volatility forecast has none."""
        return self.inputs.params.label.kind != "volatility"
