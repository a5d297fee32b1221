"""Sources that are no still photos: one line says what was found and what to do."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2codec.errors import InputError
from i2codec.media.image import MAX_PIXELS, read_photo


def saved(image: Image.Image, pillow_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, pillow_format, **options)
    return stream.getvalue()


def noise(size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (size, size, 3), dtype=np.uint8))


def message_of(source: Path | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read_photo(source, keep_metadata=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    assert "absent.png does not exist; expected a photo: check the path" in message_of(tmp_path / "absent.png")


def test_directory(tmp_path: Path) -> None:
    assert "is a directory; expected a photo" in message_of(tmp_path)


def test_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert "cannot be read (Not a directory)" in message_of(tmp_path / "file" / "photo.png")


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert "empty.png is empty; expected a photo" in message_of(path)
    assert "standard input is empty" in message_of(b"")


@pytest.mark.parametrize("data", [b"just some text\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"RIFF"])
def test_not_an_image(data: bytes) -> None:
    assert "is not a readable photo; expected PNG, JPEG" in message_of(data) or "is damaged" in message_of(data)


@pytest.mark.parametrize(
    ("pillow_format", "options"),
    [("PNG", {}), ("JPEG", {}), ("WEBP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_deflate"}), ("BMP", {})],
)
@pytest.mark.parametrize("left_out", [1, 10, 0.5])
def test_truncated(pillow_format: str, options: dict[str, Any], left_out: float, tmp_path: Path) -> None:
    whole = saved(noise(), pillow_format, **options)
    path = tmp_path / "cut"
    path.write_bytes(whole[: -int(left_out if left_out >= 1 else left_out * len(whole))])
    for source in (path, path.read_bytes()):
        assert "damaged" in message_of(source)
    path.write_bytes(whole)
    assert read_photo(path, keep_metadata=True).description.extents == (32, 32)


def test_flipped_bit_in_png() -> None:
    data = bytearray(saved(noise(), "PNG"))
    data[len(data) // 2] ^= 1
    assert "is damaged" in message_of(bytes(data))


@pytest.mark.parametrize(
    ("pillow_format", "expected"),
    [
        ("WEBP", "animation.x is an animated WebP of 12 frames; expected a still photo: extract one frame first"),
        ("PNG", "animation.x is an animated PNG of 12 frames; expected a still photo: extract one frame first"),
        ("GIF", "animation.x is an animated GIF of 12 frames; expected a still photo: extract one frame first"),
        ("TIFF", "animation.x is a TIFF of 12 pages; expected a single page: extract one page first"),
    ],
)
def test_animations(pillow_format: str, expected: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), (20 * index, 0, 0)) for index in range(12)]
    path = tmp_path / "animation.x"
    path.write_bytes(saved(frames[0], pillow_format, save_all=True, append_images=frames[1:]))
    assert message_of(path).endswith(expected)


@pytest.mark.parametrize("side", [20_000, 65_000])  # below and above twice the limit, where Pillow gives up
def test_too_many_pixels(side: int, deep_png: Callable[..., bytes]) -> None:
    assert side * side > MAX_PIXELS
    message = message_of(deep_png(np.zeros((1, 1, 3), np.uint16), size=(side, side)))
    assert str(MAX_PIXELS) in message
    assert message.endswith("crop or scale it first")


def test_limit_is_ours_and_not_the_one_of_pillow(deep_png: Callable[..., bytes]) -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = deep_png(np.zeros((1, 1, 3), np.uint16), size=(16_000, 16_000))
    assert before is not None
    assert 2 * before < 16_000**2 < MAX_PIXELS
    assert "is damaged" in message_of(data[:-1])  # and not over a limit
    assert before == Image.MAX_IMAGE_PIXELS


def test_no_pixels(deep_png: Callable[..., bytes]) -> None:
    assert "not a readable photo" in message_of(deep_png(np.zeros((1, 1, 3), np.uint16), size=(0, 5)))
