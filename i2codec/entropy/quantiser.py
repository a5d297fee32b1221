"""Uniform quantisation of tensors, with steps that the file stores as half floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def storable_step(step: float) -> float:
    """The nearest step that a half float holds: normal, above 0, finite."""
    limits = np.finfo(np.float16)
    return float(np.float16(np.clip(step, float(limits.smallest_normal), float(limits.max))))


def quantise(values: NDArray[np.floating], *, step: float) -> NDArray[np.int64]:
    """Nearest integers to ``values / step``, of the same shape; ties go to even."""
    return np.rint(values.astype(np.float64) / step).astype(np.int64)


def dequantise(integers: NDArray[np.int64], *, step: float) -> NDArray[np.float32]:
    """``integers · step`` as float32, of the same shape."""
    return (integers * np.float64(step)).astype(np.float32)
