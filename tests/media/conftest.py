"""Generated pictures that Pillow itself cannot write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _deep_png(
    values: np.ndarray, *, key: bytes = b"", trailing: bytes = b"", size: tuple[int, int] | None = None
) -> bytes:
    height, width, channels = values.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", *(size or (width, height)), 16, colour_type, 0, 0, 0)
    transparency = _chunk(b"tRNS", key) if key else b""
    exif = _chunk(b"eXIf", trailing) if trailing else b""
    body = _chunk(b"IDAT", zlib.compress(rows)) + exif + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + transparency + body


def _deep_tiff(
    values: np.ndarray, *, order: str = "<", deflate: bool = False, extra: int | None = None, planar: bool = False
) -> bytes:
    height, width, channels = values.shape
    data = (values.transpose(2, 0, 1) if planar else values).astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if deflate else data
    tags = ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    plain = {256: width, 257: height, 258: (16,) * channels, 259: 8 if deflate else 1, 262: 2, 277: channels}
    for tag, value in (plain | {278: height, 284: 2 if planar else 1}).items():
        tags[tag] = value
    if extra is not None:
        tags[338] = extra
    strips = channels if planar else 1
    tags.tagtype[273] = tags.tagtype[279] = 4
    tags[279] = (len(data) // strips,) * strips
    tags[273] = tuple(index * (len(data) // strips) for index in range(strips))
    stream = io.BytesIO()
    tags.save(stream)
    return stream.getvalue() + data


def _cmyk_profile() -> bytes:
    identity = bytes(range(256))
    table = bytes([255, 128, 128, 0, 128, 128]) * 2**3
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + identity * 4 + table + identity * 3
    header = bytearray(128)
    header[8:12] = bytes([2, 0x40, 0, 0])
    header[12:24] = b"prtrCMYKLab "
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)  # the D50 white point
    tags = struct.pack(">I4sII", 1, b"A2B0", 128 + 16, len(lut))
    profile = bytes(header) + tags + lut
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.fixture(scope="session")
def deep_png() -> Callable[..., bytes]:
    """A 16-bit PNG of values `[H, W, C]`."""
    return _deep_png


@pytest.fixture(scope="session")
def deep_tiff() -> Callable[..., bytes]:
    """A 16-bit RGB(A) TIFF of values `[H, W, C]`."""
    return _deep_tiff


@pytest.fixture(scope="session")
def cmyk_profile() -> bytes:
    """An ICC profile that looks at black ink only: lightness 100 without it, 0 with all of it."""
    return _cmyk_profile()


@pytest.fixture(scope="session")
def rgb_profile() -> bytes:
    """An ICC profile for RGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="session")
def grey_profile(rgb_profile: bytes) -> bytes:
    """An ICC profile that says it is for grey."""
    return rgb_profile[:16] + b"GRAY" + rgb_profile[20:]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
