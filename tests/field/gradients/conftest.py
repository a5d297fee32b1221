from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.gradients import Gradient
from i2codec.field.module import ImplicitField, initial_tensors
from i2codec.field.solvers import Picard, Transition


def cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


@dataclass(frozen=True)
class Problem:
    """A field and what it should become, with gradients through the bound s(A)."""

    field: ImplicitField
    x: Tensor
    target: Tensor

    def transition(self) -> Transition:
        return functools.partial(self.field.layer, injection=self.field.inject(self.x), scale=self.field.state_scale())

    def start(self) -> Tensor:
        return torch.zeros(len(self.x), self.field.architecture.width, dtype=self.field.tensors["A_1"].dtype)

    @torch.no_grad()
    def solve(self, *, max_steps: int = 600) -> Tensor:
        return Picard()(self.transition(), self.start(), max_steps=max_steps, tolerance=0.0).state

    @torch.no_grad()
    def measured_ratio(self) -> float:
        """How much the residual shrinks per step, once the slowest rows are left."""
        residuals = Picard()(self.transition(), self.start(), max_steps=30, tolerance=0.0).residuals
        return float((residuals[29] / residuals[19]) ** 0.1)

    def loss_gradient(self, gradient: Gradient) -> Tensor:
        """Gradient of the loss over all parameters, at the fixed point."""
        return self._gradient_at(gradient(self.transition(), self.solve()))

    def unrolled_gradient(self) -> Tensor:
        """The same through every Picard step from zero."""
        transition, state = self.transition(), self.start()
        for _ in range(150):
            state = transition(state)
        return self._gradient_at(state)

    def cosine(self, gradient: Gradient) -> float:
        return cosine(self.loss_gradient(gradient), self.unrolled_gradient())

    def _gradient_at(self, state: Tensor) -> Tensor:
        loss = torch.nn.functional.mse_loss(self.field.read_out(state), self.target)
        gradients = torch.autograd.grad(loss, list(self.field.tensors.values()))
        return torch.cat([gradient.flatten() for gradient in gradients])


def make_problem(
    filter: Filter = Filter.SIREN, *, depth: int = 1, width: int = 8, contraction: float = 0.97
) -> Problem:
    """A random field in float64 whose recurrence matters: ‖A_l‖ is spread over all directions."""
    architecture = Architecture(filter, width, depth, 2, 2, norm=Norm.SPECTRAL, contraction=contraction)
    generator = torch.Generator().manual_seed(3)
    tensors = initial_tensors(architecture, frequencies=(1.5, 1.5), generator=generator)
    for level in range(1, depth + 1):
        tensors[f"A_{level}"] = torch.linalg.qr(tensors[f"A_{level}"]).Q + 0.1 * tensors[f"A_{level}"]
    x = 2.0 * torch.rand(40, 2, generator=generator, dtype=torch.float64) - 1.0
    target = torch.rand(40, 2, generator=generator, dtype=torch.float64)
    return Problem(ImplicitField(architecture, tensors, steps=64).double(), x, target)


@pytest.fixture(scope="session")
def problem() -> Problem:
    problem = make_problem()
    assert problem.measured_ratio() >= 0.5
    return problem


@pytest.fixture(scope="session")
def problem_of() -> Callable[..., Problem]:
    return make_problem
