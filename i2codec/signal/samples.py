"""Scattered samples: a signal known at points instead of on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.signal.description import SignalDescription


@dataclass(frozen=True, eq=False)
class PointSamples:
    """Samples at points that may be denser in some places than in others.

    Weights undo the density: the mean of ``weights · f(coordinates)`` estimates the mean of f
    over the domain without bias.

    Parameters
    ----------
    coordinates:
        ``[M, d]`` float32, in the convention of :mod:`i2codec.signal.grid` and the axis order of
        the signal: z, y, x for a shape.
    values:
        ``[M, C]`` float32 in the unit range.
    weights:
        ``[M]`` float32, above 0 and of mean 1.
    """

    coordinates: NDArray[np.float32]
    values: NDArray[np.float32]
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        arrays = {"coordinates": (self.coordinates, 2), "values": (self.values, 2), "weights": (self.weights, 1)}
        for name, (array, dimensions) in arrays.items():
            if array.dtype != np.float32 or array.ndim != dimensions or len(array) != len(self.weights):
                raise OptionError(
                    f"{name} of samples are {array.dtype} of shape {array.shape}; "
                    f"expected float32 of {dimensions} dimensions, the first of {len(self.weights)}"
                )

    @property
    def count(self) -> int:
        """Number of points M."""
        return len(self.weights)


@dataclass(frozen=True, eq=False)
class ScatteredSignal:
    """A signal of which scattered samples are known."""

    description: SignalDescription
    samples: PointSamples
