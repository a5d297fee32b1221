"""What a grid field is made of: a pyramid of latent grids, an explicit layer, an implicit layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from i2codec.errors import OptionError
from i2codec.field.interpolation import Kernel
from i2codec.field.stencil import Stencil

CONTEXT_TENSORS = ("C_1", "d_1", "C_2", "d_2", "C_3", "d_3")
"""Names of the context model's tensors: three layers with weights C and biases d."""


@dataclass(frozen=True)
class GridArchitecture:
    """Sizes of a grid field.

        v(x) = gains ∘ (latents read at x)
        u(x) = E₂ relu(E₁ v(x) + e₁) + e₂
        z*   = u + A ⋆ relu(z*)
        Φ(x) = W z*(x) + b

    Parameters
    ----------
    level_count:
        Latent grids, from full resolution down by factors of two.
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
        How latents are read between nodes.
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

    def __post_init__(self) -> None:
        sizes = (self.level_count, self.channel_count, self.hidden_width, self.width, self.context_width)
        if min(sizes) < 1:
            raise OptionError(f"a grid field of sizes {sizes}; expected at least 1 each")
        if not 1 <= self.axis_count <= 3:
            raise OptionError(f"a field of {self.axis_count} coordinates; expected 1 to 3")
        if not 1 <= self.context_count <= self.level_count:
            raise OptionError(f"{self.context_count} context networks; expected 1 to {self.level_count}, one a level")

    @property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """Offsets of the stencil's taps."""
        return self.stencil.offsets(self.axis_count)

    @property
    def synthesis_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor of the synthesis by name, in the order of the file."""
        levels, hidden, width = self.level_count, self.hidden_width, self.width
        shapes: dict[str, tuple[int, ...]] = {
            "gains": (levels,),
            "E_1": (hidden, levels),
            "e_1": (hidden,),
            "E_2": (width, hidden),
            "e_2": (width,),
        }
        if self.stencil is not Stencil.POINTWISE:
            shapes["A"] = (width, width, len(self.offsets))
        return shapes | {"W": (self.channel_count, width), "b": (self.channel_count,)}

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
        nodes = sum(0.5 ** (level * self.axis_count) for level in range(self.level_count))
        hidden = self.context_width
        context = hidden * self.context_features + hidden * hidden + 2 * hidden
        # along the axes one after the other; the finest level is read at its nodes
        reading = 4 * self.axis_count * (self.level_count - 1)
        explicit = self.hidden_width * (self.level_count + self.width)
        recurrent = self.width**2 * len(self.offsets) * steps if "A" in self.synthesis_shapes else 0
        return round(nodes * context) + reading + explicit + recurrent + self.channel_count * self.width
