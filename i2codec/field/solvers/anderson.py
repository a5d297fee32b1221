"""Anderson acceleration (Walker, Ni, "Anderson acceleration for fixed-point iterations", 2011)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from i2codec.errors import OptionError
from i2codec.field.solvers.contract import ResidualRecord, Solution, Solver, Transition


@dataclass(frozen=True)
class Anderson(Solver):
    """The affine mix of the last images whose residuals cancel best, row by row.

    Parameters
    ----------
    window:
        Number of past images mixed, at least 1.
    ridge:
        Ridge of the least-squares problem, relative to the largest squared residual.
    """

    window: int = 5
    ridge: float = 1e-10

    def __post_init__(self) -> None:
        if self.window < 1 or not self.ridge > 0.0:
            raise OptionError(f"anderson with window={self.window}, ridge={self.ridge}; expected window ≥ 1, ridge > 0")

    def __call__(self, transition: Transition, start: Tensor, *, max_steps: int, tolerance: float) -> Solution:
        """See :class:`Solver`."""
        record, state = ResidualRecord(tolerance), start
        images: list[Tensor] = []
        residuals: list[Tensor] = []
        for _ in range(max_steps):
            image = transition(state)
            if record.add(state=state, image=image):
                break
            images = [*images, image][-self.window :]
            residuals = [*residuals, image - state][-self.window :]
            state = self._mix(torch.stack(images, dim=1), torch.stack(residuals, dim=1))
        return record.solution(image)

    def _mix(self, images: Tensor, residuals: Tensor) -> Tensor:
        """Σ αᵢ imageᵢ with Σ αᵢ = 1 minimising ‖Σ αᵢ residualᵢ‖, of ``[N, m, w]`` each."""
        wide = residuals.double()  # squares of float32 residuals lose α near convergence
        gram = wide @ wide.mT  # [N, m, m]
        largest = gram.diagonal(dim1=-2, dim2=-1).amax(dim=-1)[:, None, None].clamp(min=1e-300)
        identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        ones = torch.ones(gram.shape[:-1], dtype=gram.dtype, device=gram.device)
        # solve_ex, because solve reads back from the device whether it failed; the ridge keeps it from failing
        weights, _ = torch.linalg.solve_ex(gram / largest + self.ridge * identity, ones)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return torch.einsum("nm,nmw->nw", weights.to(images.dtype), images)
