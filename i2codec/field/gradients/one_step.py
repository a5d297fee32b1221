"""The one-step gradient (Huang, Bai, Kolter, "(Implicit)²", NeurIPS 2021, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from i2codec.field.gradients.contract import Gradient
from i2codec.field.solvers.contract import Transition


@dataclass(frozen=True)
class OneStep(Gradient):
    """One application of F with gradient: (I − J)⁻¹ is taken as I."""

    def __call__(self, transition: Transition, fixed_point: Tensor) -> Tensor:
        """See :class:`Gradient`."""
        return transition(fixed_point.detach())
