"""The exact implicit gradient (Bai, Kolter, Koltun, "Deep Equilibrium Models", 2019, theorem 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from i2codec.errors import OptionError
from i2codec.field.gradients.contract import Gradient
from i2codec.field.solvers import Transition, get_solver


@dataclass(frozen=True)
class Implicit(Gradient):
    """The implicit function theorem: the adjoint solves the linear system u = v + Jᵀ u.

    The reference that the cheap gradients are tested against.

    Parameters
    ----------
    solver:
        Name of the solver of the linear system.
    max_steps:
        Most products with Jᵀ.
    tolerance:
        Relative residual at which the linear solve stops.
    """

    solver: str = "picard"
    max_steps: int = 200
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        get_solver(self.solver)
        if self.max_steps < 1 or not self.tolerance >= 0.0:
            raise OptionError(
                f"implicit gradient with max_steps={self.max_steps}, tolerance={self.tolerance}; "
                "expected max_steps ≥ 1, tolerance ≥ 0"
            )

    def __call__(self, transition: Transition, fixed_point: Tensor) -> Tensor:
        """See :class:`Gradient`."""
        state = transition(fixed_point.detach())
        if not state.requires_grad:
            return state
        anchor = state.detach().requires_grad_()
        image = transition(anchor)
        solve = get_solver(self.solver)

        def adjoint(incoming: Tensor) -> Tensor:
            """The solution u of u = incoming + (∂F/∂z)ᵀ u."""

            def step(u: Tensor) -> Tensor:
                (product,) = torch.autograd.grad(image, anchor, u, retain_graph=True)
                return incoming + product

            return solve(step, incoming, max_steps=self.max_steps, tolerance=self.tolerance).state

        state.register_hook(adjoint)  # type: ignore[no-untyped-call]
        return state
