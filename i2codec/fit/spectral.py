"""The spectral norm followed from step to step, for fitting.

A singular value decomposition in every optimiser step took 28 % of its time at width 128 (profiled
on a loaded machine), and its gradient came on top. Weights move little per step, so two power
iterations from the last singular vector keep up (as in Miyato et al., "Spectral Normalization",
ICLR 2018, section 2.1). The plain twin is ``ImplicitField.state_scale``; what a file stores is
proved by a decomposition in any case.
"""

from __future__ import annotations

import torch
from torch import Tensor

from i2codec.field.architecture import Norm
from i2codec.field.module import ImplicitField

_ITERATIONS = 2


class FollowedScale:
    """The state's scale s of a field while its weights move.

    ``vectors`` are the right singular vectors of ‖A_l‖ by layer, state for a checkpoint.
    """

    def __init__(self, field: ImplicitField) -> None:
        """Follow ``field``."""
        self._field = field
        self.vectors: dict[str, Tensor] = {}

    def __call__(self) -> Tensor:
        """s = min(1, c / ∏‖A_l‖), a scalar with gradient."""
        architecture = self._field.architecture
        if architecture.norm is not Norm.SPECTRAL or self._field.fixed_state_scale is not None:
            return self._field.state_scale()
        gains = [self._norm(f"A_{level}") for level in range(1, architecture.depth + 1)]
        gain = torch.stack(gains).prod()
        least = max(architecture.contraction, torch.finfo(gain.dtype).tiny)
        scale: Tensor = architecture.contraction / gain.clamp(min=least)
        return scale

    def _norm(self, name: str) -> Tensor:
        """‖A v‖ at the followed vector v: its derivative is that of ‖A‖, u vᵀ."""
        weight: Tensor = self._field.tensors[name]
        with torch.no_grad():
            if name not in self.vectors:
                self.vectors[name] = torch.linalg.svd(weight).Vh[0]
            vector = self.vectors[name]
            for _ in range(_ITERATIONS):
                vector = torch.nn.functional.normalize(weight.mT @ (weight @ vector), dim=0)
            self.vectors[name] = vector
        norm: Tensor = torch.linalg.vector_norm(weight @ vector)
        return norm
