"""Which samples of which grid are wanted along one axis, and the area filter that goes down."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError


@dataclass(frozen=True)
class Window:
    """Samples ``start`` to ``stop`` of a grid with ``count`` samples over the whole axis."""

    count: int
    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= self.count:
            raise OptionError(f"samples {self.start} to {self.stop} do not lie inside an axis of {self.count}")

    @property
    def size(self) -> int:
        """Number of samples wanted."""
        return self.stop - self.start


def scaled_window(*, native: int, count: int, start: int, length: int) -> Window:
    """The window of a region of native samples on a grid of ``count`` samples.

    Its size is the region's times the scale, rounded, at least 1; its start is the nearest
    sample, moved inside where rounding would leave the axis.

    >>> scaled_window(native=10, count=25, start=2, length=3)
    Window(count=25, start=5, stop=13)
    """
    if start < 0 or length < 1 or start + length > native:
        raise OptionError(f"region {start} to {start + length} does not lie inside 0 to {native}")
    size = min(count, max(1, _round(length * count, native)))
    first = min(_round(start * count, native), count - size)
    return Window(count, first, first + size)


def _round(numerator: int, denominator: int) -> int:
    """Nearest integer, halves up; exact for integers of any size."""
    return (2 * numerator + denominator) // (2 * denominator)


def source_window(window: Window, *, native: int) -> Window:
    """The rendered samples that a window needs: itself going up, native samples going down."""
    if window.count >= native:
        return window
    start = window.start * native // window.count
    return Window(native, start, -(-window.stop * native // window.count))


def area_filter(samples: NDArray[np.float32], *, axis: int, source: Window, window: Window) -> NDArray[np.float32]:
    """Means over the area of each wanted sample along one axis of ``[*grid, C]``.

    Each output sums its own inputs in a fixed order, so it does not depend on the window. Areas
    are counted in exact integers, in units of 1/``window.count`` of an input sample.
    """
    if source.count == window.count:
        return samples
    left = np.arange(window.start, window.stop, dtype=np.int64) * source.count
    right = left + source.count
    moved = np.moveaxis(samples, axis, 0)
    result = np.zeros((window.size, *moved.shape[1:]), dtype=np.float64)
    first = left // window.count
    for offset in range(math.ceil(source.count / window.count) + 1):
        index = first + offset
        area = np.minimum(right, (index + 1) * window.count) - np.maximum(left, index * window.count)
        overlap = np.maximum(area, 0) / source.count
        position = np.clip(index - source.start, 0, len(moved) - 1)
        result += overlap.reshape(-1, *[1] * (moved.ndim - 1)) * moved[position]
    return np.moveaxis(result.astype(np.float32), 0, axis)
