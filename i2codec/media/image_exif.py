"""EXIF blocks: orientation, and the tags that may travel between TIFF and other files.

A block is stored without the ``Exif\\0\\0`` prefix: it starts with a TIFF byte-order mark.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

EXIF_PREFIX = b"Exif\0\0"

_SHORT = 3  # TIFF type id
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
# A TIFF file keeps EXIF among the tags that lay out its pixels; only these may cross over.
_DESCRIPTIVE_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
_DESCRIPTIVE_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def oriented(values: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Upright picture ``[H', W', C]`` of values ``[H, W, C]`` stored with an EXIF orientation.

    Orientations outside 1..8 change nothing.
    """
    match orientation:
        case 2:
            return values[:, ::-1]
        case 3:
            return values[::-1, ::-1]
        case 4:
            return values[::-1]
        case 5:
            return values.swapaxes(0, 1)
        case 6:
            return np.rot90(values, -1)
        case 7:
            return np.rot90(values, 2).swapaxes(0, 1)
        case 8:
            return np.rot90(values)
    return values


def marked_upright(block: bytes) -> bytes:
    """The EXIF block with orientation 1 and every other byte unchanged.

    The tag is patched in place because maker notes hold absolute offsets, which would break
    if the block were laid out anew.

    Raises
    ------
    KeyError
        If the block does not start as a TIFF file does.
    struct.error
        If the block ends inside its first directory.
    """
    order = _BYTE_ORDERS[block[:4]]
    (directory,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(f"{order}H", block, entry)
        if tag == ExifTags.Base.Orientation:
            patched = bytearray(block)
            struct.pack_into(f"{order}HIHH", patched, entry + 2, _SHORT, 1, 1, 0)
            return bytes(patched)
    return block


def descriptive_tags(exif: Image.Exif) -> dict[int, Any]:
    """The tags that describe a picture and not the layout of its file; directories are dicts."""
    values = {int(tag): exif[tag] for tag in _DESCRIPTIVE_TAGS if tag in exif}
    directories = {int(tag): entries for tag in _DESCRIPTIVE_DIRECTORIES if (entries := exif.get_ifd(tag))}
    return values | directories


def descriptive_block(exif: Image.Exif) -> bytes:
    """EXIF block of :func:`descriptive_tags`, empty if there are none."""
    tags = descriptive_tags(exif)
    kept = Image.Exif()
    for tag, value in tags.items():
        kept[tag] = value
    return kept.tobytes().removeprefix(EXIF_PREFIX) if tags else b""
