"""The bound that makes F a contraction, proved on stored weights.

F shrinks differences of the state by at least s · ∏‖A_l‖, because sin is 1-Lipschitz and
every filter is bounded by 1. Only the way in of the state is scaled, s = min(1, c / ∏‖A_l‖),
so the injection keeps its full strength.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import FitError, OptionError
from i2codec.field.architecture import Architecture, Norm

# Relative error of float32 matrix products and of the SVD, with room: the proof is about
# real numbers, the decoder runs in float32.
_MARGIN = 1e-5


def operator_norm(matrix: NDArray[np.float32], norm: Norm) -> float:
    """Norm of a matrix as an operator on states, from its singular values or row sums.

    Infinite where an entry is not finite, so that no bound is ever proved from it.
    """
    if norm is Norm.NONE:
        raise OptionError("the unbounded layer has no norm to prove; choose spectral or sup")
    if not np.isfinite(matrix).all():
        return math.inf
    wide = matrix.astype(np.float64)
    return float(np.linalg.norm(wide, 2 if norm is Norm.SPECTRAL else np.inf))


def layer_gain(architecture: Architecture, tensors: Mapping[str, NDArray[np.float32]]) -> float:
    """∏‖A_l‖ in the architecture's norm."""
    return math.prod(
        operator_norm(tensors[f"A_{level}"], architecture.norm) for level in range(1, architecture.depth + 1)
    )


def proved_state_scale(architecture: Architecture, tensors: Mapping[str, NDArray[np.float32]]) -> float:
    """The scale s for which F provably contracts by c; exactly representable as float32.

    Raises
    ------
    FitError
        If a weight is not finite.
    """
    gain = layer_gain(architecture, tensors)
    if not math.isfinite(gain):
        raise FitError("the layer's weights are not finite, so no contraction can be proved; lower the learning rate")
    if gain * (1.0 + _MARGIN) <= architecture.contraction:
        return 1.0
    scale = np.float32(architecture.contraction / (gain * (1.0 + _MARGIN)))
    return float(np.nextafter(scale, np.float32(0.0)))


def contraction_factor(
    architecture: Architecture, tensors: Mapping[str, NDArray[np.float32]], state_scale: float
) -> float:
    """Proved bound s · ∏‖A_l‖ on how much F shrinks differences of the state; infinite if a weight is not finite."""
    gain = layer_gain(architecture, tensors)
    return state_scale * gain if math.isfinite(gain) else math.inf


def readout_gain(architecture: Architecture, tensors: Mapping[str, NDArray[np.float32]], state_scale: float) -> float:
    """‖W‖ / (1 − c): how much an error in the injection can be amplified on its way out; infinite if c ≥ 1."""
    factor = contraction_factor(architecture, tensors, state_scale)
    return operator_norm(tensors["W"], architecture.norm) / (1.0 - factor) if factor < 1.0 else math.inf
