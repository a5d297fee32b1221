"""Photos in and out: the public face of the ``image_*`` modules."""

from i2codec.media.image_array import photo_from_array
from i2codec.media.image_formats import (
    DEFAULT_PHOTO_EXTENSION,
    MAX_PIXELS,
    OUTPUT_FORMATS,
    check_photo_output,
    parse_background,
)
from i2codec.media.image_read import read_photo
from i2codec.media.image_write import write_photo

__all__ = [
    "DEFAULT_PHOTO_EXTENSION",
    "MAX_PIXELS",
    "OUTPUT_FORMATS",
    "check_photo_output",
    "parse_background",
    "photo_from_array",
    "read_photo",
    "write_photo",
]
