"""SOAP: Adam in the eigenbases of Shampoo's preconditioners, for small matrices.

Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024, algorithm 3. The networks of
a grid field are a few matrices of at most some dozens of rows, and the steps that a fit takes are
few: what a step of this costs is little beside the forward pass, and what it saves is much
(docs/grid.md). Stacks of matrices are done at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_TINY = 1e-8
_LARGEST_SIDE = 256


class Soap(torch.optim.Optimizer):
    """Steps of Adam on gradients that are rotated into where their covariances are diagonal.

    The last two dimensions of a parameter are a matrix, those before them count a stack of such. A
    side longer than 256 is not rotated. The first step moves nothing: it finds the bases.

    Parameters
    ----------
    parameters:
        What to train, of two dimensions or more, or groups of it.
    lr:
        The size of a step, as Adam's.
    betas:
        How much the averages of gradients, and of their squares and covariances, keep from step to step.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.95, 0.95),
    ) -> None:
        """Hold the parameters."""
        super().__init__(parameters, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; there is no closure."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, lr=group["lr"], betas=group["betas"])

    def _move(self, parameter: Tensor, gradient: Tensor, *, lr: float, betas: tuple[float, float]) -> None:
        gradient, state = gradient.reshape(-1, *gradient.shape[-2:]), self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"], state["squares"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            state["covariances"] = [_empty(gradient, side) for side in gradient.shape[-2:]]
            state["bases"] = [None, None]
        else:
            state["step"] += 1
            state["mean"].lerp_(gradient, 1.0 - betas[0])
            state["squares"].lerp_(_rotated(gradient, state["bases"]).square(), 1.0 - betas[1])
            mean = _rotated(state["mean"], state["bases"]) / (1.0 - betas[0] ** state["step"])
            deviation = (state["squares"] / (1.0 - betas[1] ** state["step"])).sqrt()
            # in bases that stay, a mean is never longer: only where they turned is this a bound
            step = (mean / (deviation + _TINY)).clamp(-1.0, 1.0)
            parameter.sub_(_rotated(step, state["bases"], back=True).reshape(parameter.shape), alpha=lr)
        self._turn(state, gradient, keep=betas[1])

    @staticmethod
    def _turn(state: dict[str, Any], gradient: Tensor, *, keep: float) -> None:
        """The bases, after the covariances took in a gradient: one power iteration from those of before."""
        outer = gradient @ gradient.mT, gradient.mT @ gradient
        for side, covariance in enumerate(state["covariances"]):
            if covariance is None:
                continue
            covariance.lerp_(outer[side], 1.0 - keep)
            before, exact = state["bases"][side], covariance.double()  # squares of squares are too small for float32
            turned = torch.linalg.eigh(exact).eigenvectors.flip(-1) if before is None else exact @ before.double()
            state["bases"][side] = torch.linalg.qr(turned).Q.to(covariance.dtype)


def _empty(gradient: Tensor, side: int) -> Tensor | None:
    """A covariance of 0, or none for a side that is too short to have one, or too long."""
    return gradient.new_zeros(len(gradient), side, side) if 1 < side <= _LARGEST_SIDE else None


def _rotated(matrices: Tensor, bases: list[Tensor | None], *, back: bool = False) -> Tensor:
    """Qₗᵀ M Qᵣ, or back: Qₗ M Qᵣᵀ."""
    left, right = bases
    if left is not None:
        matrices = (left if back else left.mT) @ matrices
    if right is not None:
        matrices = matrices @ (right.mT if back else right)
    return matrices
