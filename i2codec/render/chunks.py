"""Rendering on one fixed lattice of chunks.

Every chunk has the same shape and is always evaluated whole, whatever part of it is wanted,
so a region has the same bytes as the same samples of the whole, on one device and thread
count: matrix products may round differently for matrices of other shapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.render.window import Window
from i2codec.signal.grid import grid_coordinates

CHUNK_SHAPES: dict[int, tuple[int, ...]] = {1: (4096,), 2: (64, 64), 3: (4, 32, 32)}
"""Points of a chunk per axis, by number of axes: 4096 each, so that a state of 256 channels is 4 MiB.

Few along the first of three: a video is written a few frames at a time.
"""

Evaluate = Callable[[NDArray[np.float64]], NDArray[np.float32]]
"""Φ: coordinates ``[N, d]`` → channels ``[N, C]``."""


@dataclass(frozen=True)
class AxisSamples:
    """Samples wanted along one axis.

    Parameters
    ----------
    window:
        Which samples of the grid.
    coordinates:
        Sample indices ``[n]`` → coordinates ``[n]``; defined outside the grid too.
    origin:
        A sample that chunks start at.
    """

    window: Window
    coordinates: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    origin: int = 0

    def firsts(self, side: int) -> range:
        """First samples of the chunks of ``side`` samples that the window touches."""
        low = self.origin + (self.window.start - self.origin) // side * side
        return range(low, self.window.stop, side)


def render_windows(evaluate: Evaluate, axes: Sequence[AxisSamples], *, channel_count: int) -> NDArray[np.float32]:
    """Φ on the product of the axes' windows, ``[*sizes, C]``.

    Chunks follow one another; the matrix library spreads each over the cores. (One thread per
    chunk on top of that was 4 times slower: the two compete for the same cores.)
    """
    shape = CHUNK_SHAPES[len(axes)]
    windows = [axis.window for axis in axes]
    output = np.empty((*(window.size for window in windows), channel_count), dtype=np.float32)
    for corner in itertools.product(*(axis.firsts(side) for axis, side in zip(axes, shape, strict=True))):
        axis_coordinates = [
            axis.coordinates(np.arange(first, first + side))
            for axis, first, side in zip(axes, corner, shape, strict=True)
        ]
        values = evaluate(grid_coordinates(axis_coordinates)).reshape(*shape, channel_count)
        wanted, place = [], []
        for first, side, window in zip(corner, shape, windows, strict=True):
            low, high = max(first, window.start), min(first + side, window.stop)
            wanted.append(slice(low - first, high - first))
            place.append(slice(low - window.start, high - window.start))
        output[tuple(place)] = values[tuple(wanted)]
    return output
