"""The signal record: samples ``[*grid, C]`` in their unit range, and what they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import OptionError
from i2codec.signal.description import Axis, Kind, SignalDescription
from i2codec.signal.sample_formats import to_source_samples
from i2codec.signal.timestamps import TimeStamps


class MetadataKey(IntEnum):
    """Kind of a metadata block; the values are ids of the file format."""

    ICC_PROFILE = 1
    EXIF = 2
    TAGS = 3  # title, artist and the like: a JSON object of strings in UTF-8


@dataclass(frozen=True)
class Signal:
    """Samples on a regular grid.

    Parameters
    ----------
    description:
        Axes, channels, formats.
    samples:
        ``[*grid, C]`` float32 in the unit range: −1..1 for sound, 0..1 for everything else. Alpha
        is straight, not premultiplied. Decoded samples may leave the range a little;
        :meth:`to_source` clips.
    metadata:
        Blocks kept verbatim, such as the ICC profile.
    timestamps:
        When the frames of a video begin, where its frame rate varies.
    """

    description: SignalDescription
    samples: NDArray[np.float32]
    metadata: dict[MetadataKey, bytes] = field(default_factory=dict)
    timestamps: TimeStamps | None = None

    def __post_init__(self) -> None:
        expected = (*self.description.extents, len(self.description.channels))
        if self.samples.shape != expected or self.samples.dtype != np.float32:
            raise OptionError(
                f"samples are {self.samples.dtype} of shape {self.samples.shape}; expected float32 of {expected}"
            )
        if self.timestamps is not None and self.timestamps.frame_count != expected[0]:
            raise OptionError(f"{self.timestamps.frame_count} time stamps for {expected[0]} frames")

    @property
    def kind(self) -> Kind:
        """Kind of media."""
        return self.description.kind

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Axes of the grid, slowest first."""
        return self.description.axes

    def to_source(self) -> NDArray[np.generic]:
        """Samples ``[*grid, C]`` in the source's own number format and units.

        Integers are rounded and clipped to their range. Floats are mapped back by offset
        and scale and, but for sound, clipped to the range that the source had.
        """
        return to_source_samples(self.samples, self.description)
