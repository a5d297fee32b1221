"""Pixels of picture files, through Pillow, without losing bits.

Pillow has no 16-bit modes with more than one channel and silently keeps the high byte. Its
decoders can however unpack the *other* byte: for a big-endian file the raw mode ``RGB;16B``
picks the high bytes and ``RGB;16L`` the low ones. Such files are decoded twice.
"""

from __future__ import annotations

import io
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from i2codec.errors import InputError
from i2codec.media.image_formats import INPUT_FORMATS, MAX_PIXELS, check_pixel_count

# AVIF, JPEG 2000 and PPM are left out: Pillow cuts their deeper samples to 8 bits unasked.
_PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
_ANIMATED_FORMATS = {"PNG": "PNG", "WEBP": "WebP", "GIF": "GIF"}
_TWO_PASS_RAW_MODE = re.compile(r"(RGB|RGBX|RGBA|RGBa);16([BLN])")
_PLANAR_CONFIGURATION, _BITS_PER_SAMPLE = 284, 258
_SEPARATE_PLANES = 2

_pillow_lock = threading.Lock()


@contextmanager
def pillow_reading(name: str) -> Iterator[None]:
    """Run Pillow on a source under this package's pixel limit; its failures become InputError.

    Raises
    ------
    InputError
        In place of whatever Pillow raises; ``name`` says which source.
    """
    # Pillow's own limit is a module variable, so one thread at a time changes it.
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes on odd tags; real damage raises
        previous, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
        try:
            yield
        except InputError:
            raise
        except UnidentifiedImageError as exc:
            raise InputError(
                f"{name} is not a readable photo; expected {INPUT_FORMATS}: convert it, or fetch it again if damaged"
            ) from exc
        except Image.DecompressionBombError as exc:
            raise InputError(f"{name} is over the limit of {MAX_PIXELS} pixels: crop or scale it first") from exc
        except Exception as exc:  # Pillow's parsers raise whatever a damaged file makes them trip over
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise InputError(f"{name} is damaged ({reason}); expected a whole photo: fetch or save it again") from exc
        finally:
            Image.MAX_IMAGE_PIXELS = previous


def open_picture(stream: BinaryIO, *, name: str) -> ImageFile.ImageFile:
    """Open a still picture and check it from its header; run under :func:`pillow_reading`.

    Raises
    ------
    InputError
        If it has too many pixels, several frames or pages, or a layout that would lose bits.
    """
    image = Image.open(stream, formats=_PILLOW_FORMATS)
    check_pixel_count(image.height, image.width, name=name)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format == "TIFF":
        raise InputError(f"{name} is a TIFF of {frames} pages; expected a single page: extract one page first")
    if frames > 1 and image.format in _ANIMATED_FORMATS:
        kind = _ANIMATED_FORMATS[image.format]
        raise InputError(
            f"{name} is an animated {kind} of {frames} frames; expected a still photo: extract one frame first"
        )
    if image.format == "TIFF" and _has_deep_planes(image):
        raise InputError(
            f"{name} is a 16-bit TIFF with separate planes; expected interleaved channels: convert it first"
        )
    if image.format == "PNG":
        # Loading checks no checksums and accepts a file that is cut after its last pixel.
        image.verify()
        if len(stream.read(4)) < 4:  # the checksum of the last chunk, which verify() leaves
            raise EOFError("image file is truncated")
        image = Image.open(stream, formats=("PNG",))
    return image


def _has_deep_planes(image: ImageFile.ImageFile) -> bool:
    tags: Any = image.tag_v2  # type: ignore[attr-defined]  # TIFF images only
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    return tags.get(_PLANAR_CONFIGURATION) == _SEPARATE_PLANES and len(bits) > 1 and max(bits) > 8


def picture_values(image: ImageFile.ImageFile, stream: BinaryIO) -> NDArray[np.generic]:
    """Values ``[H, W, C]`` of an opened picture: uint8, uint16, float32 or float64.

    ``C`` is 1 for grey, 2 for grey and alpha, 3 for RGB and 4 for RGBA. Palettes and other
    colour spaces become RGB; CMYK goes through its ICC profile where it has one, at 8 bits.
    Signed and 32-bit integers become float64. The picture is loaded; ``stream`` is read
    again where one pass cannot hold its bits. Run under :func:`pillow_reading`.
    """
    raw_mode = _raw_mode(image)
    key = image.info.get("transparency")
    if two_pass := _TWO_PASS_RAW_MODE.fullmatch(raw_mode):
        values = _two_pass_values(image, stream, layout=two_pass[1], order=two_pass[2])
    elif raw_mode == "LA;16B":  # four bytes per pixel, which RGBA takes as they are
        _set_raw_mode(image, "RGBA")
        values = np.asarray(image).view(">u2")
    else:
        values = np.asarray(_in_plain_mode(image))
        # Pillow gives signed and 32-bit integers as int32, which float64 holds exactly.
        values = values.astype(np.float64) if values.dtype == np.int32 else values
    values = values if values.ndim == 3 else values[..., np.newaxis]
    if key is not None and values.shape[2] in (1, 3):
        return _with_colour_key(values, key, bits=_key_bits(raw_mode))
    return values


def _raw_mode(image: ImageFile.ImageFile) -> str:
    if not image.tile:  # WebP has no tiles before it is loaded
        return ""
    arguments = image.tile[0].args
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw_mode if isinstance(raw_mode, str) else ""


def _set_raw_mode(image: ImageFile.ImageFile, raw_mode: str) -> None:
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]


def _two_pass_values(image: ImageFile.ImageFile, stream: BinaryIO, *, layout: str, order: str) -> NDArray[np.uint16]:
    unpremultiplying = layout == "RGBa"  # dividing each byte by alpha would destroy the sample
    layout = layout.upper() if unpremultiplying else layout
    again = Image.open(stream, formats=_PILLOW_FORMATS)
    planes = []
    for opened, byte in ((image, "B"), (again, "L")):  # B unpacks a sample's first byte, L its second
        _set_raw_mode(opened, f"{layout};16{byte}")
        planes.append(np.asarray(opened))
    big_endian = order == "B" or (order == "N" and sys.byteorder == "big")
    values = np.stack(planes, axis=-1).view(">u2" if big_endian else "<u2")[..., 0]
    return _straight(values) if unpremultiplying else values


def _straight(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    colour, alpha = values[..., :-1].astype(np.float64), values[..., -1:]
    full = np.float64(65535)
    straight = np.minimum(colour * full / np.maximum(alpha, 1), full)
    return np.concatenate([np.rint(straight).astype(np.uint16), alpha], axis=-1)


def _in_plain_mode(image: Image.Image) -> Image.Image:
    """The image in a mode whose array is grey or RGB, with or without alpha."""
    match image.mode:
        case "L" | "LA" | "RGB" | "RGBA" | "I" | "F" | "I;16" | "I;16B" | "I;16L" | "I;16N":
            return image
        case "1":
            return image.convert("L")
        case "La":
            return image.convert("LA")
        case "P" | "PA" | "RGBa":
            return image.convert("RGBA" if image.has_transparency_data else "RGB")
        case "CMYK":
            return _cmyk_to_rgb(image)
    return image.convert("RGB")


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # loads LittleCMS, which few photos need

    if profile := image.info.get("icc_profile"):
        inks = io.BytesIO(profile)
        try:
            converted = ImageCms.profileToProfile(image, inks, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except ImageCms.PyCMSError:
            converted = None  # damaged, or a profile of other inks: as good as none
        if converted is not None:
            return converted
    return image.convert("RGB")


def _key_bits(raw_mode: str) -> int:
    """Bits of the samples that a colour key is given in, 8 where Pillow did not widen them."""
    return int(raw_mode[2:]) if raw_mode in ("L;2", "L;4") else 8


def _with_colour_key(values: NDArray[np.generic], key: int | tuple[int, ...], *, bits: int) -> NDArray[np.generic]:
    """Values ``[H, W, C + 1]`` with alpha 0 where all channels equal the key, else full."""
    widened = np.asarray(key) * (255 // (2**bits - 1))
    transparent = (values == widened).all(axis=-1, keepdims=True)
    opaque = 2 ** (8 * values.dtype.itemsize) - 1
    alpha = np.where(transparent, 0, opaque).astype(values.dtype)
    return np.concatenate([values, alpha], axis=-1)
