"""Reading picture files: modes, depth, orientation, metadata."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from i2codec.errors import InputError
from i2codec.media.image import read_photo
from i2codec.signal.description import SampleFormat, SourceContainer
from i2codec.signal.signal import MetadataKey, Signal


def saved(image: Image.Image, pillow_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, pillow_format, **options)
    return stream.getvalue()


def read(data: bytes) -> Signal:
    return read_photo(data, keep_metadata=True)


def picture(channels: int, rng: np.random.Generator, size: tuple[int, int] = (5, 7)) -> np.ndarray:
    values = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    return values[..., 0] if channels == 1 else values


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("pillow_format", "container"), [("PNG", SourceContainer.PNG), ("TIFF", SourceContainer.TIFF)])
def test_plain_modes(channels: int, pillow_format: str, container: SourceContainer, rng: np.random.Generator) -> None:
    values = picture(channels, rng)
    signal = read(saved(Image.fromarray(values), pillow_format))
    assert signal.description.sample_format is SampleFormat.UINT8
    assert signal.description.source is container
    np.testing.assert_array_equal(signal.to_source(), values.reshape(5, 7, channels))


@pytest.mark.parametrize(
    ("pillow_format", "container", "options"),
    [
        ("WEBP", SourceContainer.WEBP, {"lossless": True}),
        ("BMP", SourceContainer.OTHER, {}),
        ("JPEG", SourceContainer.JPEG, {}),
    ],
)
def test_other_containers(
    pillow_format: str, container: SourceContainer, options: dict[str, Any], rng: np.random.Generator
) -> None:
    data = saved(Image.fromarray(picture(3, rng)), pillow_format, **options)
    signal = read(data)
    assert signal.description.source is container
    np.testing.assert_array_equal(signal.to_source(), np.asarray(Image.open(io.BytesIO(data))))


def test_content_decides_and_not_the_name(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(Image.fromarray(picture(3, rng)), "PNG"))
    assert read_photo(path, keep_metadata=False).description.source is SourceContainer.PNG


def test_palette_becomes_rgb(rng: np.random.Generator) -> None:
    image = Image.fromarray(picture(3, rng)).quantize(8)
    np.testing.assert_array_equal(read(saved(image, "PNG")).to_source(), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("transparency", [2, bytes([255, 128, 0, 7])])
def test_palette_with_transparency_becomes_rgba(transparency: int | bytes, rng: np.random.Generator) -> None:
    image = Image.fromarray(picture(3, rng)).quantize(4)
    signal = read(saved(image, "PNG", transparency=transparency))
    table = [255, 255, 0, 255] if isinstance(transparency, int) else list(transparency)
    np.testing.assert_array_equal(signal.to_source()[..., 3], np.array(table)[np.asarray(image)])
    np.testing.assert_array_equal(signal.to_source()[..., :3], np.asarray(image.convert("RGB")))


def test_one_bit_becomes_grey() -> None:
    values = np.array([[True, False], [False, False]])
    signal = read(saved(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(signal.to_source()[..., 0], values * 255)


@pytest.mark.parametrize("pillow_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey(pillow_format: str, rng: np.random.Generator) -> None:
    values = rng.integers(0, 65536, (4, 3), dtype=np.uint16)
    signal = read(saved(Image.fromarray(values), pillow_format))
    assert signal.description.sample_format is SampleFormat.UINT16
    np.testing.assert_array_equal(signal.to_source()[..., 0], values)


@pytest.mark.parametrize(
    ("dtype", "sample_format"), [(np.float32, SampleFormat.FLOAT32), (np.int32, SampleFormat.FLOAT64)]
)
def test_float_and_int32_tiff_keep_units(dtype: type, sample_format: SampleFormat) -> None:
    values = np.array([[-70000, 3], [5, 80000]], dtype)
    signal = read(saved(Image.fromarray(values), "TIFF"))
    assert signal.description.sample_format is sample_format
    np.testing.assert_allclose(signal.to_source()[..., 0], values, atol=0.02)
    assert signal.to_source().min() == -70000


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png_keeps_low_bits(
    channels: int, deep_png: Callable[..., bytes], rng: np.random.Generator
) -> None:
    values = rng.integers(0, 65536, (6, 5, channels), dtype=np.uint16)
    signal = read(deep_png(values))
    assert signal.description.sample_format is SampleFormat.UINT16
    np.testing.assert_array_equal(signal.to_source(), values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize(("channels", "extra"), [(3, None), (4, 2)])
def test_sixteen_bit_tiff_keeps_low_bits(
    order: str, deflate: bool, channels: int, extra: int | None, deep_tiff: Callable[..., bytes], tmp_path: Path
) -> None:
    values = np.random.default_rng(1).integers(0, 65536, (6, 5, channels), dtype=np.uint16)
    path = tmp_path / "deep.tif"  # a real file takes another path through libtiff than bytes do
    path.write_bytes(deep_tiff(values, order=order, deflate=deflate, extra=extra))
    for source in (path, path.read_bytes()):
        np.testing.assert_array_equal(read_photo(source, keep_metadata=True).to_source(), values)


def test_sixteen_bit_tiff_with_unused_channel_is_rgb(deep_tiff: Callable[..., bytes], rng: np.random.Generator) -> None:
    values = rng.integers(0, 65536, (6, 5, 4), dtype=np.uint16)
    np.testing.assert_array_equal(read(deep_tiff(values, extra=0)).to_source(), values[..., :3])


def test_premultiplied_sixteen_bit_tiff_becomes_straight(deep_tiff: Callable[..., bytes]) -> None:
    pixels = np.array([[[1000, 65535, 0, 65535], [500, 1, 30000, 30000], [0, 0, 0, 0]]], np.uint16)
    expected = [[[1000, 65535, 0, 65535], [1092, 2, 65535, 30000], [0, 0, 0, 0]]]
    np.testing.assert_array_equal(read(deep_tiff(pixels, extra=1)).to_source(), expected)


def test_sixteen_bit_planes_are_refused(deep_tiff: Callable[..., bytes]) -> None:
    with pytest.raises(InputError, match="16-bit TIFF with separate planes; expected interleaved"):
        read(deep_tiff(np.zeros((3, 3, 3), np.uint16), planar=True))


def test_sixteen_bit_colour_key_needs_all_bits(deep_png: Callable[..., bytes]) -> None:
    values = np.array([[[0x0102, 3, 4], [0x0103, 3, 4]]], np.uint16)
    signal = read(deep_png(values, key=values[0, 0].astype(">u2").tobytes()))
    assert signal.to_source()[0, :, 3].tolist() == [0, 65535]
    np.testing.assert_array_equal(signal.to_source()[..., :3], values)


def test_eight_bit_colour_key() -> None:
    image = Image.fromarray(np.array([[10, 20]], np.uint8))
    assert read(saved(image, "PNG", transparency=20)).to_source().tolist() == [[[10, 255], [20, 0]]]


def test_two_bit_colour_key_is_scaled() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0)) + chunk(b"tRNS", b"\0\2")
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0\x1b")) + chunk(b"IEND", b"")
    assert read(data).to_source().tolist() == [[[0, 255], [85, 255], [170, 0], [255, 255]]]


def test_cmyk_without_profile() -> None:
    image = Image.new("CMYK", (2, 2), (10, 200, 30, 40))
    np.testing.assert_array_equal(read(saved(image, "TIFF")).to_source(), np.asarray(image.convert("RGB")))


def test_cmyk_goes_through_its_profile(cmyk_profile: bytes) -> None:
    image = Image.new("CMYK", (2, 2), (10, 200, 30, 128))
    signal = read(saved(image, "TIFF", icc_profile=cmyk_profile))
    assert np.abs(signal.to_source().astype(int) - 119).max() <= 2  # sRGB of L* = 50
    assert signal.metadata == {}


def test_cmyk_with_a_profile_of_other_channels(rgb_profile: bytes) -> None:
    image = Image.new("CMYK", (2, 2), (10, 200, 30, 40))
    signal = read(saved(image, "TIFF", icc_profile=rgb_profile))
    np.testing.assert_array_equal(signal.to_source(), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_other_colour_spaces_become_rgb(mode: str) -> None:
    image = Image.new(mode, (2, 2), (138, 166, 174))
    signal = read(saved(image, "TIFF"))
    np.testing.assert_array_equal(signal.to_source(), np.asarray(image.convert("RGB")))


def test_phone_jpeg_with_further_pictures_gives_the_first() -> None:
    first, second = Image.new("RGB", (16, 16), (200, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 200))
    signal = read(saved(first, "MPO", save_all=True, append_images=[second]))
    assert signal.description.source is SourceContainer.JPEG
    assert signal.to_source()[0, 0, 0] > 150


def test_still_gif() -> None:
    signal = read(saved(Image.new("RGB", (3, 2), (200, 0, 0)), "GIF"))
    assert signal.to_source()[0, 0].tolist() == [200, 0, 0]


# ---- orientation and metadata ----


def exif_block(orientation: int, *, big_endian: bool = False) -> bytes:
    exif = Image.Exif()
    exif.endian = ">" if big_endian else "<"
    exif[ExifTags.Base.Make] = "Maker of cameras"
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.01
    return exif.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pillow_format", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("keep", [True, False])
def test_orientation_is_applied(orientation: int, pillow_format: str, keep: bool, rng: np.random.Generator) -> None:
    options = {"lossless": True} if pillow_format == "WEBP" else {}
    data = saved(Image.fromarray(picture(3, rng)), pillow_format, exif=exif_block(orientation), **options)
    signal = read_photo(data, keep_metadata=keep)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(signal.to_source(), expected)
    assert (MetadataKey.EXIF in signal.metadata) is keep
    if keep:
        kept = Image.Exif()
        kept.load(signal.metadata[MetadataKey.EXIF])
        assert kept.get(ExifTags.Base.Orientation, 1) == 1
        assert kept[ExifTags.Base.Make] == "Maker of cameras"
        assert float(kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime]) == 0.01


@pytest.mark.parametrize("big_endian", [False, True])
def test_exif_keeps_every_other_byte(big_endian: bool, rng: np.random.Generator) -> None:
    block = exif_block(6, big_endian=big_endian)
    signal = read(saved(Image.fromarray(picture(3, rng)), "JPEG", exif=block))
    assert signal.metadata[MetadataKey.EXIF] == exif_block(1, big_endian=big_endian).removeprefix(b"Exif\0\0")


def test_sixteen_bit_png_is_turned_by_exif_after_its_pixels(
    deep_png: Callable[..., bytes], rng: np.random.Generator
) -> None:
    values = rng.integers(0, 65536, (3, 5, 3), dtype=np.uint16)
    signal = read(deep_png(values, trailing=exif_block(6).removeprefix(b"Exif\0\0")))
    np.testing.assert_array_equal(signal.to_source(), np.rot90(values, -1))


def test_damaged_exif_leaves_the_photo_as_it_is(rng: np.random.Generator) -> None:
    values = picture(3, rng)
    signal = read(saved(Image.fromarray(values), "PNG", exif=b"Exif\0\0not a TIFF block"))
    np.testing.assert_array_equal(signal.to_source(), values)
    assert signal.metadata == {}


@pytest.mark.parametrize("pillow_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_profile_is_kept_on_request(pillow_format: str, rgb_profile: bytes, rng: np.random.Generator) -> None:
    data = saved(Image.fromarray(picture(3, rng)), pillow_format, icc_profile=rgb_profile)
    assert read_photo(data, keep_metadata=True).metadata == {MetadataKey.ICC_PROFILE: rgb_profile}
    assert read_photo(data, keep_metadata=False).metadata == {}


def test_profile_of_other_channels_is_dropped(rgb_profile: bytes, rng: np.random.Generator) -> None:
    assert read(saved(Image.fromarray(picture(1, rng)), "PNG", icc_profile=rgb_profile)).metadata == {}
