"""The phantom gradient (Geng et al., "On Training Implicit Models", NeurIPS 2021, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from i2codec.errors import OptionError
from i2codec.field.gradients.contract import Gradient
from i2codec.field.solvers.contract import Transition


@dataclass(frozen=True)
class Phantom(Gradient):
    """``terms`` damped applications of F with gradient.

    With ``damping`` 1 this is the Neumann series (I − J)⁻¹ ≈ Σ Jⁱ cut after ``terms`` terms.
    """

    terms: int = 5
    damping: float = 1.0

    def __post_init__(self) -> None:
        if self.terms < 1 or not 0.0 < self.damping <= 1.0:
            raise OptionError(
                f"phantom gradient with terms={self.terms}, damping={self.damping}; expected terms ≥ 1, 0 < damping ≤ 1"
            )

    def __call__(self, transition: Transition, fixed_point: Tensor) -> Tensor:
        """See :class:`Gradient`."""
        state = fixed_point.detach()
        for _ in range(self.terms):
            state = transition(state) if self.damping == 1.0 else state.lerp(transition(state), self.damping)
        return state
