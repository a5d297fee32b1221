"""Writing 16-bit PNG and TIFF pictures, which Pillow cannot when they have several channels."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import LONG

_PNG_PIXEL_FORMATS = {1: "gray16be", 2: "ya16be", 3: "rgb48be", 4: "rgba64be"}
_PNG_HEADER_BYTES = 33  # signature and IHDR, after which any chunk may follow

# TIFF tag ids and values
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _EXTRA_SAMPLES = 256, 257, 258, 262, 277, 338
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR, _ICC_PROFILE = 273, 278, 279, 284, 34675
_COMPRESSION, _UNCOMPRESSED = 259, 1
_PHOTOMETRIC_RGB, _INTERLEAVED, _STRAIGHT_ALPHA = 2, 1, 2


def write_deep_png(
    values: NDArray[np.uint16], destination: BinaryIO, *, profile: bytes | None, exif: bytes | None
) -> None:
    """Write values ``[H, W, C]``, C from 1 to 4, as a 16-bit PNG with its metadata blocks."""
    png = _encoded_png(values)
    chunks = b""
    if profile:
        chunks += _png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if exif:
        chunks += _png_chunk(b"eXIf", exif)
    destination.write(png[:_PNG_HEADER_BYTES] + chunks)
    destination.write(memoryview(png)[_PNG_HEADER_BYTES:])


def _encoded_png(values: NDArray[np.uint16]) -> bytes:
    import av  # loads FFmpeg, which no other photo needs

    height, width, channel_count = values.shape
    pixel_format = _PNG_PIXEL_FORMATS[channel_count]
    frame = av.VideoFrame(width, height, pixel_format)
    plane = frame.planes[0]
    rows = np.zeros((height, plane.line_size), np.uint8)  # FFmpeg pads its rows
    rows[:, : width * channel_count * 2] = values.astype(">u2").reshape(height, -1).view(np.uint8)
    plane.update(rows.tobytes())
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixel_format
    encoder.time_base = Fraction(1)
    encoder.options = {"pred": "mixed"}
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_deep_tiff(
    values: NDArray[np.uint16], destination: BinaryIO, *, profile: bytes | None, tags: dict[int, Any]
) -> None:
    """Write values ``[H, W, C]``, C 3 or 4, as an uncompressed 16-bit RGB or RGBA TIFF.

    ``tags`` describe the picture; its layout is added to them.
    """
    height, width, channel_count = values.shape
    data = values.astype("<u2").tobytes()
    directory = ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    directory[_WIDTH], directory[_HEIGHT] = width, height
    directory[_BITS], directory[_SAMPLES] = (16,) * channel_count, channel_count
    directory[_COMPRESSION], directory[_PLANAR] = _UNCOMPRESSED, _INTERLEAVED
    directory[_PHOTOMETRIC] = _PHOTOMETRIC_RGB
    if channel_count == 4:
        directory[_EXTRA_SAMPLES] = _STRAIGHT_ALPHA
    if profile:
        directory[_ICC_PROFILE] = profile
    directory.tagtype[_STRIP_OFFSETS] = directory.tagtype[_STRIP_BYTES] = LONG
    directory[_ROWS_PER_STRIP], directory[_STRIP_BYTES] = height, len(data)
    directory[_STRIP_OFFSETS] = 0  # counted from the end of the directory; save() adds that
    directory.save(destination)
    destination.write(data)
