"""What a grid field is made of: latent grids, an explicit layer, an implicit layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from i2codec.errors import OptionError
from i2codec.field.interpolation import Kernel
from i2codec.field.stencil import Stencil

CONTEXT_TENSORS = ("C_1", "d_1", "C_2", "d_2", "C_3", "d_3")
"""Names of the context model's tensors: three layers with weights C and biases d."""
_TRANSFORM_MACS = 26  # 2 log₂ 2048 and 4
POSITION_COUNT = 6
"""Features of the frequency that gains of a lattice are weighted by."""


class Basis(IntEnum):
    """Where latents lie. The values are ids of the file format."""

    PYRAMID = 1
    LATTICE = 2


@dataclass(frozen=True)
class GridArchitecture:
    """Sizes of a grid field. Of a pyramid:

        v(x) = gains ∘ (latents read at x)
        u(x) = E₂ relu(E₁ v(x) + e₁) + e₂
        z*   = u + A ⋆ relu(z*)
        Φ(x) = W z*(x) + b

    Of a lattice, whose nodes are lapped cosines φ with latents q at frequencies f; F lives on the lattice:

        v    = min(|q|, 4)
        u    = E₂ relu(E₁ v + e₁) + e₂
        z*   = u + A ⋆ relu(z*)
        a    = 2^(gains · (1, positions of f)) (q + clamp(q, −1, 1) (W z* + b))
        Φ(t) = Σ a φ(t)

    Parameters
    ----------
    level_count:
        Latent grids, from full resolution down by factors of two; 1 for a lattice, 2 with noise filling.
    axis_count:
        Number d of coordinates.
    channel_count:
        Number C of outputs.
    hidden_width:
        Channels of the explicit layer.
    width:
        Channels S of the state z.
    context_width:
        Channels of the context model's hidden layers.
    context_features:
        Integers that the context model reads for a node.
    context_count:
        Networks of the context model: one for each of the finest levels, and the last for all others.
    stencil:
        Neighbours that A reads; pointwise leaves the recurrence out: z* = u.
    unrolled:
        The explicit twin: exactly K steps are the definition, and A is not bounded.
    kernel:
        How latents of a pyramid are read between nodes.
    basis:
        Where latents lie.
    plane_count:
        Latents at every node of a pyramid: one, or with two axes one for each of the C outputs.
    """

    level_count: int
    axis_count: int
    channel_count: int
    hidden_width: int = 24
    width: int = 6
    context_width: int = 24
    context_features: int = 17
    context_count: int = 1
    stencil: Stencil = Stencil.FULL
    unrolled: bool = False
    kernel: Kernel = Kernel.LANCZOS_CUBIC
    basis: Basis = Basis.PYRAMID
    plane_count: int = 1

    def __post_init__(self) -> None:
        sizes = (self.level_count, self.channel_count, self.hidden_width, self.width, self.context_width)
        if min(sizes) < 1:
            raise OptionError(f"a grid field of sizes {sizes}; expected at least 1 each")
        if not 1 <= self.axis_count <= 3:
            raise OptionError(f"a field of {self.axis_count} coordinates; expected 1 to 3")
        if not 1 <= self.context_count <= self.level_count:
            raise OptionError(f"{self.context_count} context networks; expected 1 to {self.level_count}, one a level")
        if self.plane_count != 1 and (self.plane_count, self.axis_count) != (self.channel_count, 2):
            raise OptionError(
                f"{self.plane_count} latents at every node of {self.axis_count} axes for {self.channel_count} outputs; "
                "expected one, or with 2 axes one for each output"
            )
        if self.basis is Basis.LATTICE and (self.axis_count > 1 or self.level_count > 2):
            raise OptionError(
                f"a lattice of {self.axis_count} axes and {self.level_count} levels; expected 1 and 1 or 2"
            )

    @property
    def planes(self) -> tuple[int, ...]:
        """Leading extents of a level's latents: none, or how many there are at every node."""
        return (self.plane_count,) if self.plane_count > 1 else ()

    @property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """Offsets of the stencil's taps."""
        return self.stencil.offsets(self.layer_axis_count)

    @property
    def layer_axis_count(self) -> int:
        """Axes of the grid that F lives on: those of the signal, or frames and frequencies of a lattice."""
        return 2 if self.basis is Basis.LATTICE else self.axis_count

    @property
    def has_noise(self) -> bool:
        """Whether what is 0 in a lattice is filled with noise."""
        return self.basis is Basis.LATTICE and self.level_count == 2

    @property
    def synthesis_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor of the synthesis by name, in the order of the file."""
        hidden, width, inputs = self.hidden_width, self.width, self.level_count * self.plane_count
        is_lattice = self.basis is Basis.LATTICE
        outputs = 1 if is_lattice else self.channel_count
        shapes: dict[str, tuple[int, ...]] = {
            "gains": (1 + POSITION_COUNT if is_lattice else inputs,),
            "E_1": (hidden, 1 if is_lattice else inputs),
            "e_1": (hidden,),
            "E_2": (width, hidden),
            "e_2": (width,),
        }
        if self.stencil is not Stencil.POINTWISE:
            shapes["A"] = (width, width, len(self.offsets))
        return shapes | {"W": (outputs, width), "b": (outputs,)}

    @property
    def context_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor of the context model by name, in the order of the file."""
        count, hidden, levels = self.context_count, self.context_width, self.level_count
        return {
            "C_1": (count, hidden, self.context_features),
            "d_1": (levels, hidden),
            "C_2": (count, hidden, hidden),
            "d_2": (count, hidden),
            "C_3": (count, 2, hidden),
            "d_3": (levels, 2),
        }

    @property
    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter tensor by name, in the order of the file."""
        return self.synthesis_shapes | self.context_shapes

    @property
    def parameter_count(self) -> int:
        """Number of parameters of all tensors."""
        return sum(math.prod(shape) for shape in self.tensor_shapes.values())

    def macs_per_point(self, steps: int) -> int:
        """Multiplications to decode one native sample in K ``steps``: contexts, reading the latents, synthesis."""
        nodes = self.plane_count * sum(0.5 ** (level * self.axis_count) for level in range(self.level_count))
        hidden = self.context_width
        context = hidden * self.context_features + hidden * hidden + 2 * hidden
        recurrent = self.width**2 * len(self.offsets) * steps if "A" in self.synthesis_shapes else 0
        if self.basis is Basis.LATTICE:  # and a fast cosine transform with its window
            layers = self.hidden_width * (1 + self.width) + recurrent + self.width + 1
            return self.channel_count * (context + layers + _TRANSFORM_MACS)
        # along the axes one after the other; the finest level is read at its nodes
        reading = 4 * self.axis_count * (self.level_count - 1) * self.plane_count
        explicit = self.hidden_width * (self.level_count * self.plane_count + self.width)
        return round(nodes * context) + reading + explicit + recurrent + self.channel_count * self.width
