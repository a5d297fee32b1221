"""Coordinates: one convention for every number of axes.

A coordinate is a position inside the signal's domain. The longest axis of each unit spans
−1..1 and the others keep their aspect: along an axis of half extent ``e`` the centre of
sample ``j`` of ``m`` lies at ``x = e · ((2j + 1)/m − 1)``, so a grid of any size ``m`` covers
the same domain and Φ(x) never depends on the grid that was asked for. Time is a unit of its
own; the other axes share one. Half extents and Nyquist frequencies follow from the signal
header; nothing about them is stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from i2codec.signal.description import Axis, AxisName


def half_extents(axes: Sequence[Axis]) -> tuple[float, ...]:
    """Half length of each axis in coordinate units, at most 1.

    >>> from i2codec.signal.description import Axis, AxisName
    >>> half_extents([Axis(AxisName.Y, 512), Axis(AxisName.X, 768)])
    (0.6666666666666666, 1.0)
    """
    lengths = [axis.extent * axis.step for axis in axes]
    longest = {
        is_time: max(
            (length for axis, length in zip(axes, lengths, strict=True) if (axis.name is AxisName.TIME) == is_time),
            default=None,
        )
        for is_time in (True, False)
    }
    result = []
    for axis, length in zip(axes, lengths, strict=True):
        reference = longest[axis.name is AxisName.TIME]
        assert reference is not None  # the axis itself is in its group
        result.append(float(length / reference))
    return tuple(result)


def nyquist_frequencies(axes: Sequence[Axis]) -> tuple[float, ...]:
    """Angular frequency of half a cycle per sample, in radians per coordinate unit, per axis."""
    return tuple(math.pi * axis.extent / (2.0 * half) for axis, half in zip(axes, half_extents(axes), strict=True))


def sample_centres(
    positions: NDArray[np.floating | np.integer], *, count: int, half_extent: float
) -> NDArray[np.float64]:
    """Coordinates of grid positions along one axis that holds ``count`` samples.

    ``positions`` may be fractional (a shift of half a sample) and may lie outside the axis.

    >>> sample_centres(np.arange(4), count=4, half_extent=1.0)
    array([-0.75, -0.25,  0.25,  0.75])
    """
    return half_extent * ((2.0 * np.asarray(positions, dtype=np.float64) + 1.0) / count - 1.0)


def grid_coordinates(axis_coordinates: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Coordinates ``[N, d]`` of the product grid, last axis fastest."""
    mesh = np.meshgrid(*axis_coordinates, indexing="ij")
    return np.stack([component.ravel() for component in mesh], axis=-1)
