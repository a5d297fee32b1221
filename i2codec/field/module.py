"""The field as a torch module: the same equations as ``stored``, with gradients.

Huang, Bai, Kolter, "(Implicit)²", NeurIPS 2021, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2codec.field.architecture import Architecture, Filter, Norm
from i2codec.field.stored import StoredNetwork


class ImplicitField(nn.Module):
    """Φ(x) = W z* + b with z* = F(z*; x), a coordinate field of any architecture.

    Parameters
    ----------
    architecture:
        Filters, sizes and bound.
    tensors:
        Parameters by name, see :func:`initial_tensors`.
    steps:
        Picard steps from zero that :meth:`forward` takes.
    fixed_state_scale:
        The scale s of a stored network. ``None`` derives s from the weights, with gradient.
    """

    def __init__(
        self,
        architecture: Architecture,
        tensors: Mapping[str, Tensor],
        *,
        steps: int,
        fixed_state_scale: float | None = None,
    ) -> None:
        """Hold ``tensors`` as parameters, without copying them."""
        super().__init__()
        self.architecture = architecture
        self.tensors = nn.ParameterDict({name: nn.Parameter(tensor) for name, tensor in tensors.items()})
        self.steps = steps
        self.fixed_state_scale = fixed_state_scale

    @classmethod
    def from_stored(cls, network: StoredNetwork) -> ImplicitField:
        """The module that computes what a stored network decodes to."""
        tensors = {name: torch.from_numpy(np.array(tensor)) for name, tensor in network.tensors.items()}
        return cls(network.architecture, tensors, steps=network.steps, fixed_state_scale=network.state_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Φ(x) ``[N, C]`` at coordinates ``[N, d]``, after exactly ``steps`` Picard steps."""
        return self.read_out(self.state(x))

    def state(self, x: Tensor) -> Tensor:
        """State z ``[N, w]`` after ``steps`` Picard steps from zero, at coordinates ``[N, d]``."""
        injection, scale = self.inject(x), self.state_scale()
        z = torch.zeros_like(injection[0])
        for _ in range(self.steps):
            z = self.layer(z, injection, scale)
        return z

    def state_scale(self) -> Tensor:
        """s = min(1, c / ∏‖A_l‖), a scalar; 1 for the unbounded layer."""
        weight: Tensor = self.tensors["A_1"]
        if self.fixed_state_scale is not None:
            return weight.new_tensor(self.fixed_state_scale)
        if self.architecture.norm is Norm.NONE:
            return weight.new_ones(())
        order = 2 if self.architecture.norm is Norm.SPECTRAL else math.inf
        gain = weight.new_ones(())
        for level in range(1, self.architecture.depth + 1):
            gain = gain * torch.linalg.matrix_norm(self.tensors[f"A_{level}"], ord=order)
        contraction = self.architecture.contraction
        least = max(contraction, torch.finfo(gain.dtype).tiny)  # c / max(‖A‖, c): no division by zero, nor in gradients
        scale: Tensor = contraction / gain.clamp(min=least)
        return scale

    def inject(self, x: Tensor) -> list[Tensor]:
        """``g_0(x)``, then ``U_l x`` for siren and ``g_l(x)`` else: L + 1 tensors ``[N, w]``."""
        additive = self.architecture.filter is Filter.SIREN
        return [self._filter(x, 0)] + [
            self._phase(x, level) if additive else self._filter(x, level)
            for level in range(1, self.architecture.depth + 1)
        ]

    def layer(self, z: Tensor, injection: Sequence[Tensor], scale: Tensor) -> Tensor:
        """F(z; x) ``[N, w]`` of states ``[N, w]``, with the state scaled by ``scale``."""
        additive = self.architecture.filter is Filter.SIREN
        h = scale * z + injection[0]
        for level in range(1, self.architecture.depth + 1):
            h = nn.functional.linear(h, self.tensors[f"A_{level}"], self.tensors[f"b_{level}"])
            h = torch.sin(h + injection[level]) if additive else h * injection[level]
        return h

    def read_out(self, z: Tensor) -> Tensor:
        """W z + b ``[N, C]`` of states ``[N, w]``."""
        output: Tensor = nn.functional.linear(z, self.tensors["W"], self.tensors["b"])
        return output

    def _phase(self, x: Tensor, level: int) -> Tensor:
        """U_l x (+ φ_l), computed in the precision of x and wrapped if that is float64."""
        weight: Tensor = self.tensors[f"U_{level}"]
        phase: Tensor = x @ weight.to(x.dtype).T
        if f"phi_{level}" in self.tensors:
            phase = phase + self.tensors[f"phi_{level}"]
        if x.dtype == weight.dtype:
            return phase
        turns = torch.round(phase.detach() / (2.0 * math.pi))
        return (phase - 2.0 * math.pi * turns).to(weight.dtype)

    def _filter(self, x: Tensor, level: int) -> Tensor:
        """g_l(x) = sin(U_l x + φ_l), for gabor times exp(−½ γ_l² ‖x − μ_l‖²)."""
        wave = torch.sin(self._phase(x, level))
        if self.architecture.filter is not Filter.GABOR:
            return wave
        mu, gamma = self.tensors[f"mu_{level}"], self.tensors[f"gamma_{level}"]
        mu, gamma = mu.to(x.dtype), gamma.to(x.dtype)  # narrow envelopes need the precision of x too
        squared_distance = (x**2).sum(-1, keepdim=True) - 2.0 * x @ mu.T + (mu**2).sum(-1)
        return wave * torch.exp(-0.5 * gamma**2 * squared_distance.clamp(min=0.0)).to(wave.dtype)


def initial_tensors(
    architecture: Architecture,
    *,
    frequencies: Sequence[float],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Random parameters of a field.

    Parameters
    ----------
    architecture:
        Filters and sizes.
    frequencies:
        Highest angular frequency per axis, radians per coordinate unit: Nyquist of the grid.
    generator:
        Source of the random numbers, on the CPU so that every device starts alike.
    """

    def uniform(shape: tuple[int, ...], bound: float = 1.0) -> Tensor:
        return (2.0 * torch.rand(shape, generator=generator) - 1.0) * bound

    w = architecture.width
    span = torch.tensor(frequencies, dtype=torch.float32)
    tensors: dict[str, Tensor] = {}
    for name, shape in architecture.tensor_shapes.items():
        match name.split("_"):
            case ["A", _]:  # unit variance is kept through sin: Sitzmann et al. 2020, section 3.2
                tensors[name] = uniform(shape, math.sqrt(6.0 / w))
            case ["U", _]:
                tensors[name] = uniform(shape) * span
            case ["phi", _]:
                tensors[name] = uniform(shape, math.pi)
            case ["mu" | "gamma", _]:
                tensors[name] = uniform(shape)
            case ["b"]:
                tensors[name] = torch.zeros(shape)
            case _:  # W and b_l
                tensors[name] = uniform(shape, 1.0 / math.sqrt(w))
    return tensors


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Tensors as float32 arrays on the CPU."""
    return {name: tensor.detach().cpu().numpy().astype(np.float32) for name, tensor in tensors.items()}
