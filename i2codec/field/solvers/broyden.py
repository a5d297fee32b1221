"""Broyden's good method (Broyden 1965), row by row, with its inverse Jacobian in low rank."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from i2codec.field.solvers.contract import ResidualRecord, Solution, Solver, Transition


@dataclass(frozen=True)
class Broyden(Solver):
    """Quasi-Newton root finding of G(z) = F(z) − z, starting from the Jacobian −I.

    Parameters
    ----------
    memory:
        Most rank-one updates kept; older ones are dropped, oldest first.
    """

    memory: int = 30

    def __call__(self, transition: Transition, start: Tensor, *, max_steps: int, tolerance: float) -> Solution:
        """See :class:`Solver`."""
        record, state = ResidualRecord(tolerance), start
        image = transition(state)
        done = record.add(state=state, image=image)
        residual, direction = image - state, image - state
        left: list[Tensor] = []  # the inverse Jacobian is −I + Σ left rightᵀ
        right: list[Tensor] = []
        while not done and len(record.values) < max_steps:
            state = state + direction
            image = transition(state)
            done = record.add(state=state, image=image)
            change = image - state - residual
            residual = image - state
            inverse_change = _apply(left, right, change)
            inverse_direction = _apply(right, left, direction)
            denominator = (inverse_direction * change).sum(-1, keepdim=True)
            tiny = torch.finfo(change.dtype).tiny
            safe = torch.where(denominator.abs() > tiny, denominator, torch.ones_like(denominator))
            left = [*left, (direction - inverse_change) / safe][-self.memory :]
            right = [*right, inverse_direction][-self.memory :]
            direction = -_apply(left, right, residual)
        return record.solution(image)


def _apply(left: list[Tensor], right: list[Tensor], vector: Tensor) -> Tensor:
    """(−I + Σ leftᵢ rightᵢᵀ) vector, row by row on ``[N, w]``."""
    result = -vector
    for column, row in zip(left, right, strict=True):
        result = result + column * (row * vector).sum(-1, keepdim=True)
    return result
