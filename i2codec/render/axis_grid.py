"""Output samples along one axis, and where they lie among the native samples.

Positions are counted in native samples from the start of the axis: native sample i covers i to
i + 1 and its centre is at i + ½.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.render.window import Window
from i2codec.signal.timestamps import TimeStamps

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class AxisGrid:
    """Output sample j at the native position ``first + j · ratio``.

    Parameters
    ----------
    native:
        Native samples of the whole axis.
    count:
        Output samples over the whole axis.
    ratio:
        Native samples per output sample.
    first:
        Native position of output sample 0.
    """

    native: int
    count: int
    ratio: Fraction
    first: Fraction

    @classmethod
    def of_count(cls, *, native: int, count: int) -> AxisGrid:
        """``count`` samples that cover the axis, at the centres of what each covers."""
        if count < 1:
            raise OptionError(f"{count} samples along an axis; expected at least 1")
        ratio = Fraction(native, count)
        return cls(native, count, ratio, ratio / 2)

    @classmethod
    def of_ratio(cls, *, native: int, ratio: Fraction, centred: bool) -> AxisGrid:
        """As many samples at ``ratio`` as cover the axis, rounded.

        ``centred`` puts sample 0 in the middle of what it covers (frames of a video last), but not
        past the end of the axis; else where native sample 0 is (samples of a sound are moments).
        """
        count = max(1, math.floor(native / ratio + Fraction(1, 2)))
        return cls(native, count, ratio, min(ratio / 2, Fraction(native)) if centred else Fraction(1, 2))

    def coordinates(self, indices: Indices, *, start: int, length: int, half_extent: float) -> Floats:
        """Coordinates of output samples in the unit of native samples ``start`` to ``start + length``.

        x = e · (2 (p − start) / length − 1) for position p: on its own grid the unit covers −e..e.
        """
        count = float(length / self.ratio)
        offset = float(2 * self.first / self.ratio)
        return half_extent * ((2.0 * indices.astype(np.float64) + offset) / count - (1.0 + 2.0 * start / length))

    def positions(self, indices: Iterable[int]) -> Iterator[Fraction]:
        """Native positions of output samples."""
        return (self.first + index * self.ratio for index in indices)

    @property
    def shift_count(self) -> int:
        """How many fractional parts the positions of the whole grid have, at most."""
        return min(self.count, self.ratio.denominator)

    def first_at(self, position: int) -> int:
        """The first output sample at or after a native position; 0 to ``count``."""
        if position >= self.native:
            return self.count  # rounding may put a last sample at the very end
        return min(self.count, max(0, math.ceil((position - self.first) / self.ratio)))

    def window(self, *, start: int, length: int) -> Window:
        """The window of a region of native samples.

        Its size is the region's times the scale, rounded, at least 1; its start is the nearest
        sample, moved inside where rounding would leave the axis.

        >>> AxisGrid.of_count(native=10, count=25).window(start=2, length=3)
        Window(count=25, start=5, stop=13)
        """
        if start < 0 or length < 1 or start + length > self.native:
            raise OptionError(f"region {start} to {start + length} does not lie inside 0 to {self.native}")
        size = min(self.count, max(1, _rounded(length / self.ratio)))
        first = min(_rounded(start / self.ratio), self.count - size)
        return Window(self.count, first, first + size)


@dataclass(frozen=True)
class StampedGrid(AxisGrid):
    """Frames at a constant rate over native frames of different lengths.

    ``ratio`` is in mean native frames; :meth:`of_rate` makes one.
    """

    stamps: TimeStamps
    period: Fraction

    @classmethod
    def of_rate(cls, stamps: TimeStamps, *, rate: Fraction) -> StampedGrid:
        """As many frames at ``rate`` per second as cover the video, rounded."""
        native = stamps.frame_count
        count = max(1, math.floor(stamps.duration * rate + Fraction(1, 2)))
        ratio = native / (stamps.duration * rate)
        return cls(native, count, ratio, ratio / 2, stamps, 1 / rate)

    def coordinates(self, indices: Indices, *, start: int, length: int, half_extent: float) -> Floats:
        """See :class:`AxisGrid`: the position is where the middle of an output frame falls in its native frame."""
        coordinates: Floats = half_extent * (2.0 * (self._native_positions(indices) - start) / length - 1.0)
        return coordinates

    def positions(self, indices: Iterable[int]) -> Iterator[Fraction]:
        """See :class:`AxisGrid`."""
        return map(Fraction, self._native_positions(np.fromiter(indices, dtype=np.int64)).tolist())

    @property
    def shift_count(self) -> int:
        """See :class:`AxisGrid`."""
        return self.count

    def _native_positions(self, indices: Indices) -> Floats:
        times = (indices.astype(np.float64) + 0.5) * float(self.period / self.stamps.time_base)
        native: Floats = np.interp(times, np.array(self.stamps.ticks, dtype=np.float64), np.arange(self.native + 1.0))
        return native

    def first_at(self, position: int) -> int:
        """See :class:`AxisGrid`."""
        if position >= self.native:
            return self.count
        return min(self.count, max(0, math.ceil(self._moment(position) - Fraction(1, 2))))

    def window(self, *, start: int, length: int) -> Window:
        """See :class:`AxisGrid`."""
        if start < 0 or length < 1 or start + length > self.native:
            raise OptionError(f"region {start} to {start + length} does not lie inside 0 to {self.native}")
        size = min(self.count, max(1, _rounded(self._moment(start + length) - self._moment(start))))
        first = min(_rounded(self._moment(start)), self.count - size)
        return Window(self.count, first, first + size)

    def _moment(self, frame: int) -> Fraction:
        """When a native frame begins, in output frames."""
        return self.stamps.ticks[frame] * self.stamps.time_base / self.period


def _rounded(value: Fraction) -> int:
    """Nearest integer, halves up."""
    return math.floor(value + Fraction(1, 2))
