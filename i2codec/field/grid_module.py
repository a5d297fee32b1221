"""The synthesis of a grid field as torch modules: the same equations as ``grid_stored``, with gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import interpolation_matrix, level_extents


class LatentReader(nn.Module):
    """Reads a pyramid of latents on one product of positions, such as a shifted native grid.

    Parameters
    ----------
    extents:
        Native samples per axis of the whole.
    positions:
        Native positions per axis.
    levels:
        Which of them to read; the finest may be left out.
    """

    def __init__(self, extents: tuple[int, ...], positions: Sequence[NDArray[np.floating]], *, levels: range) -> None:
        """Prepare one matrix for each level and axis; where a level is read at its nodes there is none."""
        super().__init__()
        self._names: list[list[str | None]] = []
        for level in levels:
            names: list[str | None] = []
            for axis, count in enumerate(level_extents(extents, level)):
                matrix = interpolation_matrix(positions[axis], node_count=count, level=level)
                if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
                    names.append(None)
                    continue
                name = f"matrix_{level}_{axis}"
                self.register_buffer(name, torch.from_numpy(matrix), persistent=False)
                names.append(name)
            self._names.append(names)

    def forward(self, latents: Sequence[Tensor]) -> Tensor:
        """Latents ``[*planes, *nodes]`` of the levels read, finest first → values ``[levels · planes, *grid]``."""
        return torch.cat([self._read(latent, names) for latent, names in zip(latents, self._names, strict=True)])

    def _read(self, latent: Tensor, names: Sequence[str | None]) -> Tensor:
        for axis, name in enumerate(names, -len(names)):
            if name is not None:
                matrix: Tensor = getattr(self, name)
                latent = torch.tensordot(matrix, latent, dims=([1], [axis])).movedim(0, axis)
        return latent.reshape(-1, *latent.shape[-len(names) :])


class GridField(nn.Module):
    """v ↦ Φ, a grid field's explicit layer, implicit layer and readout.

    Parameters
    ----------
    architecture:
        Sizes.
    tensors:
        Parameters of the synthesis by name.
    contraction:
        Bound c that A is scaled to by rows, with gradient; ``None`` takes A as it is (a stored
        network, or the unrolled twin).
    """

    def __init__(
        self, architecture: GridArchitecture, tensors: Mapping[str, Tensor], *, contraction: float | None = None
    ) -> None:
        """Hold ``tensors`` as parameters, without copying them."""
        super().__init__()
        self.architecture = architecture
        self.tensors = nn.ParameterDict({name: nn.Parameter(tensor) for name, tensor in tensors.items()})
        self.contraction = contraction

    @classmethod
    def from_stored(cls, network: StoredGridNetwork) -> Self:
        """The module that computes what a stored network decodes to."""
        tensors = {name: torch.from_numpy(np.array(tensor)) for name, tensor in network.tensors.items()}
        return cls(network.architecture, tensors).requires_grad_(False)

    def stored_tensors(self) -> dict[str, Tensor]:
        """Parameters by name as a file would hold them: A is bounded already."""
        tensors = dict(self.tensors.items())
        if "A" in tensors and self.contraction is not None:
            tensors["A"] = bounded(tensors["A"], self.contraction)
        return tensors

    def inject(self, values: Tensor) -> Tensor:
        """u = E₂ relu(E₁ v + e₁) + e₂ ``[S, *grid]`` with v = gains ∘ ``values`` ``[levels · planes, *grid]``.

        Where ``values`` are of fewer levels, the finest are those that are 0.
        """
        flat = values.reshape(values.shape[0], -1)
        first = (self.tensors["E_1"] * self.tensors["gains"])[:, -len(flat) :]  # one pass over the values less
        hidden = torch.relu(torch.addmm(self.tensors["e_1"][:, None], first, flat))
        u = torch.addmm(self.tensors["e_2"][:, None], self.tensors["E_2"], hidden)
        return u.reshape(-1, *values.shape[1:])

    def recurrence(self) -> Tensor | None:
        """A ``[S, S, 3, …]`` as the kernel of a convolution, bounded; ``None`` for a pointwise layer."""
        if "A" not in self.tensors:
            return None
        taps: Tensor = self.tensors["A"]
        if self.contraction is not None:
            taps = bounded(taps, self.contraction)
        axis_count = self.architecture.layer_axis_count
        places = [sum((step + 1) * 3**axis for axis, step in enumerate(reversed(o))) for o in self.architecture.offsets]
        kernel = taps.new_zeros(*taps.shape[:2], 3**axis_count)
        kernel = kernel.index_copy(2, torch.tensor(places, device=taps.device), taps)
        return kernel.reshape(*taps.shape[:2], *[3] * axis_count)

    def layer(self, z: Tensor, u: Tensor, recurrence: Tensor) -> Tensor:
        """F(z; x) = u + A ⋆ relu(z) ``[S, *grid]``."""
        return u + _convolve(torch.relu(z), recurrence)

    def state(self, u: Tensor, *, steps: int) -> Tensor:
        """State z ``[S, *grid]`` after ``steps`` Picard steps from zero."""
        recurrence = self.recurrence()
        z = u  # the first step from zero: relu(0) = 0
        if recurrence is not None:
            for _ in range(steps - 1):
                z = self.layer(z, u, recurrence)
        return z

    def read_out(self, z: Tensor) -> Tensor:
        """W z + b ``[C, *grid]``."""
        flat = torch.addmm(self.tensors["b"][:, None], self.tensors["W"], z.reshape(z.shape[0], -1))
        return flat.reshape(-1, *z.shape[1:])


def bounded(taps: Tensor, contraction: float) -> Tensor:
    """``taps`` ``[S, S, taps]`` with every row scaled so that Σ|A| is at most ``contraction``, in the sup norm."""
    sums = taps.abs().sum(dim=(1, 2), keepdim=True)
    least = max(contraction, torch.finfo(taps.dtype).tiny)
    return taps * (contraction / sums.clamp(min=least))


def _convolve(z: Tensor, kernel: Tensor) -> Tensor:
    """``kernel`` ⋆ ``z`` ``[S, *grid]``; outside the grid z repeats its edge."""
    axis_count = z.dim() - 1
    convolve = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)[axis_count - 1]
    padded = nn.functional.pad(z[None], [1] * (2 * axis_count), mode="replicate")
    return convolve(padded, kernel)[0]
