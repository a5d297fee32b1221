"""Writing photos: formats, depth, alpha, metadata, refusals."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import ExifTags, Image

from i2codec.errors import OptionError, OutputError
from i2codec.media.image import (
    DEFAULT_PHOTO_EXTENSION,
    OUTPUT_FORMATS,
    check_photo_output,
    parse_background,
    photo_from_array,
    read_photo,
    write_photo,
)
from i2codec.signal.description import SampleFormat
from i2codec.signal.signal import MetadataKey, Signal


def written(signal: Signal, extension: str, background: tuple[int, int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    write_photo(signal, stream, extension=extension, background=background)
    return stream.getvalue()


def exif_block(*, comment_bytes: int = 0) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageWidth] = 9999  # must not be taken for the width of a TIFF
    exif[ExifTags.Base.Make] = "Maker of cameras"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"c" * (8 + comment_bytes)
    return exif.tobytes().removeprefix(b"Exif\0\0")


shapes = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4))


@given(array=hnp.arrays(st.sampled_from([np.uint8, np.uint16]), shapes), keep=st.booleans())
def test_png_round_trip_is_exact(array: np.ndarray, keep: bool) -> None:
    signal = read_photo(written(photo_from_array(array), ".png"), keep_metadata=keep)
    assert signal.to_source().dtype == array.dtype
    np.testing.assert_array_equal(signal.to_source(), array)


@given(array=hnp.arrays(st.sampled_from([np.uint8, np.uint16]), shapes))
def test_tiff_round_trip_is_exact(array: np.ndarray) -> None:
    restored = read_photo(written(photo_from_array(array), ".tif"), keep_metadata=False).to_source()
    assert restored.dtype == array.dtype
    if array.dtype == np.uint16 and array.shape[2] == 2:  # written as RGBA
        restored = restored[..., 2:]
    np.testing.assert_array_equal(restored, array)


@given(array=hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 6), st.sampled_from([3, 4]))))
def test_webp_round_trip_is_exact(array: np.ndarray) -> None:
    restored = read_photo(written(photo_from_array(array), ".webp"), keep_metadata=False).to_source()
    # WebP drops an alpha channel that is opaque everywhere.
    np.testing.assert_array_equal(restored, array[..., : restored.shape[2]])
    assert restored.shape == array.shape or (array[..., 3] == 255).all()


def test_wide_rows_of_sixteen_bit_png(rng: np.random.Generator) -> None:
    array = rng.integers(0, 65536, (3, 1001, 3), dtype=np.uint16)
    signal = read_photo(written(photo_from_array(array), ".png"), keep_metadata=False)
    np.testing.assert_array_equal(signal.to_source(), array)


def test_jpeg_is_close_and_keeps_full_colour_resolution() -> None:
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    array = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(90)), axis=-1)
    data = written(photo_from_array(array), ".jpg")
    restored = read_photo(data, keep_metadata=False).to_source()
    assert np.abs(restored.astype(int) - array).max() <= 6
    assert Image.open(io.BytesIO(data)).layer[0][1:3] == (1, 1)


@pytest.mark.parametrize("extension", [".jpg", ".webp", ".bmp"])
def test_sixteen_bits_are_rounded_to_eight(extension: str) -> None:
    array = np.full((8, 8, 3), 257 * 100 + 129, np.uint16)  # 100.502, nearer to 101
    restored = read_photo(written(photo_from_array(array), extension), keep_metadata=False).to_source()
    assert np.unique(restored).tolist() == [101]


@pytest.mark.parametrize("extension", [".webp", ".jpeg", ".bmp", ".png", ".tiff", ".npy"])
def test_grey_in_every_format(extension: str) -> None:
    restored = read_photo(written(photo_from_array(np.full((8, 8), 77, np.uint8)), extension), keep_metadata=False)
    assert np.unique(restored.to_source()).tolist() == [77]
    assert restored.samples.shape[2] == (3 if extension == ".webp" else 1)


def test_float_photo_to_png_spans_sixteen_bits() -> None:
    array = np.array([[-1.0, 0.0, 3.0]], np.float32)
    signal = read_photo(written(photo_from_array(array), ".png"), keep_metadata=False)
    assert signal.to_source().ravel().tolist() == [0, 16384, 65535]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_grey_float_photo_to_tiff_keeps_units(dtype: type) -> None:
    array = np.array([[-1.5, 0.0, 300.0]], dtype)
    signal = read_photo(written(photo_from_array(array), ".tif"), keep_metadata=False)
    assert signal.description.sample_format is SampleFormat.FLOAT32
    np.testing.assert_allclose(signal.to_source()[..., 0], array, atol=1e-4)


def test_float64_beyond_float32_is_refused_as_tiff() -> None:
    with pytest.raises(OutputError, match=r"samples beyond float32.*: write \.npy"):
        written(photo_from_array(np.array([[0.0, 1e300]])), ".tif")


def test_colour_float_photo_to_tiff_has_sixteen_bits(rng: np.random.Generator) -> None:
    array = rng.random((3, 4, 3))
    signal = read_photo(written(photo_from_array(array), ".tif"), keep_metadata=False)
    assert signal.description.sample_format is SampleFormat.UINT16
    assert abs(signal.samples.max() - 1) < 1e-6


def test_samples_outside_the_range_are_clipped() -> None:
    signal = photo_from_array(np.array([[0, 255]], np.uint8))
    stretched = Signal(signal.description, signal.samples * 1.2 - np.float32(0.1))
    assert read_photo(written(stretched, ".png"), keep_metadata=False).to_source().ravel().tolist() == [0, 255]


# ---- alpha ----


@pytest.mark.parametrize("extension", [".bmp", ".jpg"])
def test_alpha_is_composited_over_the_background(extension: str) -> None:
    array = np.zeros((16, 16, 4), np.uint8)
    array[...] = (200, 100, 0, 51)  # opacity 0.2
    restored = read_photo(written(photo_from_array(array), extension, (0, 50, 250)), keep_metadata=False).to_source()
    assert restored.shape == (16, 16, 3)
    assert np.abs(restored.astype(int) - (40, 60, 200)).max() <= (0 if extension == ".bmp" else 3)


@pytest.mark.parametrize(("background", "expected"), [((9, 9, 9), [9]), ((9, 8, 7), [9, 8, 7])])
def test_grey_over_a_background(background: tuple[int, int, int], expected: list[int]) -> None:
    transparent = photo_from_array(np.zeros((1, 1, 2), np.uint8))
    restored = read_photo(written(transparent, ".bmp", background), keep_metadata=False)
    assert restored.to_source().ravel().tolist() == expected


def test_png_keeps_alpha_whatever_the_background(rng: np.random.Generator) -> None:
    array = rng.integers(0, 256, (3, 3, 4), dtype=np.uint8)
    data = written(photo_from_array(array), ".png", (255, 255, 255))
    np.testing.assert_array_equal(read_photo(data, keep_metadata=False).to_source(), array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_says_that_its_alpha_is_straight(dtype: type) -> None:
    data = written(photo_from_array(np.zeros((2, 2, 4), dtype)), ".tif")
    assert Image.open(io.BytesIO(data)).tag_v2[ExifTags.Base.ExtraSamples] == (2,)


# ---- metadata ----


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".tif"])
def test_metadata_comes_back(dtype: type, extension: str, rgb_profile: bytes) -> None:
    metadata = {MetadataKey.ICC_PROFILE: rgb_profile, MetadataKey.EXIF: exif_block()}
    signal = photo_from_array(np.full((5, 4, 3), 9, dtype), metadata=metadata)
    restored = read_photo(written(signal, extension), keep_metadata=True)
    assert restored.description.extents == (5, 4)
    assert restored.metadata[MetadataKey.ICC_PROFILE] == rgb_profile
    exif = Image.Exif()
    exif.load(restored.metadata[MetadataKey.EXIF])
    assert exif[ExifTags.Base.Make] == "Maker of cameras"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] == b"c" * 8
    if extension != ".tif":
        assert restored.metadata[MetadataKey.EXIF] == exif_block()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("extension", "kept"), [(".png", True), (".webp", False)])
def test_grey_profile_stays_only_with_grey(dtype: type, extension: str, kept: bool, grey_profile: bytes) -> None:
    signal = photo_from_array(np.zeros((2, 2), dtype), metadata={MetadataKey.ICC_PROFILE: grey_profile})
    restored = Image.open(io.BytesIO(written(signal, extension)))
    assert restored.info.get("icc_profile") == (grey_profile if kept else None)


def test_exif_too_long_for_jpeg_is_refused() -> None:
    long = photo_from_array(np.zeros((2, 2), np.uint8), metadata={MetadataKey.EXIF: exif_block(comment_bytes=70_000)})
    with pytest.raises(OutputError, match=r"the EXIF block has 70\d+ bytes; JPEG holds 65527: write \.png"):
        written(long, ".jpg")
    assert read_photo(written(long, ".png"), keep_metadata=True).metadata == long.metadata


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kept_bytes", [4, 30, 60])
def test_damaged_exif_does_not_keep_a_tiff_from_being_written(dtype: type, kept_bytes: int) -> None:
    array = np.full((2, 3, 3), 200, dtype)
    signal = photo_from_array(array, metadata={MetadataKey.EXIF: exif_block()[:kept_bytes]})
    np.testing.assert_array_equal(read_photo(written(signal, ".tif"), keep_metadata=True).to_source(), array)


# ---- refusals and options ----


def test_default_extension_is_supported() -> None:
    assert DEFAULT_PHOTO_EXTENSION == ".png"
    assert DEFAULT_PHOTO_EXTENSION in OUTPUT_FORMATS


@pytest.mark.parametrize("extension", [".heic", "", "png"])
def test_unsupported_extension_lists_the_supported(extension: str) -> None:
    with pytest.raises(OutputError, match=r"use \.png \.jpg \.jpeg \.webp \.tif \.tiff \.bmp \.npy"):
        check_photo_output(extension, has_alpha=False, background=None)


def test_extension_case_does_not_matter() -> None:
    assert written(photo_from_array(np.zeros((1, 1), np.uint8)), ".PNG").startswith(b"\x89PNG")


@pytest.mark.parametrize("extension", [".jpg", ".jpeg", ".bmp"])
def test_alpha_without_background_is_refused(extension: str) -> None:
    with pytest.raises(OutputError, match=r"the photo has alpha and .* holds none; give one with --background"):
        check_photo_output(extension, has_alpha=True, background=None)
    with pytest.raises(OutputError, match="give one with --background"):
        written(photo_from_array(np.zeros((1, 1, 4), np.uint8)), extension)
    check_photo_output(extension, has_alpha=True, background=(0, 0, 0))
    check_photo_output(extension, has_alpha=False, background=None)


@pytest.mark.parametrize(("extension", "longest"), [(".webp", 16383), (".jpg", 65500)])
def test_sides_too_long_are_refused(extension: str, longest: int) -> None:
    row = np.zeros((1, longest), np.uint8)
    assert read_photo(written(photo_from_array(row), extension), keep_metadata=False).description.extents == row.shape
    with pytest.raises(OutputError, match=f"holds at most {longest}: write .png"):
        written(photo_from_array(np.zeros((1, longest + 1), np.uint8)), extension)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("extension", list(OUTPUT_FORMATS))
def test_failing_destination(extension: str, dtype: type) -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot be written \(.*No space left") as caught:
        write_photo(photo_from_array(np.zeros((2, 2, 3), dtype)), FullDisk(), extension=extension, background=None)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(("text", "colour"), [("white", (255, 255, 255)), ("#0a0b0c", (10, 11, 12))])
def test_background(text: str, colour: tuple[int, int, int]) -> None:
    assert parse_background(text) == colour


@pytest.mark.parametrize(
    ("text", "message"),
    [("whitish", "'whitish' is not a colour; expected"), ("#12", "is not a colour"), ("#01020304", "with alpha")],
)
def test_bad_background(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_background(text)


def test_import_does_not_load_ffmpeg() -> None:
    code = "import sys, i2codec.media.image; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
