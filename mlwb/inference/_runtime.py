"""onnxruntime, keeping to itself: the one module that imports it.

Since 1.29 its Linux builds report sessions, model names and hashes to their maker over the network
and leave a device number in the user's cache, unless this variable is set before the import. Who
wants that sets ``ORT_DISABLE_TELEMETRY=0``.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort  # type: ignore[import-untyped]
from onnxruntime.capi import (  # type: ignore[import-untyped]
    onnxruntime_pybind11_state as bindings,
)

__all__ = ["bindings", "ort"]
