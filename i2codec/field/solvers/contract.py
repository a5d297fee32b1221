"""What every solver takes and returns.

Each row of the state ``[N, w]`` is a system of its own: no solver mixes rows, so after a given
number of steps a sample does not depend on its neighbours in the batch. Only a tolerance looks
at all rows together, to stop them. A file only ever names Picard steps from zero; the others
are for fitting, gradients and comparison.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Transition = Callable[[Tensor], Tensor]
"""z ``[N, w]`` → F(z) ``[N, w]``."""


@dataclass(frozen=True)
class Solution:
    """Where a solver stopped.

    Parameters
    ----------
    state:
        Last state ``[N, w]``.
    residuals:
        ``[steps]``: after each evaluation of F, ‖F(z) − z‖ / ‖F(z)‖ over all rows, at the
        state z that F was evaluated at.
    """

    state: Tensor
    residuals: Tensor

    @property
    def steps(self) -> int:
        """Number of evaluations of F."""
        return len(self.residuals)


class Solver(abc.ABC):
    """A method with its options; call it to solve."""

    @abc.abstractmethod
    def __call__(self, transition: Transition, start: Tensor, *, max_steps: int, tolerance: float) -> Solution:
        """Iterate from ``start`` ``[N, w]``.

        Parameters
        ----------
        transition:
            F, evaluated once per step.
        start:
            First state.
        max_steps:
            Most evaluations of F, at least 1.
        tolerance:
            Stop once the residual is at most this; 0 runs exactly ``max_steps`` and never
            reads a value back from the device.
        """


@dataclass
class ResidualRecord:
    """Residuals so far, kept on the device until asked for."""

    tolerance: float
    values: list[Tensor] = field(default_factory=list)

    def add(self, *, state: Tensor, image: Tensor) -> bool:
        """Note the residual of F(``state``) = ``image``; True if it meets the tolerance."""
        tiny = torch.finfo(image.dtype).tiny
        residual = torch.linalg.vector_norm(image - state) / torch.linalg.vector_norm(image).clamp(min=tiny)
        self.values.append(residual.detach())
        return self.tolerance > 0 and bool(residual <= self.tolerance)

    def solution(self, state: Tensor) -> Solution:
        """The solution that ends here."""
        return Solution(state, torch.stack(self.values))
