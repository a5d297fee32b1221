from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor


@dataclass
class Problem:
    """A transition that counts its calls and keeps the states it was asked for."""

    matrix: Tensor
    shift: Tensor
    is_linear: bool
    states: list[Tensor] = field(default_factory=list)

    def __call__(self, z: Tensor) -> Tensor:
        self.states.append(z)
        image = z @ self.matrix.T + self.shift
        return image if self.is_linear else torch.sin(image)

    @property
    def start(self) -> Tensor:
        return torch.zeros_like(self.shift)

    def fixed_point(self) -> Tensor:
        if self.is_linear:
            identity = torch.eye(len(self.matrix), dtype=self.matrix.dtype)
            return torch.linalg.solve(identity - self.matrix, self.shift.T).T
        z = self.start
        for _ in range(2000):
            z = torch.sin(z @ self.matrix.T + self.shift)
        return z

    def row(self, index: int) -> Problem:
        return Problem(self.matrix, self.shift[index : index + 1], self.is_linear)


class Problems:
    """Contractions of ``[rows, width]`` states in the Euclidean norm."""

    @staticmethod
    def slow(*, dtype: torch.dtype = torch.float64) -> Problem:
        """Linear and symmetric, with eigenvalues from 0 to 0.9."""
        generator = torch.Generator().manual_seed(0)
        width = 12
        basis, _ = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
        matrix = basis @ torch.diag(torch.linspace(0.0, 0.9, width, dtype=torch.float64)) @ basis.T
        shift = torch.randn(5, width, generator=generator, dtype=torch.float64)
        return Problem(matrix.to(dtype), shift.to(dtype), is_linear=True)

    @staticmethod
    def siren(*, seed: int = 0, factor: float = 0.8, dtype: torch.dtype = torch.float64) -> Problem:
        """z ← sin(A z + b) with ‖A‖ = ``factor``."""
        generator = torch.Generator().manual_seed(seed)
        matrix = torch.randn(9, 9, generator=generator, dtype=torch.float64)
        matrix *= factor / torch.linalg.matrix_norm(matrix, 2)
        shift = torch.randn(6, 9, generator=generator, dtype=torch.float64)
        return Problem(matrix.to(dtype), shift.to(dtype), is_linear=False)


@pytest.fixture(scope="session")
def problems() -> Problems:
    return Problems()
