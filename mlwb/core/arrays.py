"""Array aliases used in every signature."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["AnyArray", "Bool1D", "Float1D", "Float2D", "FloatArray", "Int1D", "Int2D"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
Float1D: TypeAlias = npt.NDArray[np.float64]
Float2D: TypeAlias = npt.NDArray[np.float64]
Int1D: TypeAlias = npt.NDArray[np.int64]
Int2D: TypeAlias = npt.NDArray[np.int64]
Bool1D: TypeAlias = npt.NDArray[np.bool_]
AnyArray: TypeAlias = npt.NDArray[Any]
