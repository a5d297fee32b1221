"""Photos to files."""

from __future__ import annotations

import warnings
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2codec.errors import OutputError
from i2codec.media.image_deep import write_deep_png, write_deep_tiff
from i2codec.media.image_exif import EXIF_PREFIX, descriptive_block, descriptive_tags
from i2codec.media.image_formats import check_photo_output, output_format, profile_fits
from i2codec.signal.description import SampleFormat
from i2codec.signal.signal import MetadataKey, Signal

_Unsigned = TypeVar("_Unsigned", np.uint8, np.uint16)

_JPEG_OPTIONS = {"quality": 95, "subsampling": "4:4:4"}
# Lossy WebP halves the resolution of colour at any quality; lossless keeps what was decoded.
_WEBP_OPTIONS = {"lossless": True, "exact": True}  # exact: also the colour under alpha 0
_LONGEST_JPEG_EXIF = 65533 - len(EXIF_PREFIX)  # one marker segment


def write_photo(
    signal: Signal, destination: BinaryIO, *, extension: str, background: tuple[int, int, int] | None
) -> None:
    """Write a photo to a seekable binary file object, in the format that ``extension`` names.

    ==========  =====================================================================
    PNG, TIFF   8-bit for uint8 photos, 16-bit for others; grey float photos become
                float32 TIFF in their own units
    JPEG, WebP  8-bit; JPEG at quality 95 without chroma subsampling, WebP lossless
    BMP         8-bit, without metadata
    ``.npy``    the photo's own number type and units: ``[H, W]`` for one channel,
                ``[H, W, C]`` for more; without metadata
    ==========  =====================================================================

    WebP has no grey and 16-bit TIFF no grey with alpha: they are written as RGB and RGBA.

    Parameters
    ----------
    signal:
        The photo.
    destination:
        Where to write; nothing else is written.
    extension:
        One of :data:`~i2codec.media.image_formats.OUTPUT_FORMATS`, in any case.
    background:
        Colour put under transparent pixels, 0..255 per channel. Formats that hold alpha
        keep it and ignore the background.

    Raises
    ------
    OutputError
        As :func:`~i2codec.media.image_formats.check_photo_output` does, for metadata that the
        format cannot hold, or if writing fails.
    """
    description = signal.description
    check_photo_output(extension, has_alpha=description.has_alpha, background=background, extents=description.extents)
    try:
        _write(signal, destination, extension=extension.lower(), background=background)
    except OutputError:
        raise
    except Exception as exc:  # encoders have error types of their own
        raise OutputError(f"the {output_format(extension).name} cannot be written ({exc}); check the disk") from exc


def _write(signal: Signal, destination: BinaryIO, *, extension: str, background: tuple[int, int, int] | None) -> None:
    if extension == ".npy":
        values = signal.to_source()
        np.save(destination, values[..., 0] if values.shape[2] == 1 else values, allow_pickle=False)
        return
    unit = np.clip(signal.samples, 0.0, 1.0)
    if background is not None and signal.description.has_alpha and not output_format(extension).holds_alpha:
        unit = _flattened(unit, background)
    match extension:
        case ".png":
            _write_png(signal, unit, destination)
        case ".tif" | ".tiff":
            _write_tiff(signal, unit, destination)
        case ".webp":
            colours = unit if unit.shape[2] >= 3 else _grey_as_rgb(unit)
            _save(signal, _integers(colours, np.uint8), destination, "WEBP", **_WEBP_OPTIONS)
        case ".bmp":
            _pillow_image(_integers(unit, np.uint8)).save(destination, "BMP")
        case _:
            _check_jpeg_exif(signal)
            _save(signal, _integers(unit, np.uint8), destination, "JPEG", **_JPEG_OPTIONS)


def _write_png(signal: Signal, unit: NDArray[np.float32], destination: BinaryIO) -> None:
    if signal.description.sample_format is SampleFormat.UINT8:
        _save(signal, _integers(unit, np.uint8), destination, "PNG")
        return
    profile, exif = _profile(signal, unit.shape[2]), signal.metadata.get(MetadataKey.EXIF)
    write_deep_png(_integers(unit, np.uint16), destination, profile=profile, exif=exif)


def _write_tiff(signal: Signal, unit: NDArray[np.float32], destination: BinaryIO) -> None:
    sample_format, channel_count = signal.description.sample_format, unit.shape[2]
    if sample_format.is_float and channel_count == 1:
        _save(signal, _float32_values(signal), destination, "TIFF")
    elif sample_format is SampleFormat.UINT8:
        _save(signal, _integers(unit, np.uint8), destination, "TIFF")
    elif channel_count == 1:
        _save(signal, _integers(unit, np.uint16), destination, "TIFF")
    else:
        colours = unit if channel_count >= 3 else _grey_as_rgb(unit)  # few readers know 16-bit grey with alpha
        profile = _profile(signal, colours.shape[2])
        write_deep_tiff(_integers(colours, np.uint16), destination, profile=profile, tags=_tiff_tags(signal))


def _float32_values(signal: Signal) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # refused just below
        values = signal.to_source().astype(np.float32)
    if not np.isfinite(values).all():
        raise OutputError("the photo has samples beyond float32, which is all that TIFF holds: write .npy")
    return values


def _save(
    signal: Signal, values: NDArray[np.generic], destination: BinaryIO, pillow_format: str, **options: Any
) -> None:
    """Save values ``[H, W, C]`` through Pillow with the metadata of ``signal``."""
    if profile := _profile(signal, values.shape[2]):
        options["icc_profile"] = profile
    if pillow_format == "TIFF":
        options["tiffinfo"] = _tiff_tags(signal)
    elif exif := signal.metadata.get(MetadataKey.EXIF):
        options["exif"] = EXIF_PREFIX + exif
    _pillow_image(values).save(destination, pillow_format, **options)


def _pillow_image(values: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def _integers(unit: NDArray[np.float32], dtype: type[_Unsigned]) -> NDArray[_Unsigned]:
    values: NDArray[_Unsigned] = np.rint(unit * np.float32(np.iinfo(dtype).max)).astype(dtype)
    return values


def _flattened(unit: NDArray[np.float32], background: tuple[int, int, int]) -> NDArray[np.float32]:
    """Samples ``[H, W, 1]`` or ``[H, W, 3]`` over a background; grey over a colour becomes RGB."""
    colour, alpha = unit[..., :-1], unit[..., -1:]
    behind = np.array(background, np.float32) / np.float32(255)
    if colour.shape[2] == 1 and len(set(background)) == 1:
        behind = behind[:1]
    return colour * alpha + behind * (1 - alpha)


def _grey_as_rgb(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples ``[H, W, 3]`` or ``[H, W, 4]`` of grey ``[H, W, 1]`` or grey and alpha ``[H, W, 2]``."""
    return np.concatenate([unit[..., :1]] * 3 + [unit[..., 1:]], axis=-1)


def _profile(signal: Signal, channel_count: int) -> bytes | None:
    """The ICC profile, if it is one for the channels that are written."""
    profile = signal.metadata.get(MetadataKey.ICC_PROFILE)
    return profile if profile and profile_fits(profile, channel_count) else None


def _tiff_tags(signal: Signal) -> dict[int, Any]:
    """The descriptive EXIF tags; a TIFF lays them out anew, so those of a damaged block are left out."""
    exif = Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged tags
        try:
            exif.load(signal.metadata.get(MetadataKey.EXIF, b""))
            exif.load(descriptive_block(exif))  # fails here, and not in mid-file, on tags of a wrong type
            return descriptive_tags(exif)
        except Exception:  # Pillow's parser raises whatever a damaged block makes it trip over
            return {}


def _check_jpeg_exif(signal: Signal) -> None:
    length = len(signal.metadata.get(MetadataKey.EXIF, b""))
    if length > _LONGEST_JPEG_EXIF:
        raise OutputError(f"the EXIF block has {length} bytes; JPEG holds {_LONGEST_JPEG_EXIF}: write .png")
