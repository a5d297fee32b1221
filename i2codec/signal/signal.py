"""The signal record: samples ``[*grid, C]`` in their unit range, and what they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError, OptionError
from i2codec.signal.description import Axis, Kind, SampleFormat, SignalDescription

_INTEGER_FULL_SCALE = {SampleFormat.UINT8: 2**8 - 1, SampleFormat.UINT10: 2**10 - 1, SampleFormat.UINT16: 2**16 - 1}
_INTEGER_DTYPES: dict[SampleFormat, type[np.unsignedinteger]] = {
    SampleFormat.UINT8: np.uint8,
    SampleFormat.UINT10: np.uint16,
    SampleFormat.UINT16: np.uint16,
}
_FLOAT_DTYPES: dict[SampleFormat, type[np.floating]] = {
    SampleFormat.FLOAT16: np.float16,
    SampleFormat.FLOAT32: np.float32,
    SampleFormat.FLOAT64: np.float64,
}


class MetadataKey(IntEnum):
    """Kind of a metadata block; the values are ids of the file format."""

    ICC_PROFILE = 1
    EXIF = 2


@dataclass(frozen=True)
class Signal:
    """Samples on a regular grid.

    Parameters
    ----------
    description:
        Axes, channels, formats.
    samples:
        ``[*grid, C]`` float32 in the unit range: 0..1 for photos. Alpha is straight, not
        premultiplied. Decoded samples may leave the range a little; :meth:`to_source` clips.
    metadata:
        Blocks kept verbatim, such as the ICC profile.
    """

    description: SignalDescription
    samples: NDArray[np.float32]
    metadata: dict[MetadataKey, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = (*self.description.extents, len(self.description.channels))
        if self.samples.shape != expected or self.samples.dtype != np.float32:
            raise OptionError(
                f"samples are {self.samples.dtype} of shape {self.samples.shape}; expected float32 of {expected}"
            )

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
        and scale and clipped to the range that the source had.
        """
        return to_source_samples(self.samples, self.description)


def to_source_samples(samples: NDArray[np.float32], description: SignalDescription) -> NDArray[np.generic]:
    """Unit-range samples ``[..., C]`` in the number format and units of ``description``."""
    sample_format = description.sample_format
    unit = np.clip(samples, 0.0, 1.0)
    if sample_format in _FLOAT_DTYPES:
        values = description.offset + description.scale * unit.astype(np.float64)
        floats: NDArray[np.generic] = values.astype(_FLOAT_DTYPES[sample_format])
        return floats
    full_scale = _full_scale(sample_format)
    integers: NDArray[np.generic] = np.rint(unit * full_scale).astype(_INTEGER_DTYPES[sample_format])
    return integers


def from_source_samples(
    values: NDArray[np.generic], description: SignalDescription
) -> tuple[NDArray[np.float32], SignalDescription]:
    """Unit-range float32 samples of ``values``, and the description with their offset and scale.

    Integers are divided by full scale. Floats are mapped from their own minimum and maximum
    to 0..1; a constant array gets scale 0.

    Raises
    ------
    InputError
        If a float is not finite, or the range is too wide for float64.
    """
    sample_format = description.sample_format
    if sample_format in _FLOAT_DTYPES:
        if not np.isfinite(values).all():
            raise InputError("the array holds NaN or infinite values; expected finite samples: clean it first")
        low, high = float(values.min()), float(values.max())
        scale = high - low
        if not np.isfinite(scale):
            raise InputError(f"the array spans {low:g} to {high:g}; expected a range that fits a float64")
        unit = (values.astype(np.float64) - low) / (scale or 1.0)
        return unit.astype(np.float32), replace(description, offset=low, scale=scale)
    return values.astype(np.float32) / _full_scale(sample_format), description


def _full_scale(sample_format: SampleFormat) -> np.float32:
    if sample_format not in _INTEGER_FULL_SCALE:
        raise OptionError(f"sample format {sample_format.name} is not one of a photo")
    return np.float32(_INTEGER_FULL_SCALE[sample_format])
