"""A stored network on plain arrays, and the paper's equations in NumPy.

This is the definition of what a file decodes to, and the plain twin of every faster path.
Huang, Bai, Kolter, "(Implicit)²", NeurIPS 2021, section 3; Fathony et al., "Multiplicative
Filter Networks", ICLR 2021, for the fourier and gabor filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.field.architecture import Architecture, Filter

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class StoredNetwork:
    """Parameters of a field as the file holds them, dequantised.

    Parameters
    ----------
    architecture:
        Filters and sizes.
    tensors:
        float32 arrays by name, of the shapes in ``architecture.tensor_shapes``.
    state_scale:
        The scale s of the state on its way into F.
    steps:
        Step count K: Picard steps from z = 0.
    """

    architecture: Architecture
    tensors: Mapping[str, FloatArray]
    state_scale: float
    steps: int

    def __post_init__(self) -> None:
        found = {name: tensor.shape for name, tensor in self.tensors.items()}
        if found != self.architecture.tensor_shapes:
            raise OptionError(f"tensors {found} do not fit {self.architecture.tensor_shapes}")

    def evaluate(self, x: NDArray[np.float64]) -> FloatArray:
        """Φ(x) ``[N, C]`` at coordinates ``[N, d]``."""
        return self.read_out(self.state(x))

    def state(self, x: NDArray[np.float64]) -> FloatArray:
        """State z ``[N, w]`` after exactly K Picard steps from zero."""
        injection = self.inject(x)
        z = np.zeros((len(x), self.architecture.width), dtype=np.float32)
        for _ in range(self.steps):
            z = self.layer(z, injection)
        return z

    def residual(self, x: NDArray[np.float64]) -> FloatArray:
        """‖F(z; x) − z‖ ``[N]`` in the Euclidean norm, at the state of :meth:`state`."""
        z = self.state(x)
        difference = self.layer(z, self.inject(x)) - z
        norms: FloatArray = np.linalg.norm(difference, axis=-1)
        return norms

    def inject(self, x: NDArray[np.float64]) -> list[FloatArray]:
        """What the coordinates ``[N, d]`` bring into the layers: L + 1 arrays ``[N, w]``.

        ``g_0(x)``, then ``U_l x`` for siren and ``g_l(x)`` for fourier and gabor.
        """
        additive = self.architecture.filter is Filter.SIREN
        return [self._filter(x, 0)] + [
            self._phase(x, level) if additive else self._filter(x, level)
            for level in range(1, self.architecture.depth + 1)
        ]

    def layer(self, z: FloatArray, injection: list[FloatArray]) -> FloatArray:
        """F(z; x) ``[N, w]`` of states ``[N, w]``."""
        additive = self.architecture.filter is Filter.SIREN
        h = np.float32(self.state_scale) * z + injection[0]
        for level in range(1, self.architecture.depth + 1):
            h = h @ self.tensors[f"A_{level}"].T + self.tensors[f"b_{level}"]
            h = np.sin(h + injection[level]) if additive else h * injection[level]
        return h

    def read_out(self, z: FloatArray) -> FloatArray:
        """W z + b ``[N, C]`` of states ``[N, w]``."""
        return z @ self.tensors["W"].T + self.tensors["b"]

    def _phase(self, x: NDArray[np.float64], level: int) -> FloatArray:
        """U_l x (+ φ_l) in radians, within half a turn of zero.

        In float64: at 10⁵ samples an axis the phase itself exceeds what float32 can resolve.
        """
        phase = x @ self.tensors[f"U_{level}"].T.astype(np.float64)
        if f"phi_{level}" in self.tensors:
            phase += self.tensors[f"phi_{level}"]
        return (phase - 2.0 * np.pi * np.rint(phase / (2.0 * np.pi))).astype(np.float32)

    def _filter(self, x: NDArray[np.float64], level: int) -> FloatArray:
        """g_l(x) = sin(U_l x + φ_l), for gabor times exp(−½ γ_l² ‖x − μ_l‖²)."""
        wave = np.sin(self._phase(x, level))
        if self.architecture.filter is not Filter.GABOR:
            return wave
        mu = self.tensors[f"mu_{level}"].astype(np.float64)
        gamma = self.tensors[f"gamma_{level}"].astype(np.float64)
        squared_distance = np.sum(x**2, axis=-1, keepdims=True) - 2.0 * (x @ mu.T) + np.sum(mu**2, axis=-1)
        envelope = np.exp(-0.5 * gamma**2 * np.maximum(squared_distance, 0.0))
        product: FloatArray = wave * envelope.astype(np.float32)
        return product
