"""The explicit twins of the implicit field: the networks of the literature, of the same parameter count.

They stand outside the codec's path: no file can name them. All start at the frequencies that the
implicit field starts at and draw their other weights from the same distributions, so that a
comparison is one of architectures and not of starts. The phases stay in float64 until they are
wrapped, as in the codec, since one axis may hold 10⁵ samples.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from i2codec.field.architecture import Architecture, Filter
from i2codec.field.module import ImplicitField, initial_tensors

HIDDEN_LAYERS = 3
"""Matrices A_l ``[w, w]`` of a twin: the default of both papers' code."""

_WIDEST = 2**14


class ExplicitSiren(nn.Module):
    """Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions", 2020, section 3.

        h₀ = sin(U x + φ)
        h_l = sin(A_l h_{l−1} + b_l)
        Φ(x) = W h_L + b

    ω₀ is part of U and A. ``tensors`` holds the parameters by the names above.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.tensors = nn.ParameterDict({name: nn.Parameter(tensor) for name, tensor in tensors.items()})
        self._layers = sum(name.startswith("A_") for name in tensors)

    @staticmethod
    def tensor_shapes(*, width: int, axis_count: int, channel_count: int) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter tensor by name."""
        w = width
        shapes: dict[str, tuple[int, ...]] = {"U_0": (w, axis_count), "phi_0": (w,)}
        for level in range(1, HIDDEN_LAYERS + 1):
            shapes |= {f"A_{level}": (w, w), f"b_{level}": (w,)}
        return shapes | {"W": (channel_count, w), "b": (channel_count,)}

    @classmethod
    def drawn(
        cls,
        *,
        width: int,
        axis_count: int,
        channel_count: int,
        frequencies: Sequence[float],
        generator: torch.Generator,
    ) -> ExplicitSiren:
        """Random parameters: A_l keeps unit variance through sin (section 3.2), U spans ``frequencies``."""

        def uniform(shape: tuple[int, ...], bound: float) -> Tensor:
            return (2.0 * torch.rand(shape, generator=generator) - 1.0) * bound

        shapes = cls.tensor_shapes(width=width, axis_count=axis_count, channel_count=channel_count)
        bounds = {"A": math.sqrt(6.0 / width), "U": 1.0, "phi": math.pi}
        tensors = {
            name: uniform(shape, bounds.get(name.partition("_")[0], 1.0 / math.sqrt(width)))
            for name, shape in shapes.items()
        }
        tensors["U_0"] *= torch.tensor(frequencies, dtype=torch.float32)
        tensors["b"].zero_()
        return cls(tensors)

    def forward(self, x: Tensor) -> Tensor:
        """Φ(x) ``[N, C]`` at coordinates ``[N, d]`` in float64."""
        weight: Tensor = self.tensors["U_0"]
        phase = x @ weight.to(x.dtype).T + self.tensors["phi_0"]
        turns = torch.round(phase.detach() / (2.0 * math.pi))
        h = torch.sin((phase - 2.0 * math.pi * turns).to(weight.dtype))
        for level in range(1, self._layers + 1):
            h = torch.sin(nn.functional.linear(h, self.tensors[f"A_{level}"], self.tensors[f"b_{level}"]))
        output: Tensor = nn.functional.linear(h, self.tensors["W"], self.tensors["b"])
        return output


class SinglePass(ImplicitField):
    """F applied once to z = 0: a field whose state never returns.

    With one layer and the tensors of an implicit field it is that field without recurrence. With
    ``fourier`` or ``gabor`` filters and several layers it is the multiplicative filter network
    of Fathony et al., "Multiplicative Filter Networks", 2021, section 3, since s = 0 leaves

        h₀ = g₀(x)
        h_l = (A_l h_{l−1} + b_l) ∘ g_l(x)
        Φ(x) = W h_L + b
    """

    def __init__(self, architecture: Architecture, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(architecture, tensors, steps=1, fixed_state_scale=0.0)


def explicit_architecture(filter: Filter, *, width: int, like: Architecture) -> Architecture:
    """A multiplicative filter network for the signals of ``like``."""
    return Architecture(filter, width, HIDDEN_LAYERS, like.axis_count, like.channel_count, contraction=0.0)


def explicit_twin(
    architecture: Architecture, *, frequencies: Sequence[float], generator: torch.Generator
) -> ExplicitSiren | SinglePass:
    """The explicit network with the filters of ``architecture`` and nearly as many parameters.

    One unit of width w changes the count by about 2/w of it, so the nearest count differs by
    at most 1/w of it.
    """
    if architecture.filter is Filter.SIREN:
        sizes = {"axis_count": architecture.axis_count, "channel_count": architecture.channel_count}

        def count(width: int) -> int:
            return sum(math.prod(shape) for shape in ExplicitSiren.tensor_shapes(width=width, **sizes).values())

        width = nearest_width(count, architecture.parameter_count)
        return ExplicitSiren.drawn(width=width, **sizes, frequencies=frequencies, generator=generator)
    width = nearest_width(
        lambda width: explicit_architecture(architecture.filter, width=width, like=architecture).parameter_count,
        architecture.parameter_count,
    )
    twin = explicit_architecture(architecture.filter, width=width, like=architecture)
    return SinglePass(twin, initial_tensors(twin, frequencies=frequencies, generator=generator))


def nearest_width(count: Callable[[int], int], target: int) -> int:
    """The width whose parameter ``count``, which grows with it, is nearest to ``target``."""
    above = bisect.bisect_left(range(1, _WIDEST), target, key=count) + 1
    return min((max(above - 1, 1), above), key=lambda width: abs(count(width) - target))
