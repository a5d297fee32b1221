"""Broyden's good method (Broyden 1965), row by row, with its inverse Jacobian in low rank."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from i2codec.errors import OptionError
from i2codec.field.solvers.contract import ResidualRecord, Solution, Solver, Transition

_GROWTH = 10.0


@dataclass(frozen=True)
class Broyden(Solver):
    """Quasi-Newton root finding of G(z) = F(z) − z, starting from the Jacobian −I.

    A row whose residual would exceed ``_GROWTH`` times its least takes a Picard step instead:
    at the rounding floor the secants are noise, and noise divided by noise goes anywhere.

    Parameters
    ----------
    memory:
        Most rank-one updates kept; older ones are dropped, oldest first.
    """

    memory: int = 30

    def __post_init__(self) -> None:
        if self.memory < 1:
            raise OptionError(f"broyden with memory={self.memory}; expected at least 1")

    def __call__(self, transition: Transition, start: Tensor, *, max_steps: int, tolerance: float) -> Solution:
        """See :class:`Solver`."""
        record, state = ResidualRecord(tolerance), start
        image = transition(state)
        done = record.add(state=state, image=image)
        residual = direction = image - state
        least = torch.linalg.vector_norm(residual, dim=-1, keepdim=True)
        left: list[Tensor] = []  # the inverse Jacobian is −I + Σ left rightᵀ
        right: list[Tensor] = []
        while not done and len(record.values) < max_steps:
            trial = state + direction
            trial_image = transition(trial)
            trial_residual = trial_image - trial
            norm = torch.linalg.vector_norm(trial_residual, dim=-1, keepdim=True)
            accepted = norm <= _GROWTH * least  # [N, 1]; False for NaN
            change = trial_residual - residual
            inverse_change = _apply(left, right, change)
            inverse_direction = _apply(right, left, direction)
            denominator = (inverse_direction * change).sum(-1, keepdim=True)
            tiny = torch.finfo(change.dtype).tiny
            safe = torch.where(denominator.abs() > tiny, denominator, torch.ones_like(denominator))
            left = [*left, torch.where(accepted, (direction - inverse_change) / safe, 0.0)][-self.memory :]
            right = [*right, torch.where(accepted, inverse_direction, 0.0)][-self.memory :]
            state = torch.where(accepted, trial, state)
            image = torch.where(accepted, trial_image, image)
            residual = image - state
            least = torch.where(accepted, torch.minimum(least, norm), least)
            done = record.add(state=state, image=image)
            direction = torch.where(accepted, -_apply(left, right, residual), residual)
        return record.solution(image)


def _apply(left: list[Tensor], right: list[Tensor], vector: Tensor) -> Tensor:
    """(−I + Σ leftᵢ rightᵢᵀ) vector, row by row on ``[N, w]``."""
    result = -vector
    for column, row in zip(left, right, strict=True):
        result = result + column * (row * vector).sum(-1, keepdim=True)
    return result
