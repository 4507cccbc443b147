"""What PSI validation reads."""

from __future__ import annotations

from dataclasses import dataclass

from mlwb.core.arrays import Float1D, Int1D
from mlwb.inference import VersionReference
from mlwb.params import LabelParams, PsiValidationParams
from mlwb.stages.market import Prepared

__all__ = ["Inputs", "Limits"]


@dataclass(frozen=True)
class Limits:
    """Numbers of the policy that readings are held against.

    Parameters
    ----------
    feature, overall, prediction : float
        PSI of one feature, of their mean, of the score; nats.
    level : float
        p values up to this one speak for a change.
    sure : float
        The same where chance alone reaches the limit.
    loss_tolerance : float
        Rise of the daily Brier loss that is accepted.
    loss_evidence : float
        Evidence for a rise, as an e-value, that is harm.
    """

    feature: float
    overall: float
    prediction: float
    level: float
    sure: float
    loss_tolerance: float
    loss_evidence: float


@dataclass(frozen=True)
class Inputs:
    """What PSI validation reads.

    Parameters
    ----------
    params : PsiValidationParams
        As loaded.
    version : str
        Of the candidate.
    reference : VersionReference
        Frozen in training, with its digest.
    current : mapping of str to ndarray
        Held-out values of every feature on full days, and the candidate's scores on them.
    ts : ndarray of int64
        Unix second of each held-out row.
    prepared : Prepared
        Market and features.
    label : LabelParams
        What the version predicts, as its training says.
    limits : Limits
        Of the policy.
    """

    params: PsiValidationParams
    version: str
    reference: VersionReference
    current: dict[str, Float1D]
    ts: Int1D
    prepared: Prepared
    label: LabelParams
    limits: Limits
