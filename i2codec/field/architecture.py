"""What a coordinate field is made of: filters, sizes, the contraction asked for.

Standard library only. The integer values of the enums are ids of the file format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from i2codec.errors import OptionError


class Filter(IntEnum):
    """Filters g(x) that carry the coordinates into the layer.

    ``siren`` is Sitzmann et al. 2020; ``fourier`` and ``gabor`` are the multiplicative filter
    networks of Fathony et al. 2021. All three are used as in Huang, Bai, Kolter 2021, section 3.
    """

    SIREN = 1
    FOURIER = 2
    GABOR = 3


class Norm(IntEnum):
    """Norm in which F contracts. ``NONE`` is the paper's unbounded layer, for comparison only."""

    NONE = 0
    SPECTRAL = 1
    SUP = 2


@dataclass(frozen=True)
class Architecture:
    """Sizes and bound of a coordinate field.

    Parameters
    ----------
    filter:
        Filters of the injection.
    width:
        Size w of the state z.
    depth:
        Number L of layers inside F.
    axis_count:
        Number d of coordinates.
    channel_count:
        Number C of outputs.
    norm:
        Norm of the contraction bound.
    contraction:
        Contraction factor c, 0 ≤ c < 1; 0 switches the recurrence off. Unused by ``Norm.NONE``.
    """

    filter: Filter
    width: int
    depth: int
    axis_count: int
    channel_count: int
    norm: Norm = Norm.SPECTRAL
    contraction: float = 0.5

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1:
            raise OptionError(f"width {self.width} and depth {self.depth} must be at least 1")
        if not 1 <= self.axis_count <= 3:
            raise OptionError(f"a field of {self.axis_count} coordinates; expected 1 to 3")
        if self.channel_count < 1:
            raise OptionError(f"a field of {self.channel_count} channels; expected at least 1")
        if not 0.0 <= self.contraction < 1.0:
            raise OptionError(f"contraction factor {self.contraction} is not in 0 ≤ c < 1")

    @property
    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter tensor by name, in the order of the file.

        ``A_l``, ``b_l`` are the layers; ``U_l``, ``phi_l``, ``gamma_l``, ``mu_l`` the filters;
        ``W``, ``b`` the readout. Siren layers l ≥ 1 have no phase: ``b_l`` is one.
        """
        w, d = self.width, self.axis_count
        shapes: dict[str, tuple[int, ...]] = {}
        for level in range(self.depth + 1):
            if level:
                shapes |= {f"A_{level}": (w, w), f"b_{level}": (w,)}
            shapes[f"U_{level}"] = (w, d)
            if level == 0 or self.filter is not Filter.SIREN:
                shapes[f"phi_{level}"] = (w,)
            if self.filter is Filter.GABOR:
                shapes |= {f"gamma_{level}": (w,), f"mu_{level}": (w, d)}
        return shapes | {"W": (self.channel_count, w), "b": (self.channel_count,)}

    @property
    def parameter_count(self) -> int:
        """Number of parameters of all tensors."""
        return sum(math.prod(shape) for shape in self.tensor_shapes.values())

    def macs_per_point(self, steps: int) -> int:
        """Multiplications of matrices with vectors to evaluate Φ at one point in K ``steps``."""
        w, d = self.width, self.axis_count
        injection = (self.depth + 1) * w * d * (2 if self.filter is Filter.GABOR else 1)
        return injection + steps * self.depth * w * w + self.channel_count * w
