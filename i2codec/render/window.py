"""Windows of a grid along one axis, and the filters that go down in resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError

_LOBES = 32  # of the sinc on each side: a transition band of about a tenth of the new Nyquist frequency
_KAISER = 9.0
_BLOCK_SAMPLES = 4096  # bounds the memory of kernels


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


def low_pass_source(window: Window, *, native: int, ratio: Fraction, offset: Fraction) -> Window:
    """The native samples that :func:`low_pass` needs for a window."""
    reach = math.ceil(_LOBES * ratio)
    first = math.floor(window.start * ratio + offset) - reach
    stop = math.floor((window.stop - 1) * ratio + offset) + reach + 1
    return Window(native, max(0, first), min(native, stop))


def low_pass(
    samples: NDArray[np.float32], *, ratio: Fraction, offset: Fraction, source: Window, window: Window
) -> NDArray[np.float32]:
    """Sound ``[n, C]`` at ``offset + j · ratio`` native samples, ``ratio`` above 1, without what that rate cannot hold.

    A sinc of cut-off 0.5/``ratio`` cycles per sample under a Kaiser window (Oppenheim, Schafer,
    "Discrete-Time Signal Processing", section 7.6), about 90 dB down outside its transition band.
    Beyond its ends the signal counts as repeating its last sample.
    """
    step = float(ratio)
    unit = math.lcm(ratio.denominator, offset.denominator)
    reach = math.ceil(_LOBES * ratio)
    result = np.empty((window.size, samples.shape[1]), dtype=np.float32)
    for first in range(0, window.size, _BLOCK_SAMPLES):
        outputs = np.arange(window.start + first, min(window.start + first + _BLOCK_SAMPLES, window.stop))
        # exact: float64 cannot tell neighbouring positions of long sounds at awkward ratios
        nearest, rest = np.divmod(outputs * int(ratio * unit) + int(offset * unit), unit)
        part = rest / unit
        taps = np.arange(-reach, reach + 1)
        distance = (taps - part[:, None]) / (_LOBES * step)
        kernel = np.sinc(_LOBES * distance) * np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1.0 - distance**2)))
        kernel *= np.abs(distance) <= 1.0
        kernel /= kernel.sum(axis=1, keepdims=True)
        position = np.clip(nearest[:, None] + taps - source.start, 0, len(samples) - 1)
        result[first : first + len(outputs)] = np.einsum("nt,ntc->nc", kernel, samples[position])
    return result
