"""The context model: a small network of integers that gives each latent its probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from i2codec.errors import OptionError
from i2codec.latents.template import LARGEST_FEATURE, Template

__all__ = ["LARGEST_BIAS", "LARGEST_WEIGHT", "MAX_LEVELS", "MAX_WIDTH", "WEIGHT_BITS", "ContextModel"]

WEIGHT_BITS = 10
"""Fractional bits of every weight and bias: the integer w stands for w / 1024."""
LARGEST_WEIGHT = 2**13 - 1
LARGEST_BIAS = 2**17
MAX_WIDTH = 32
MAX_LEVELS = 16
LARGEST_ACTIVATION = 2**12 - 1
"""Activations have 6 fractional bits and are clamped to 0..4095, which is 0 to just under 64."""
_TENSORS = ("w1", "b1", "w2", "b2", "w3", "b3")


@dataclass(frozen=True, eq=False)
class ContextModel:
    """Integers of the network that reads F features and predicts the mean and the scale of a latent.

    There are P networks, one for each of the finest P − 1 levels and one for all others: level l has
    network n = min(l, P − 1). With features x and all shifts floors, it is::

        h1 = clamp((w1[n] x + b1[l]) >> 4, 0, 4095)
        h2 = clamp(((h1 << 10) + w2[n] h1 + (b2[n] << 6)) >> 10, 0, 4095)
        o = w3[n] h2 + (b3[l] << 6)
        mean = clamp((o[0] + 2¹¹) >> 12, −2032, 2032)     in sixteenths
        scale = clamp(((o[1] + 2¹²) >> 13) + 32, 0, 79)    number k of the scale 2^(k/8 − 4)

    or, for a lattice, mean = 0 and a scale of up to 143. So o[0] is the mean and o[1] the binary
    logarithm of the scale, with 16 fractional bits.

    No sum leaves 32 bits, in whatever order it is taken: the magnitudes of its terms add up to at
    most 23 · 8191 · 127 + 2¹⁷ < 2²⁵ in the first layer and to at most
    4095 · 2¹⁰ + 32 · 8191 · 4095 + 2¹⁷ · 2⁶ < 1.1 · 10⁹ < 2³¹ in the others
    (:func:`largest_sums`), and the constants added before a shift are at most 2¹².

    Arguments are integers of any integer type; they are kept as read-only int32. The width H is 1
    to 32, the number of levels 1 to 16, P at least 1 and at most that.

    Raises
    ------
    OptionError
        If a tensor has a wrong type or shape, or a weight or bias is out of its range.
    """

    template: Template
    w1: NDArray[np.int32]
    """``[P, H, F]``, at most 8191 in magnitude, as are w2 and w3."""
    b1: NDArray[np.int32]
    """``[levels, H]``, at most 2¹⁷ in magnitude, as are b2 and b3."""
    w2: NDArray[np.int32]
    """``[P, H, H]``."""
    b2: NDArray[np.int32]
    """``[P, H]``."""
    w3: NDArray[np.int32]
    """``[P, 2, H]``."""
    b3: NDArray[np.int32]
    """``[levels, 2]``."""

    def __post_init__(self) -> None:
        """Check and freeze all tensors."""
        object.__setattr__(self, "template", _template(self.template))
        for name in _TENSORS:
            object.__setattr__(self, name, _frozen(name, getattr(self, name)))
        if self.b1.ndim != 2 or not (1 <= self.levels <= MAX_LEVELS and 1 <= self.width <= MAX_WIDTH):
            raise OptionError(
                f"b1 of a context model has shape {list(self.b1.shape)}; expected [levels, width] of at most "
                f"{MAX_LEVELS} levels and width {MAX_WIDTH}"
            )
        if self.w1.ndim != 3 or not 1 <= self.networks <= self.levels:
            raise OptionError(
                f"w1 of a context model of {self.levels} levels has shape {list(self.w1.shape)}; expected "
                "[networks, width, features] of at least 1 network and at most one for each level"
            )
        for name, shape in self._shapes().items():
            if getattr(self, name).shape != shape:
                found = list(getattr(self, name).shape)
                raise OptionError(f"{name} of a context model has shape {found}; expected {list(shape)}")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        count, features, width, levels = self.networks, self.template.feature_count, self.width, self.levels
        return {
            "w1": (count, width, features),
            "b1": (levels, width),
            "w2": (count, width, width),
            "b2": (count, width),
            "w3": (count, 2, width),
            "b3": (levels, 2),
        }

    @property
    def width(self) -> int:
        """Number H of hidden units."""
        return int(self.b1.shape[1])

    @property
    def levels(self) -> int:
        """Number of levels that the model has biases for."""
        return int(self.b1.shape[0])

    @property
    def networks(self) -> int:
        """Number P of networks."""
        return int(self.w1.shape[0])

    def network_of(self, level: int) -> int:
        """Number of the network that a level has."""
        return min(level, self.networks - 1)

    @classmethod
    def from_float(
        cls,
        template: Template,
        *,
        w1: ArrayLike,
        b1: ArrayLike,
        w2: ArrayLike,
        b2: ArrayLike,
        w3: ArrayLike,
        b3: ArrayLike,
    ) -> ContextModel:
        """Round real tensors of the shapes above to the nearest multiples of 1/1024, ties to even.

        What is out of range, infinity included, becomes the largest in range.

        Raises
        ------
        OptionError
            If a shape is wrong or a number is not one.
        """
        tensors = {"w1": w1, "b1": b1, "w2": w2, "b2": b2, "w3": w3, "b3": b3}
        return cls(template, **{name: _rounded(name, tensor) for name, tensor in tensors.items()})


def largest_sums(*, features: int, width: int) -> tuple[int, int, int]:
    """Bounds of the magnitudes of every partial sum in w1 x + b1, in h2 before its shift, and in o."""
    products = width * LARGEST_WEIGHT * LARGEST_ACTIVATION
    bias = LARGEST_BIAS << 6
    first = features * LARGEST_WEIGHT * LARGEST_FEATURE + LARGEST_BIAS
    return first, (LARGEST_ACTIVATION << WEIGHT_BITS) + products + bias, products + bias


def _limit(name: str) -> int:
    return LARGEST_WEIGHT if name.startswith("w") else LARGEST_BIAS


def _template(number: int) -> Template:
    try:
        return Template(number)
    except ValueError:
        raise OptionError(f"context template {number!r}; expected one of {[*map(int, Template)]}") from None


def _frozen(name: str, tensor: ArrayLike) -> NDArray[np.int32]:
    array = np.asarray(tensor)
    if array.dtype.kind not in "iu":
        raise OptionError(f"{name} of a context model holds {array.dtype}; expected integers")
    limit = _limit(name)
    if ((array < -limit) | (array > limit)).any():
        raise OptionError(f"{name} of a context model holds {array.min()} to {array.max()}; at most ±{limit} is valid")
    array = array.astype(np.int32, order="C")  # always a copy
    array.flags.writeable = False
    return array


def _rounded(name: str, tensor: ArrayLike) -> NDArray[np.int32]:
    values = np.asarray(tensor, dtype=np.float64)
    if np.isnan(values).any():
        raise OptionError(f"{name} of a context model holds NaN")
    largest = _limit(name) / 2.0**WEIGHT_BITS
    return np.rint(np.clip(values, -largest, largest) * 2.0**WEIGHT_BITS).astype(np.int32)
