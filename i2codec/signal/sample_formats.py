"""Number formats of a source and the unit range: 0..1, for sound −1..1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.signal.description import Kind, SampleFormat, SignalDescription

_FULL_SCALE = {
    SampleFormat.UINT8: 2**8 - 1,
    SampleFormat.UINT10: 2**10 - 1,
    SampleFormat.UINT16: 2**16 - 1,
    SampleFormat.INT8: 2**7,
    SampleFormat.INT16: 2**15,
    SampleFormat.INT24: 2**23,
    SampleFormat.INT32: 2**31,
}
_DTYPES: dict[SampleFormat, type[np.generic]] = {
    SampleFormat.UINT8: np.uint8,
    SampleFormat.UINT10: np.uint16,
    SampleFormat.UINT16: np.uint16,
    SampleFormat.INT8: np.int8,
    SampleFormat.INT16: np.int16,
    SampleFormat.INT24: np.int32,
    SampleFormat.INT32: np.int32,
    SampleFormat.FLOAT16: np.float16,
    SampleFormat.FLOAT32: np.float32,
    SampleFormat.FLOAT64: np.float64,
}


def to_source_samples(samples: NDArray[np.float32], description: SignalDescription) -> NDArray[np.generic]:
    """Unit-range samples ``[..., C]`` in the number format and units of ``description``.

    Unsigned integers hold 0..1 up to their largest value, signed ones −1..1 in two's complement (the
    largest value is one step below 1). 24-bit integers come in 32-bit ones, not shifted.
    """
    sample_format = description.sample_format
    dtype = _DTYPES[sample_format]
    if sample_format.is_float:
        unit = samples if description.kind is Kind.SOUND else np.clip(samples, 0.0, 1.0)
        floats: NDArray[np.generic] = (description.offset + description.scale * unit.astype(np.float64)).astype(dtype)
        return floats
    full_scale = _FULL_SCALE[sample_format]
    if np.issubdtype(dtype, np.unsignedinteger):
        unsigned: NDArray[np.generic] = np.rint(np.clip(samples, 0.0, 1.0) * np.float32(full_scale)).astype(dtype)
        return unsigned
    # float32 cannot tell 2³¹ − 1 from 2³¹
    rounded = np.rint(samples.astype(np.float64) * full_scale)
    signed: NDArray[np.generic] = np.clip(rounded, -full_scale, full_scale - 1).astype(dtype)
    return signed


def from_source_samples(
    values: NDArray[np.generic], description: SignalDescription
) -> tuple[NDArray[np.float32], SignalDescription]:
    """Unit-range float32 samples of ``values``, and the description with their offset and scale.

    Integers are divided by full scale. Floats are mapped from their own minimum and maximum
    to 0..1, a constant array with scale 0; those of sound stay as they are.

    Raises
    ------
    InputError
        If a float is not finite, or the range is too wide for float64.
    """
    sample_format = description.sample_format
    if not sample_format.is_float:
        return values.astype(np.float32) / np.float32(_FULL_SCALE[sample_format]), description
    if not np.isfinite(values).all():
        raise InputError("the source holds NaN or infinite values; expected finite samples: clean it first")
    if description.kind is Kind.SOUND:
        return values.astype(np.float32), description
    low, high = float(values.min()), float(values.max())
    scale = high - low
    if not np.isfinite(scale):
        raise InputError(f"the array spans {low:g} to {high:g}; expected a range that fits a float64")
    unit = (values.astype(np.float64) - low) / (scale or 1.0)
    return unit.astype(np.float32), replace(description, offset=low, scale=scale)
