"""A stored grid field on plain arrays, and its equations in NumPy.

This is the definition of what a file decodes to, and the plain twin of every faster path. The
pyramid of latents is that of Ladune et al., "COOL-CHIC", ICCV 2023, and Kim et al., "C3", CVPR
2024; the implicit layer is Huang, Bai, Kolter, "(Implicit)²", NeurIPS 2021, with a stencil.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.field.interpolation import interpolation_matrix
from i2codec.field.stencil import apply_stencil

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class StoredGridNetwork:
    """Parameters of a grid field as the file holds them, dequantised.

    Parameters
    ----------
    architecture:
        Sizes.
    tensors:
        float32 arrays by name, of the shapes in ``architecture.synthesis_shapes``.
    steps:
        Step count K: Picard steps from z = 0.
    """

    architecture: GridArchitecture
    tensors: Mapping[str, FloatArray]
    steps: int

    def __post_init__(self) -> None:
        found = {name: tensor.shape for name, tensor in self.tensors.items()}
        if found != self.architecture.synthesis_shapes:
            raise OptionError(f"tensors {found} do not fit {self.architecture.synthesis_shapes}")

    def evaluate(self, latents: Sequence[NDArray[np.int32]], positions: Sequence[NDArray[np.float64]]) -> FloatArray:
        """Φ ``[*grid, C]`` on a shifted native grid: per axis, native ``positions`` one apart.

        ``latents`` are the whole levels ``[*planes, *nodes]``, finest first.
        """
        return self.read_out(self.state(self.inject(self.read(latents, positions))))

    def read(self, latents: Sequence[NDArray[np.int32]], positions: Sequence[NDArray[np.float64]]) -> FloatArray:
        """Latents read at the product of ``positions``, times their gains: v ``[levels · planes, *grid]``."""
        levels = []
        for level, latent in enumerate(latents):
            values = latent.astype(np.float32)
            for axis, place in enumerate(positions, -len(positions)):
                matrix = interpolation_matrix(place, node_count=latent.shape[axis], level=level)
                values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
            levels.append(values.reshape(-1, *values.shape[-len(positions) :]))
        gains = self.tensors["gains"].reshape(-1, *[1] * len(positions))
        return gains * np.concatenate(levels)

    def inject(self, v: FloatArray) -> FloatArray:
        """u = E₂ relu(E₁ v + e₁) + e₂ ``[S, *grid]`` of v ``[levels · planes, *grid]``."""
        hidden = np.maximum(_pointwise(v, self.tensors["E_1"], self.tensors["e_1"]), 0.0)
        return _pointwise(hidden, self.tensors["E_2"], self.tensors["e_2"])

    def state(self, u: FloatArray) -> FloatArray:
        """State z ``[S, *grid]`` after exactly K Picard steps from zero."""
        z = np.zeros_like(u)
        for _ in range(self.steps):
            z = self.layer(z, u)
        return z

    def layer(self, z: FloatArray, u: FloatArray) -> FloatArray:
        """F(z; x) = u + A ⋆ relu(z) ``[S, *grid]``."""
        if "A" not in self.tensors:
            return u
        return u + apply_stencil(self.tensors["A"], np.maximum(z, 0.0), self.architecture.offsets)

    def read_out(self, z: FloatArray) -> FloatArray:
        """W z + b ``[*grid, C]``."""
        return np.moveaxis(_pointwise(z, self.tensors["W"], self.tensors["b"]), 0, -1)


def _pointwise(values: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    result: FloatArray = np.tensordot(weight, values, axes=1) + bias.reshape(-1, *[1] * (values.ndim - 1))
    return result
