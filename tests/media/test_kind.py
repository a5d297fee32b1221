"""The kind of media told by content: by whole bytes and by the start of a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import trimesh
from PIL import Image

from i2codec.errors import InputError
from i2codec.media.kind import kind_of
from i2codec.signal.description import Kind


def _picture(name: str, *, frames: int = 1) -> bytes:
    pictures = [Image.fromarray(np.full((6, 8, 3), 50 * index, np.uint8)) for index in range(frames)]
    stream = io.BytesIO()
    more: dict[str, Any] = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(stream, name, **more)
    return stream.getvalue()


def _array(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(shape, np.uint8))
    return stream.getvalue()


def _sound(name: str, subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    samples = 0.1 * np.sin(np.arange(4000) / 10.0)
    soundfile.write(stream, samples, 8000, format=name, subtype=subtype)
    return stream.getvalue()


def _video(muxer: str, codec: str) -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format=muxer) as container:
        video: Any = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        for index in range(3):
            picture = np.full((32, 32, 3), 60 * index, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
    return stream.getvalue()


def _mesh(file_type: str, *, subdivisions: int = 1) -> bytes:
    data = trimesh.creation.icosphere(subdivisions=subdivisions).export(file_type=file_type)
    return data.encode() if isinstance(data, str) else data


SOURCES: Mapping[str, tuple[Kind, Callable[[], bytes]]] = {
    ".png": (Kind.PHOTO, lambda: _picture("PNG")),
    ".jpg": (Kind.PHOTO, lambda: _picture("JPEG")),
    ".webp": (Kind.PHOTO, lambda: _picture("WEBP")),
    ".tif": (Kind.PHOTO, lambda: _picture("TIFF")),
    ".bmp": (Kind.PHOTO, lambda: _picture("BMP")),
    "still.gif": (Kind.PHOTO, lambda: _picture("GIF")),
    "animated.gif": (Kind.VIDEO, lambda: _picture("GIF", frames=3)),
    ".npy": (Kind.PHOTO, lambda: _array((6, 8, 3))),
    ".wav": (Kind.SOUND, lambda: _sound("WAV")),
    "64-bit.wav": (Kind.SOUND, lambda: _sound("W64")),
    "large.wav": (Kind.SOUND, lambda: _sound("RF64")),
    ".flac": (Kind.SOUND, lambda: _sound("FLAC")),
    "vorbis.ogg": (Kind.SOUND, lambda: _sound("OGG", "VORBIS")),
    ".opus": (Kind.SOUND, lambda: _sound("OGG", "OPUS")),
    ".mp3": (Kind.SOUND, lambda: _sound("MP3")),
    "tagged.mp3": (Kind.SOUND, lambda: b"ID3\4\0\0\0\0\0\0" + _sound("MP3")),
    ".aiff": (Kind.SOUND, lambda: _sound("AIFF")),
    "float.aifc": (Kind.SOUND, lambda: _sound("AIFF", "FLOAT")),
    ".mp4": (Kind.VIDEO, lambda: _video("mp4", "libx264")),
    ".mov": (Kind.VIDEO, lambda: _video("mov", "libx264")),
    ".mkv": (Kind.VIDEO, lambda: _video("matroska", "ffv1")),
    ".webm": (Kind.VIDEO, lambda: _video("webm", "libvpx-vp9")),
    ".avi": (Kind.VIDEO, lambda: _video("avi", "mpeg4")),
    ".ts": (Kind.VIDEO, lambda: _video("mpegts", "mpeg4")),
    ".obj": (Kind.SHAPE, lambda: _mesh("obj")),
    ".ply": (Kind.SHAPE, lambda: _mesh("ply")),
    "text.stl": (Kind.SHAPE, lambda: _mesh("stl_ascii")),
    "binary.stl": (Kind.SHAPE, lambda: _mesh("stl")),
    "long.stl": (Kind.SHAPE, lambda: _mesh("stl", subdivisions=3)),
    "long text.stl": (Kind.SHAPE, lambda: _mesh("stl_ascii", subdivisions=3)),
    ".glb": (Kind.SHAPE, lambda: _mesh("glb")),
}
EVERY = pytest.mark.parametrize("name", SOURCES)
content = cache(lambda name: SOURCES[name][1]())


@EVERY
def test_the_bytes_of_a_file_tell_its_kind(name: str) -> None:
    assert kind_of(content(name)) is SOURCES[name][0]


@EVERY
def test_a_file_is_told_by_its_start_whatever_its_name(name: str, tmp_path: Path) -> None:
    named = name in ("binary.stl", "long.stl")  # binary STL is told by its length or its name
    path = tmp_path / (name if named else "source.dat")
    path.write_bytes(content(name))
    assert kind_of(path) is SOURCES[name][0]


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.endswith("stl")])
def test_a_wrong_name_does_not_matter(name: str, tmp_path: Path) -> None:
    kind = SOURCES[name][0]
    path = tmp_path / ("wrong.mp4" if kind is Kind.PHOTO else "wrong.png")
    path.write_bytes(content(name))
    assert kind_of(path) is kind


def test_what_nothing_claims_is_left_to_the_reader_of_videos() -> None:
    assert kind_of(b"no media\0at all") is Kind.VIDEO
    assert kind_of(bytes(2)) is Kind.VIDEO
    assert kind_of(b"YUV4MPEG2 W4 H4 F25:1\nFRAME\n" + b"\x80" * 24) is Kind.VIDEO


@pytest.mark.parametrize(
    ("data", "message"), [(b"no media at all", "but text"), (b"\x89I2C\r\n\x1a\n\1\0", "an .i2 file: decode it first")]
)
def test_what_is_no_media_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind_of(data)


def test_a_damaged_animation_is_left_to_the_reader_of_photos() -> None:
    assert kind_of(content("animated.gif")[:12]) is Kind.PHOTO


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty\.png is empty; expected a photo, sound, video or 3D shape"):
        kind_of(tmp_path / "empty.png")
    with pytest.raises(InputError, match="standard input is empty"):
        kind_of(b"")


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.png does not exist; .*check the path"):
        kind_of(tmp_path / "missing.png")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory; expected a file"):
        kind_of(tmp_path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for path in (tmp_path / "file" / "photo.png", tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="cannot be read"):
            kind_of(path)
