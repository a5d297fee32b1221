"""Which kind of media a file is, told by its content."""

from __future__ import annotations

import io
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from i2codec.errors import InputError
from i2codec.media.shape_formats import shape_container
from i2codec.signal.description import Kind

_PREFIX_BYTES = 4096
_PHOTO_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"\x93NUMPY")
_SOUND_STARTS = (b"fLaC", b"ID3", b"riff\x2e\x91\xcf\x11")  # the last is Sony's 64-bit WAV
_OWN_START, _RAW_VIDEO_START = b"\x89I2C", b"YUV4MPEG2 "
_FIRST_PRINTABLE = 9  # the tab; containers have smaller bytes among their first ones
_RIFF_KINDS = {b"WEBP": Kind.PHOTO, b"WAVE": Kind.SOUND, b"AVI ": Kind.VIDEO}
_PHOTO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1")


def kind_of(source: Path | bytes) -> Kind:
    """The kind of media in a file or in the bytes of one.

    A GIF of several pictures is a video. Bytes that nothing else claims count as a video, since there
    are containers of many kinds; its reader has the last word.

    Raises
    ------
    InputError
        If the file is missing, cannot be read, is empty, text, or an ``.i2`` file.
    """
    name = "standard input" if isinstance(source, bytes) else str(source)
    prefix = _prefix(source, name=name)
    if not prefix:
        raise InputError(f"{name} is empty; expected a photo, sound, video or 3D shape")
    if prefix.startswith((b"GIF87a", b"GIF89a")):
        return Kind.VIDEO if _is_animated(source) else Kind.PHOTO
    if prefix.startswith((b"RIFF", b"RF64")):
        return _RIFF_KINDS.get(prefix[8:12], Kind.SOUND)
    if prefix.startswith(_PHOTO_STARTS) or (prefix[4:8] == b"ftyp" and prefix[8:12] in _PHOTO_BRANDS):
        return Kind.PHOTO
    if prefix.startswith(b"OggS"):
        return Kind.VIDEO if b"theora" in prefix[:64] else Kind.SOUND
    is_aiff = prefix.startswith(b"FORM") and prefix[8:12] in (b"AIFF", b"AIFC")
    is_mpeg_sound = prefix[0] == 0xFF and prefix[1:2] > b"\xe0"
    if is_aiff or is_mpeg_sound or prefix.startswith(_SOUND_STARTS):
        return Kind.SOUND
    data = source if isinstance(source, bytes) else prefix
    if shape_container(data) is not None or _is_named_stl(source):
        return Kind.SHAPE
    if prefix.startswith(_OWN_START) or (min(prefix) >= _FIRST_PRINTABLE and not prefix.startswith(_RAW_VIDEO_START)):
        found = "an .i2 file: decode it first" if prefix.startswith(_OWN_START) else "text: check the file"
        raise InputError(f"{name} is not a photo, sound, video or 3D shape, but {found}")
    return Kind.VIDEO


def _prefix(source: Path | bytes, *, name: str) -> bytes:
    if isinstance(source, bytes):
        return source[:_PREFIX_BYTES]
    try:
        with source.open("rb") as stream:
            return stream.read(_PREFIX_BYTES)
    except FileNotFoundError as error:
        raise InputError(
            f"{name} does not exist; expected a photo, sound, video or 3D shape: check the path"
        ) from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a directory; expected a file: name one in it") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror or error}); check the file") from error


def _is_animated(source: Path | bytes) -> bool:
    try:
        with ExitStack() as stack:
            picture = stack.enter_context(Image.open(io.BytesIO(source) if isinstance(source, bytes) else source))
            return bool(getattr(picture, "is_animated", False))
    except Exception:  # a damaged picture: its reader will say so
        return False


def _is_named_stl(source: Path | bytes) -> bool:
    """Binary STL has no mark, only a length that a prefix cannot show."""
    return isinstance(source, Path) and source.suffix.lower() == ".stl"
