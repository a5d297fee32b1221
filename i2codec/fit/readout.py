"""The readout solved, not trained: W and b are linear, so their best values for a state are known.

Variable projection (Golub, Pereyra, "The differentiation of pseudo-inverses and nonlinear least
squares problems whose variables separate", SIAM J. Numer. Anal. 10, 1973): all other parameters
are moved by the gradient at the best readout.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from i2codec.field.module import ImplicitField

_RIDGE = 1e-4  # of the states' unit variance: what two states share is not told apart by huge weights
_MEMORY = 0.9  # of the batches before: one batch has few points for each weight


class ReadoutSolver:
    """Normal equations of the readout, averaged over the last batches.

    ``equations`` are their two sides, state for a checkpoint.
    """

    def __init__(self, field: ImplicitField) -> None:
        """Solve for W and b of ``field``."""
        self._field = field
        self.equations: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def solve(self, state: Tensor, targets: Tensor, *, whole: bool) -> None:
        """Set W and b to the ridge regression of ``targets`` ``[N, C]`` on states ``[N, w]``.

        ``whole`` says that these are all points there are, so nothing is remembered from the last batch.
        """
        design = torch.cat([state, state.new_ones(len(state), 1)], dim=1)
        left, right = ((design.T @ side).double() / len(state) for side in (design, targets))
        if self.equations is not None and not whole:
            left = _MEMORY * self.equations[0] + (1.0 - _MEMORY) * left
            right = _MEMORY * self.equations[1] + (1.0 - _MEMORY) * right
        self.equations = left, right
        solution = torch.linalg.solve(left + _RIDGE * torch.eye(len(left), dtype=left.dtype, device=left.device), right)
        self._field.tensors["W"].copy_(solution[:-1].T)
        self._field.tensors["b"].copy_(solution[-1])

    def snapshot(self) -> Any:
        """State for a checkpoint."""
        return self.equations

    def restore(self, state: Any) -> None:
        """Go on from a checkpoint."""
        device = self._field.tensors["W"].device
        self.equations = None if state is None else (state[0].to(device), state[1].to(device))
