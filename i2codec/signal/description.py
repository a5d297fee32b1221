"""What a signal is, apart from its samples: kind, axes, channels, formats, colour.

Standard library only, so that a header can be read without loading NumPy. The integer
values are the ids of the file format (``docs/format.md``) and are never reused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction

from i2codec.errors import OptionError


class Kind(IntEnum):
    """Kind of media."""

    PHOTO = 1
    SOUND = 2
    VIDEO = 3
    SHAPE = 4


class AxisName(IntEnum):
    """What an axis measures. Time is in seconds, the others in samples of the source."""

    TIME = 1
    Z = 2
    Y = 3
    X = 4


class ChannelRole(IntEnum):
    """What a channel holds."""

    GREY = 1
    RED = 2
    GREEN = 3
    BLUE = 4
    ALPHA = 5
    PLAIN = 6  # an array channel without a meaning of its own
    SOUND = 7
    OCCUPANCY = 8


class SampleFormat(IntEnum):
    """Number format of the source's samples, restored on decoding."""

    UINT8 = 1
    UINT16 = 2
    INT16 = 3
    INT24 = 4
    INT32 = 5
    FLOAT16 = 6
    FLOAT32 = 7
    FLOAT64 = 8
    UINT10 = 9
    INT8 = 10

    @property
    def is_float(self) -> bool:
        """True for floating-point formats, whose range is stored as offset and scale."""
        return self in (SampleFormat.FLOAT16, SampleFormat.FLOAT32, SampleFormat.FLOAT64)


class SourceContainer(IntEnum):
    """File family the signal was read from."""

    ARRAY = 0
    PNG = 1
    JPEG = 2
    WEBP = 3
    TIFF = 4
    NPY = 5
    WAV = 6
    FLAC = 7
    OGG = 8
    MP3 = 9
    AIFF = 10
    MP4 = 11
    MATROSKA = 12
    GIF = 13
    OBJ = 14
    PLY = 15
    STL = 16
    GLB = 17
    OTHER = 255


@dataclass(frozen=True)
class Axis:
    """One axis of the sample grid.

    Parameters
    ----------
    name:
        What the axis measures.
    extent:
        Number of samples along it, at least 1.
    step:
        Distance between neighbouring samples: seconds for time, source samples otherwise.
    """

    name: AxisName
    extent: int
    step: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.extent < 1:
            raise OptionError(f"axis {self.name.name.lower()} has {self.extent} samples; expected at least 1")
        if self.step <= 0:
            raise OptionError(f"axis {self.name.name.lower()} has step {self.step}; expected more than 0")


@dataclass(frozen=True)
class ColourTags:
    """Colour of a photo or video as ITU-T H.273 code points; 2 means unspecified."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = True


@dataclass(frozen=True)
class SignalDescription:
    """Everything about a signal except its samples.

    ``offset`` and ``scale`` map the samples' unit range to source units,
    ``source = offset + scale · unit``; they are 0 and 1 for integer formats. ``affine`` maps a
    shape's coordinates to source units: the 3×4 matrix, row by row; None for other kinds.
    """

    kind: Kind
    axes: tuple[Axis, ...]
    channels: tuple[ChannelRole, ...]
    sample_format: SampleFormat
    offset: float = 0.0
    scale: float = 1.0
    colour: ColourTags = ColourTags()
    source: SourceContainer = SourceContainer.ARRAY
    affine: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.axes) <= 3:
            raise OptionError(f"a signal has {len(self.axes)} axes; expected 1 to 3")
        if not 1 <= len(self.channels) <= 16:
            raise OptionError(f"a signal has {len(self.channels)} channels; expected 1 to 16")
        if not math.isfinite(self.offset + self.scale):
            raise OptionError("offset and scale of a signal, and their sum, must be finite")
        if not self.sample_format.is_float and (self.offset, self.scale) != (0.0, 1.0):
            raise OptionError("offset and scale of a signal of integer samples must be 0 and 1")
        if self.affine is not None and not (len(self.affine) == 12 and all(map(math.isfinite, self.affine))):
            raise OptionError("the affine map of a shape must be 12 finite numbers")

    @property
    def extents(self) -> tuple[int, ...]:
        """Samples per axis, in axis order."""
        return tuple(axis.extent for axis in self.axes)

    @property
    def point_count(self) -> int:
        """Number of grid points: pixels, frames of samples, cells."""
        return math.prod(self.extents)

    @property
    def has_alpha(self) -> bool:
        """True where the last channel is opacity."""
        return self.channels[-1] is ChannelRole.ALPHA

    @property
    def duration_s(self) -> float:
        """Length of the time axis in seconds; 0 where there is none."""
        return sum(float(axis.extent * axis.step) for axis in self.axes if axis.name is AxisName.TIME)

    def with_length(self, length: int) -> SignalDescription:
        """The same with ``length`` samples along the first axis."""
        return replace(self, axes=(replace(self.axes[0], extent=length), *self.axes[1:]))
