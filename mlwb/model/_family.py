"""What a family of models must be able to do; a new one is one small class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx

from mlwb.core.arrays import AnyArray, Float1D

__all__ = ["Family", "Trial"]


@dataclass(frozen=True)
class Trial:
    """One configuration that can be tried.

    Parameters
    ----------
    family : str
        ``logistic``, ``boosting``, or where another :class:`Family` is: ``package.module:NAME``,
        ``file.py:NAME``.
    c : float, default=1.0
        Inverse L2 strength of the logistic family; unused elsewhere.
    seed : int, default=0
        Random state of the fit.
    settings : tuple of (str, float), default=()
        One choice from the family's ``grid``, in its order.

    Examples
    --------
    >>> Trial("logistic", 0.1).name, Trial("my.trees:FOREST", settings=(("depth", 6.0),)).name
    ('logistic C=0.1', 'FOREST depth=6')
    """

    family: str
    c: float = 1.0
    seed: int = 0
    settings: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """Short text for tables, ``logistic C=0.1``."""
        said = [("C", self.c)] if self.family == "logistic" else []
        short = self.family.rpartition(":")[2]
        return " ".join([short, *(f"{key}={value:g}" for key, value in (*said, *self.settings))])


class Family(ABC):
    """A kind of classifier: how it is built, fitted, and written as an ONNX graph.

    Parity is kept by one rule: a family names the ``dtype`` its graph computes in, and the
    classifier is fitted, and asked, on values of that type. Linear models take float64; trees,
    whose ONNX form holds float32 thresholds, take float32.

    Attributes
    ----------
    dtype : type
        ``numpy.float64`` or ``numpy.float32``.
    grid : mapping of str to tuple of float
        Settings that a search tries, every combination; empty for one trial.
    """

    dtype: ClassVar[type[np.float64 | np.float32]] = np.float64
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {}

    @abstractmethod
    def build(self, trial: Trial) -> Any:
        """An unfitted classifier with the ``fit`` and ``predict_proba`` of scikit-learn."""

    @abstractmethod
    def graph(self, classifier: Any, n_features: int) -> onnx.ModelProto:
        """The fitted classifier as a graph.

        One input, scaled features of :attr:`dtype` and shape (n, n_features); one output, the
        probability of label 1, shape (n,). :func:`mlwb.model.convert_graph` makes it of what
        ``skl2onnx`` can convert, :func:`mlwb.model.make_graph` of nodes.
        """

    def fit(self, classifier: Any, X: AnyArray, y: Float1D, weight: Float1D | None) -> None:
        """Fit in place.

        Parameters
        ----------
        classifier : object
            As :meth:`build` made it.
        X : ndarray of shape (n_rows, n_features)
            Scaled rows of :attr:`dtype`.
        y : ndarray of shape (n_rows,), float64
            0 or 1.
        weight : ndarray of shape (n_rows,), float64, or None
            Mean 1; None where all rows count alike.
        """
        classifier.fit(X, y, sample_weight=weight)

    def thresholds(self, classifier: Any, column: int) -> Float1D:  # noqa: ARG002 - for families that split
        """Values of a scaled feature at which the prediction jumps; parity is measured on them."""
        return np.empty(0)
