"""Rendering a grid field: any grid is split into shifted native grids, each solved like the native one.

The equation at x couples x with whole native steps only, so the samples of one fractional part are
a native grid of their own. Each is solved on one fixed lattice of chunks with a halo that reaches
as far as K steps do, so a region has the same bytes as the same samples of the whole.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from i2codec.field.grid_module import GridField
from i2codec.field.grid_stored import StoredGridNetwork
from i2codec.field.interpolation import interpolation_matrix, kernel_reach
from i2codec.render.positions import EDGE_MARGIN, AxisPositions, Shifted

GRID_CHUNK_SHAPES: dict[int, tuple[int, ...]] = {1: (4096,), 2: (512, 512), 3: (8, 128, 128)}
"""Native samples of a chunk per axis, by number of axes, without the halo.

Latents are read by matrices, of this side and the halo squared.
"""


class Latents(Protocol):
    """Where the integers of the pyramid come from."""

    def window(self, level: int, region: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
        """Nodes ``start`` to ``stop`` per axis of a level, 0 finest: ``[*planes, *nodes]``."""


class GridRenderer:
    """Φ of a grid field on products of positions.

    Parameters
    ----------
    network:
        The synthesis.
    latents:
        Its integers.
    extents:
        Native samples per axis of the whole.
    device:
        ``cpu`` or ``cuda``.
    """

    def __init__(
        self, network: StoredGridNetwork, latents: Latents, *, extents: tuple[int, ...], device: str = "cpu"
    ) -> None:
        """Load the synthesis; latents are read when they are needed."""
        self._architecture, self._steps = network.architecture, network.steps
        self._field = GridField.from_stored(network).to(device)
        self._latents, self._extents, self._device = latents, extents, device

    @property
    def halo(self) -> int:
        """Native samples around a chunk that its samples depend on through K steps."""
        return self._steps * self._architecture.stencil.radius

    def render(self, axes: Sequence[AxisPositions]) -> NDArray[np.float32]:
        """Φ ``[*counts, C]`` on the product of the axes' positions.

        Along an axis whose positions have many fractional parts (1000 samples over 768, say) the
        field is solved on a regular grid at least as fine, which is interpolated.
        """
        solved = [axis.solved() for axis in axes]
        result = self._solved([positions for positions, _ in solved])
        for number, (_, taps) in enumerate(solved):
            if taps is not None:
                result = taps.interpolate(result, number)
        return result

    def at(self, positions: NDArray[np.float64]) -> NDArray[np.float32]:
        """Φ ``[N, C]`` at native ``positions`` ``[N, d]``, each solved among the neighbours that K steps reach.

        Positions outside the domain count as its edge.
        """
        result = np.empty((len(positions), self._architecture.channel_count), dtype=np.float32)
        inside = np.clip(positions, 0.0, np.array(self._extents) - float(EDGE_MARGIN))
        natives = np.floor(inside).astype(np.int64)
        for number, (native, shift) in enumerate(zip(natives, inside - natives, strict=True)):
            result[number] = self._box([(int(i), int(i) + 1) for i in native], shift.tolist()).reshape(-1)
        return result

    def _solved(self, axes: Sequence[AxisPositions]) -> NDArray[np.float32]:
        counts = (len(axis.positions) for axis in axes)
        result = np.empty((*counts, self._architecture.channel_count), dtype=np.float32)
        for parts in itertools.product(*(axis.shifted() for axis in axes)):
            chunks = [_by_chunk(part, side) for part, side in zip(parts, self._sides, strict=True)]
            for places in itertools.product(*chunks):
                block = self._chunk([place.chunk for place in places], [part.shift for part in parts])
                block = block[np.ix_(*(place.inside for place in places))]
                result[np.ix_(*(place.outputs for place in places))] = block
        return result

    @property
    def _sides(self) -> tuple[int, ...]:
        return GRID_CHUNK_SHAPES[len(self._extents)]

    def _chunk(self, chunk: Sequence[int], shifts: Sequence[Fraction]) -> NDArray[np.float32]:
        """All samples ``[*sides, C]`` of a chunk of the native grid moved by ``shifts``."""
        box = [
            (number * side, min((number + 1) * side, extent))
            for number, side, extent in zip(chunk, self._sides, self._extents, strict=True)
        ]
        return self._box(box, [float(shift) for shift in shifts])

    @torch.no_grad()
    @torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    def _box(self, box: Sequence[tuple[int, int]], shifts: Sequence[float]) -> NDArray[np.float32]:
        """Samples ``start`` to ``stop`` per axis of the native grid moved by ``shifts``, ``[*sizes, C]``."""
        bounds = [
            (max(0, start - self.halo), min(extent, stop + self.halo))
            for (start, stop), extent in zip(box, self._extents, strict=True)
        ]
        positions = [np.arange(low, high) + shift for (low, high), shift in zip(bounds, shifts, strict=True)]
        values = torch.cat([self._read(level, positions) for level in range(self._architecture.level_count)])
        output = self._field.read_out(self._field.state(self._field.inject(values), steps=self._steps))
        inside = [slice(start - low, stop - low) for (start, stop), (low, _) in zip(box, bounds, strict=True)]
        result: NDArray[np.float32] = output[(slice(None), *inside)].movedim(0, -1).cpu().numpy()
        return result

    def _read(self, level: int, positions: Sequence[NDArray[np.floating]]) -> torch.Tensor:
        """Latents of a level at the product of ``positions``: ``[planes, *grid]``."""
        region, reach = [], kernel_reach(level)
        for place, extent in zip(positions, self._extents, strict=True):
            low = max(0, math.floor(place[0] / 2**level - 0.5) - reach + 1)
            high = min(-(-extent >> level), math.floor(place[-1] / 2**level - 0.5) + reach + 1)
            region.append((low, high))
        values = torch.from_numpy(self._latents.window(level, region).astype(np.float32)).to(self._device)
        for axis, (place, (low, high)) in enumerate(zip(positions, region, strict=True), -len(positions)):
            matrix = interpolation_matrix(place, node_count=high - low, level=level, first_node=low)
            weights = torch.from_numpy(matrix).to(self._device)
            values = torch.tensordot(weights, values, dims=([1], [axis])).movedim(0, axis)
        return values.reshape(-1, *values.shape[-len(positions) :])


@dataclass(frozen=True)
class _Place:
    """Samples ``outputs`` are samples ``inside`` of a chunk."""

    chunk: int
    inside: NDArray[np.int64]
    outputs: NDArray[np.int64]


def _by_chunk(part: Shifted, side: int) -> list[_Place]:
    numbers = part.natives // side
    return [
        _Place(int(number), part.natives[numbers == number] - number * side, part.outputs[numbers == number])
        for number in np.unique(numbers)
    ]
