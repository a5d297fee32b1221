"""Photos from files and from bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, ImageFile

from i2codec.errors import InputError
from i2codec.media.image_array import NPY_MAGIC, photo_from_array, read_npy
from i2codec.media.image_decode import open_picture, picture_values, pillow_reading
from i2codec.media.image_exif import EXIF_PREFIX, descriptive_block, marked_upright, oriented
from i2codec.media.image_formats import INPUT_FORMATS, profile_fits
from i2codec.signal.description import SourceContainer
from i2codec.signal.signal import MetadataKey, Signal

_CONTAINERS = {
    "PNG": SourceContainer.PNG,
    "JPEG": SourceContainer.JPEG,
    "MPO": SourceContainer.JPEG,  # a JPEG with further pictures appended, as phones write it
    "WEBP": SourceContainer.WEBP,
    "TIFF": SourceContainer.TIFF,
}


def read_photo(source: Path | bytes, *, keep_metadata: bool) -> Signal:
    """The photo in a file or in the bytes of one: PNG, JPEG, WebP, TIFF, BMP, GIF or ``.npy``.

    The kind of file is told by its content. EXIF orientation is applied, so the photo is
    upright whether or not metadata is kept. Every bit of 16-bit files is kept; CMYK and Lab
    become 8-bit RGB, and 32-bit integer TIFFs become float64.

    Parameters
    ----------
    source:
        Path, or file content that came from standard input.
    keep_metadata:
        Whether to keep the ICC profile and the EXIF block, marked upright.

    Raises
    ------
    InputError
        If the source is missing, not a still photo of a supported kind, damaged, truncated,
        empty or over :data:`~i2codec.media.image_formats.MAX_PIXELS`.
    """
    name = "standard input" if isinstance(source, bytes) else str(source)
    with _opened(source, name=name) as stream:
        prefix = stream.read(len(NPY_MAGIC))
        if not prefix:
            raise InputError(f"{name} is empty; expected a photo: {INPUT_FORMATS}")
        stream.seek(0)
        if prefix == NPY_MAGIC:
            return read_npy(stream, name=name)
        return _read_picture(stream, name=name, keep_metadata=keep_metadata)


@contextmanager
def _opened(source: Path | bytes, *, name: str) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        with source.open("rb") as stream:
            yield stream
    except FileNotFoundError as exc:
        raise InputError(f"{name} does not exist; expected a photo: check the path") from exc
    except IsADirectoryError as exc:
        raise InputError(f"{name} is a directory; expected a photo: name a file in it") from exc
    except OSError as exc:
        raise InputError(f"{name} cannot be read ({exc.strerror or exc}); expected a photo: check the file") from exc


def _read_picture(stream: BinaryIO, *, name: str, keep_metadata: bool) -> Signal:
    with pillow_reading(name):
        image = open_picture(stream, name=name)
        values = picture_values(image, stream)
        # Only now: PNG may hold EXIF after its pixels, and Pillow turns TIFFs while loading.
        orientation, exif = _orientation_and_exif(image)
        profile = image.info.get("icc_profile")
    values = oriented(values, orientation)
    metadata: dict[MetadataKey, bytes] = {}
    if keep_metadata and profile and profile_fits(profile, values.shape[2]):
        metadata[MetadataKey.ICC_PROFILE] = profile
    if keep_metadata and exif:
        metadata[MetadataKey.EXIF] = exif
    container = _CONTAINERS.get(image.format or "", SourceContainer.OTHER)
    return photo_from_array(values, source=container, metadata=metadata, name=name)


def _orientation_and_exif(image: ImageFile.ImageFile) -> tuple[int, bytes]:
    try:
        tags = image.getexif()
        orientation = tags.get(ExifTags.Base.Orientation, 1)
        if image.format == "TIFF":
            return orientation, descriptive_block(tags)
        block: bytes = image.info.get("exif", b"").removeprefix(EXIF_PREFIX)
        return orientation, marked_upright(block) if block else b""
    except Exception:  # damaged tags are as good as none; the pixels are sound
        return 1, b""
