"""The layers of a lattice as a torch module: the same equations as ``lattice_stored``, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from i2codec.field.grid_module import GridField
from i2codec.field.lattice_stored import LARGEST_MAGNITUDE


class LatticeField(GridField):
    """q ↦ a, from latents of a lattice to the amplitudes of its atoms, one channel at a time."""

    def injection(self, q: Tensor) -> Tensor:
        """u = E₂ relu(E₁ min(|q|, 4) + e₁) + e₂ ``[S, frames, frequencies]``."""
        values = q.abs().clamp(max=LARGEST_MAGNITUDE).reshape(1, -1)
        hidden = torch.relu(torch.addmm(self.tensors["e_1"][:, None], self.tensors["E_1"], values))
        u = torch.addmm(self.tensors["e_2"][:, None], self.tensors["E_2"], hidden)
        return u.reshape(-1, *q.shape)

    def amplitudes(self, q: Tensor, z: Tensor, positions: Tensor) -> Tensor:
        """a = 2^gain (q + clamp(q, −1, 1) (W z + b)), of ``positions`` ``[features, frequencies]``."""
        change = self.read_out(z)[0]
        return self.gains(positions) * (q + q.clamp(-1.0, 1.0) * change)

    def gains(self, positions: Tensor) -> Tensor:
        """2^gain ``[frequencies]``."""
        gains: Tensor = self.tensors["gains"]
        return torch.exp2(gains[0] + gains[1:] @ positions)
