"""Round the weights of a field little by little while the rest goes on training.

Incremental network quantisation (Zhou et al., ICLR 2017): in every stage the weights nearest
to their integers are rounded and frozen, and the free ones make up for it. Against rounding
all at once, or training with straight-through rounding, it lost least (docs/fitting.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_STAGES = 20


class ProgressiveRounding:
    """Which weights are frozen, and where.

    Parameters
    ----------
    steps:
        Quantisation step of each tensor.
    tensors:
        The field's tensors; frozen values are written into them by :meth:`settle`.
    """

    def __init__(self, tensors: Mapping[str, Tensor], steps: Mapping[str, float]) -> None:
        """Start with nothing frozen."""
        self._tensors, self._steps = tensors, steps
        self._frozen = {name: torch.zeros_like(tensor, dtype=torch.bool) for name, tensor in tensors.items()}
        self._stage = -1

    def advance(self, fraction: float) -> None:
        """Freeze as many weights as are due at this part of the phase."""
        stage = int(fraction * _STAGES)
        if stage == self._stage:
            return
        self._stage = stage
        for name, tensor in self._tensors.items():
            due = round((stage + 1) / (_STAGES + 1) * tensor.numel())
            self._freeze(name, tensor, due)

    def _freeze(self, name: str, tensor: Tensor, due: int) -> None:
        if not due:
            return
        step, frozen = self._steps[name], self._frozen[name]
        with torch.no_grad():
            rounded = torch.round(tensor / step) * step
            distance = (tensor - rounded).abs().masked_fill(frozen, -1.0)
            frozen |= distance <= distance.flatten().kthvalue(due).values
            tensor.copy_(torch.where(frozen, rounded, tensor))

    def free(self, name: str) -> Tensor:
        """Mask of the weights that still train, of the tensor's shape."""
        return ~self._frozen[name]

    def settle(self) -> None:
        """Round whatever is still free."""
        for name, tensor in self._tensors.items():
            self._freeze(name, tensor, tensor.numel())

    def snapshot(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"stage": self._stage, "frozen": self._frozen}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a :meth:`snapshot`."""
        self._stage = snapshot["stage"]
        for name, frozen in snapshot["frozen"].items():
            self._frozen[name].copy_(frozen)
