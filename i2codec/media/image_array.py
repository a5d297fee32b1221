"""Photos from arrays and ``.npy`` files."""

from __future__ import annotations

import math
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from i2codec.errors import InputError
from i2codec.media.image_formats import check_pixel_count
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    Kind,
    SampleFormat,
    SignalDescription,
    SourceContainer,
)
from i2codec.signal.sample_formats import from_source_samples
from i2codec.signal.signal import MetadataKey, Signal

NPY_MAGIC = b"\x93NUMPY"

_RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
_ROLES: dict[int, tuple[ChannelRole, ...]] = {
    1: (ChannelRole.GREY,),
    2: (ChannelRole.GREY, ChannelRole.ALPHA),
    3: _RGB,
    4: (*_RGB, ChannelRole.ALPHA),
}
_SAMPLE_FORMATS = {
    np.dtype(np.uint8): SampleFormat.UINT8,
    np.dtype(np.uint16): SampleFormat.UINT16,
    np.dtype(np.float16): SampleFormat.FLOAT16,
    np.dtype(np.float32): SampleFormat.FLOAT32,
    np.dtype(np.float64): SampleFormat.FLOAT64,
}


def photo_from_array(
    array: NDArray[np.generic],
    *,
    source: SourceContainer = SourceContainer.ARRAY,
    metadata: dict[MetadataKey, bytes] | None = None,
    name: str = "the array",
) -> Signal:
    """A photo of an array ``[H, W]`` or ``[H, W, C]``.

    One channel is grey, two are grey and alpha, three RGB, four RGBA; ``[H, W]`` and
    ``[H, W, 1]`` give the same photo. Samples are uint8, uint16, float16, float32 or
    float64 of any byte order; bool becomes uint8 0 and 255. Float samples keep their units
    and their range is mapped to 0..1, except where there is alpha: those must lie in 0..1.

    Parameters
    ----------
    array:
        The picture, top row first.
    source:
        File family that the array was read from.
    metadata:
        Blocks kept with the photo.
    name:
        How messages call the source.

    Raises
    ------
    InputError
        For another shape or number type, too many pixels, or samples that are not finite.
    """
    check_array_layout(array.shape, array.dtype, name=name)
    values = array[..., np.newaxis] if array.ndim == 2 else array
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    height, width, channel_count = values.shape
    description = SignalDescription(
        kind=Kind.PHOTO,
        axes=(Axis(AxisName.Y, height), Axis(AxisName.X, width)),
        channels=_ROLES[channel_count],
        sample_format=_SAMPLE_FORMATS[values.dtype],
        source=source,
    )
    if description.has_alpha and description.sample_format.is_float:
        samples = _unit_range_samples(values, name=name)
    else:
        samples, description = from_source_samples(values, description)
    return Signal(description, samples, metadata or {})


def _unit_range_samples(values: NDArray[np.generic], *, name: str) -> NDArray[np.float32]:
    # One offset and scale serve all channels, so opacity survives only if they are 0 and 1.
    floats = cast(NDArray[np.floating], values)
    if not ((floats >= 0) & (floats <= 1)).all():  # false for NaN too
        raise InputError(
            f"{name} has float samples with alpha outside 0..1; expected all within 0..1: rescale it or drop alpha"
        )
    return floats.astype(np.float32)


def check_array_layout(shape: tuple[int, ...], dtype: np.dtype[np.generic], *, name: str) -> None:
    """Refuse an array that is not a photo, from its shape and number type alone.

    Raises
    ------
    InputError
        Naming the shape or number type that was found, and what is expected.
    """
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in _ROLES):
        raise InputError(f"{name} has shape {shape}; expected [H, W] or [H, W, C] with C from 1 to 4: reshape it")
    check_pixel_count(shape[0], shape[1], name=name)
    if dtype != np.bool_ and dtype.newbyteorder("=") not in _SAMPLE_FORMATS:
        raise InputError(
            f"{name} holds {dtype} samples; expected uint8, uint16, float16, float32 or float64: "
            "convert it, for example with array.astype('float32')"
        )


def read_npy(stream: BinaryIO, *, name: str) -> Signal:
    """The photo of a ``.npy`` file, as :func:`photo_from_array` sees its array.

    Shape and length are checked from the header before anything is allocated.

    Raises
    ------
    InputError
        If the file is damaged or truncated, or its array is not a photo.
    """
    try:
        shape, dtype = _npy_header(stream)
    except Exception as exc:  # NumPy parses the header as Python and lets the tokenizer's errors through
        reason = " ".join(str(exc).split())
        raise InputError(f"{name} is a damaged .npy file ({reason}); expected a whole array: save it again") from exc
    check_array_layout(shape, dtype, name=name)
    start = stream.tell()
    found, expected = stream.seek(0, 2) - start, math.prod(shape) * dtype.itemsize
    if found < expected:
        raise InputError(f"{name} is truncated: {found} bytes of samples; expected {expected}: save it again")
    stream.seek(0)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    return photo_from_array(array, source=SourceContainer.NPY, name=name)


def _npy_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:  # version 3 differs only for structured types, which are no photos
        raise ValueError(f"version {version[0]}.{version[1]}, not 1.0 or 2.0")
    shape, _, dtype = readers[version](stream)
    return shape, dtype
