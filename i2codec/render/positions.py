"""Where the samples of a grid field lie along one axis, and which of them share a shifted native grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from i2codec.field.interpolation import CUBIC_REACH, cubic_taps
from i2codec.render.axis_grid import AxisGrid
from i2codec.render.window import Window

_MOST_WASTE = 2
"""Samples solved along an axis for each one wanted, at most, where a regular grid takes fewer."""
EDGE_MARGIN = Fraction(1, 2**20)
"""How near to the end of an axis positions may lie, in native samples: the end itself has no native sample."""


@dataclass(frozen=True)
class AxisPositions:
    """Native positions of the samples wanted along one axis, rising.

    Parameters
    ----------
    positions:
        From 0, the start of the axis, to ``extent``; those outside count as these two.
    extent:
        Native samples of the whole axis.
    fineness:
        Samples per native one of the regular grid that the field is solved on, to be interpolated;
        ``None`` where it is solved at the positions themselves.
    """

    positions: tuple[Fraction, ...]
    extent: int
    fineness: int | None = None

    @classmethod
    def of_grid(cls, grid: AxisGrid, window: Window) -> AxisPositions:
        """Samples of a window of an output grid, rendered as the whole grid is.

        Each fractional part among the positions takes a native grid of its own. Where that is
        more than two samples for each one wanted, and more than a regular grid at least as fine
        takes, the regular grid is solved.
        """
        fineness = max(1, math.ceil(1 / grid.ratio))
        is_wasteful = grid.shift_count > fineness and grid.shift_count * grid.ratio > _MOST_WASTE
        positions = tuple(grid.positions(range(window.start, window.stop)))
        return cls(positions, grid.native, fineness if is_wasteful else None)

    def shifted(self) -> list[Shifted]:
        """The samples by fractional part of their position: each is a native grid of its own."""
        groups: dict[Fraction, list[tuple[int, int]]] = {}
        for index, position in enumerate(map(self._inside, self.positions)):
            native = math.floor(position)
            groups.setdefault(position - native, []).append((native, index))
        return [Shifted(shift, *np.array(pairs, dtype=np.int64).T) for shift, pairs in groups.items()]

    def solved(self) -> tuple[AxisPositions, Taps | None]:
        """Where to solve the field, and how the samples wanted are interpolated from those, if they are."""
        if self.fineness is None:
            return self, None
        wanted = [self._inside(position) * self.fineness for position in self.positions]
        low = max(0, math.floor(wanted[0]) - CUBIC_REACH)
        high = min(self.extent * self.fineness, math.ceil(wanted[-1]) + CUBIC_REACH)
        nodes = tuple(Fraction(2 * node + 1, 2 * self.fineness) for node in range(low, high))
        places = np.array([float(place) for place in wanted])
        taps = Taps(*cubic_taps(places - 0.5, node_count=high - low, first_node=low))
        return AxisPositions(nodes, self.extent), taps

    def _inside(self, position: Fraction) -> Fraction:
        return min(max(position, Fraction(0)), self.extent - EDGE_MARGIN)


@dataclass(frozen=True)
class Taps:
    """Samples interpolated from others along an axis: ``nodes`` ``[n, 4]`` of those, and ``weights`` ``[n, 4]``."""

    nodes: NDArray[np.int64]
    weights: NDArray[np.float64]

    def interpolate(self, samples: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """Each sample sums its own four in a fixed order, so it does not depend on what else is wanted."""
        moved = np.moveaxis(samples, axis, 0)
        result = np.zeros((len(self.nodes), *moved.shape[1:]), dtype=np.float32)
        for nodes, weights in zip(self.nodes.T, self.weights.T, strict=True):
            result += weights.astype(np.float32).reshape(-1, *[1] * (moved.ndim - 1)) * moved[nodes]
        return np.moveaxis(result, 0, axis)


@dataclass(frozen=True)
class Shifted:
    """Samples ``outputs`` of an axis lie at native positions ``natives + shift``."""

    shift: Fraction
    natives: NDArray[np.int64]
    outputs: NDArray[np.int64]
