"""Picard iteration, z ← F(z): converges for every contraction, from every start."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from i2codec.field.solvers.contract import ResidualRecord, Solution, Solver, Transition


@dataclass(frozen=True)
class Picard(Solver):
    """Plain fixed-point iteration. After a step the error is at most c times what it was."""

    def __call__(self, transition: Transition, start: Tensor, *, max_steps: int, tolerance: float) -> Solution:
        """See :class:`Solver`."""
        record, state = ResidualRecord(tolerance), start
        for _ in range(max_steps):
            image = transition(state)
            if record.add(state=state, image=image):
                break
            state = image
        return record.solution(image)
