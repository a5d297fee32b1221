"""Rendering on one fixed lattice of chunks.

Every chunk has the same shape and is always evaluated whole, whatever part of it is wanted,
so a region has the same bytes as the same samples of the whole, on one device and thread
count: matrix products may round differently for matrices of other shapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from i2codec.render.window import Window
from i2codec.signal.grid import grid_coordinates, sample_centres

CHUNK_SHAPES: dict[int, tuple[int, ...]] = {1: (4096,), 2: (64, 64), 3: (16, 16, 16)}
"""Points of a chunk per axis, by number of axes: 4096 each, so that a state of 256 channels is 4 MiB."""

Evaluate = Callable[[NDArray[np.float64]], NDArray[np.float32]]
"""Φ: coordinates ``[N, d]`` → channels ``[N, C]``."""


def render_windows(
    evaluate: Evaluate, windows: Sequence[Window], *, half_extents: Sequence[float], channel_count: int
) -> NDArray[np.float32]:
    """Φ on the product of ``windows``, ``[*sizes, C]``.

    Chunks follow one another; the matrix library spreads each over the cores. (One thread per
    chunk on top of that was 4 times slower: the two compete for the same cores.)
    """
    shape = CHUNK_SHAPES[len(windows)]
    output = np.empty((*(window.size for window in windows), channel_count), dtype=np.float32)
    corners = itertools.product(
        *(range(window.start // side * side, window.stop, side) for window, side in zip(windows, shape, strict=True))
    )
    for corner in corners:
        axis_coordinates = [
            sample_centres(np.arange(first, first + side), count=window.count, half_extent=half_extent)
            for first, side, window, half_extent in zip(corner, shape, windows, half_extents, strict=True)
        ]
        values = evaluate(grid_coordinates(axis_coordinates)).reshape(*shape, channel_count)
        wanted, place = [], []
        for first, side, window in zip(corner, shape, windows, strict=True):
            low, high = max(first, window.start), min(first + side, window.stop)
            wanted.append(slice(low - first, high - first))
            place.append(slice(low - window.start, high - window.start))
        output[tuple(place)] = values[tuple(wanted)]
    return output
