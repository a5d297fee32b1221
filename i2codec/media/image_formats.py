"""What photo files can hold: limits, extensions, alpha, colour profiles, the background."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageColor

from i2codec.errors import InputError, OptionError, OutputError

# Enough for a 16384 x 16384 photo; above it the float32 samples alone take over 3 GiB.
MAX_PIXELS = 2**28

DEFAULT_PHOTO_EXTENSION = ".png"

INPUT_FORMATS = "PNG, JPEG, WebP, TIFF, BMP, GIF or .npy"


@dataclass(frozen=True)
class OutputFormat:
    """What a kind of output file can hold.

    Parameters
    ----------
    name:
        Name for messages.
    holds_alpha:
        Whether opacity can be written.
    largest_side:
        Most samples along one side, or None where the format sets no limit of its own.
    """

    name: str
    holds_alpha: bool = True
    largest_side: int | None = None


_JPEG = OutputFormat("JPEG", holds_alpha=False, largest_side=65500)  # libjpeg's own limit
_TIFF = OutputFormat("TIFF")
OUTPUT_FORMATS = {
    ".png": OutputFormat("PNG"),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": OutputFormat("WebP", largest_side=16383),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": OutputFormat("BMP", holds_alpha=False),  # 32-bit BMP exists, but few programs see its alpha
    ".npy": OutputFormat(".npy array"),
}


def output_format(extension: str) -> OutputFormat:
    """The kind of file that an extension such as ``".png"`` names; case does not matter.

    Raises
    ------
    OutputError
        If photos cannot be written under this extension.
    """
    try:
        return OUTPUT_FORMATS[extension.lower()]
    except KeyError as exc:
        supported = " ".join(OUTPUT_FORMATS)
        raise OutputError(
            f"cannot write a photo as {extension or 'a name without extension'}; use {supported}"
        ) from exc


def check_photo_output(
    extension: str,
    *,
    has_alpha: bool,
    background: tuple[int, int, int] | None,
    extents: tuple[int, ...] | None = None,
) -> None:
    """Refuse an output that :func:`~i2codec.media.image.write_photo` cannot write, before slow work.

    Parameters
    ----------
    extension:
        Extension of the output, with its dot.
    has_alpha:
        Whether the photo has an alpha channel.
    background:
        Colour under transparent pixels, 0..255 per channel, for formats without alpha.
    extents:
        ``(H, W)`` in pixels where they are known.

    Raises
    ------
    OutputError
        For an extension that is not supported, alpha without a background in a format that
        holds none, or a side longer than the format allows.
    """
    kind = output_format(extension)
    if has_alpha and not kind.holds_alpha and background is None:
        raise OutputError(f"the photo has alpha and {kind.name} holds none; give one with --background, or write .png")
    if extents and kind.largest_side and max(extents) > kind.largest_side:
        raise OutputError(
            f"the photo has a side of {max(extents)} pixels; {kind.name} holds at most {kind.largest_side}: write .png"
        )


def check_pixel_count(height: int, width: int, *, name: str) -> None:
    """Refuse a photo of ``height`` by ``width`` pixels that is empty or over :data:`MAX_PIXELS`.

    Raises
    ------
    InputError
        If it is; ``name`` says which source.
    """
    if not 1 <= height * width <= MAX_PIXELS:
        raise InputError(
            f"{name} is {width} x {height} pixels; expected 1 to {MAX_PIXELS} pixels in all: crop or scale it first"
        )


def parse_background(text: str) -> tuple[int, int, int]:
    """Red, green and blue, 0..255, of a colour name or code.

    >>> parse_background("white"), parse_background("#ff8000")
    ((255, 255, 255), (255, 128, 0))

    Raises
    ------
    OptionError
        If the text is not an opaque colour.
    """
    try:
        colour = ImageColor.getrgb(text)
    except ValueError as exc:
        raise OptionError(f"background {text!r} is not a colour; expected a name such as white, or #rrggbb") from exc
    if len(colour) != 3:
        raise OptionError(f"{text!r} is a colour with alpha; a background is opaque: use #rrggbb")
    return colour


def profile_fits(profile: bytes, channel_count: int) -> bool:
    """Whether an ICC profile describes pictures of ``channel_count`` channels, alpha included.

    Grey has 1 or 2 channels and RGB has 3 or 4.
    """
    colour_space = profile[16:20]  # a field of the ICC header
    return colour_space == (b"GRAY" if channel_count <= 2 else b"RGB ")
