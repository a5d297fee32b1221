"""Luma and chroma: against the formulas of the recommendations."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.media.video_colour import LumaChroma, effective_matrix, known_matrix
from i2codec.media.video_frames import FrameSamples, Layout, Orientation, frame_of, upright

WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}
WEIGHTS[9] = (0.2627, 0.0593)


def itu_codes(rgb: np.ndarray, *, matrix: int, full_range: bool, bits: int) -> np.ndarray:
    """Unrounded codes `[H, W, 3]`, written as the recommendations write them."""
    red_weight, blue_weight = WEIGHTS[matrix]
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    blue_difference = (blue - luma) / (2 - 2 * blue_weight)
    red_difference = (red - luma) / (2 - 2 * red_weight)
    if full_range:
        scaled = [(2**bits - 1) * plane for plane in (luma, blue_difference, red_difference)]
        return np.stack([scaled[0], scaled[1] + 2 ** (bits - 1), scaled[2] + 2 ** (bits - 1)], axis=-1)
    codes = [219 * luma + 16, 224 * blue_difference + 128, 224 * red_difference + 128]
    return np.stack(codes, axis=-1) * 2 ** (bits - 8)


def itu_rgb(codes: np.ndarray, *, matrix: int, full_range: bool, bits: int) -> np.ndarray:
    """RGB of codes, solved for one channel after the other."""
    red_weight, blue_weight = WEIGHTS[matrix]
    unit = codes.astype(np.float64) / 2 ** (bits - 8)
    luma, blue_difference, red_difference = np.moveaxis(unit, -1, 0)
    if full_range:
        peak = (2**bits - 1) / 2 ** (bits - 8)
        luma, blue_difference, red_difference = (
            luma / peak,
            (blue_difference - 128) / peak,
            (red_difference - 128) / peak,
        )
    else:
        luma, blue_difference, red_difference = (
            (luma - 16) / 219,
            (blue_difference - 128) / 224,
            (red_difference - 128) / 224,
        )
    red = luma + 2 * (1 - red_weight) * red_difference
    blue = luma + 2 * (1 - blue_weight) * blue_difference
    green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 1)


def colours(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((6, 8, 3), np.float32)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", sorted(WEIGHTS))
def test_codes_follow_the_recommendations(matrix: int, full_range: bool, bits: int) -> None:
    code = LumaChroma(matrix, full_range, bits)
    expected = itu_codes(colours(), matrix=matrix, full_range=full_range, bits=bits)
    planes = code.from_rgb(colours())
    assert np.abs(np.stack(planes, axis=-1) - expected).max() < 0.51
    np.testing.assert_allclose(code.to_rgb(planes), colours(), atol=2.0 / 2**bits)


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("matrix", [*sorted(WEIGHTS), 8])
def test_greys_have_no_chroma(matrix: int, bits: int) -> None:
    ramp = np.repeat(np.linspace(0, 1, 20, dtype=np.float32).reshape(4, 5, 1), 3, axis=-1)
    code = LumaChroma(matrix, full_range=False, bits=bits)
    luma, blue, red = code.from_rgb(ramp)
    assert luma.min() == 16 << (bits - 8)
    assert luma.max() == 235 << (bits - 8)
    assert set(blue.ravel()) == set(red.ravel()) == {1 << (bits - 1)}
    np.testing.assert_array_equal(code.from_grey(ramp[..., :1]), luma)
    np.testing.assert_allclose(code.grey(luma), ramp[..., :1], atol=0.6 / 219)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.booleans())
def test_any_codes_give_rgb_in_the_unit_range(luma: int, blue: int, red: int, full_range: bool) -> None:
    planes = [np.full((1, 1), code, np.uint8) for code in (luma, blue, red)]
    rgb = LumaChroma(1, full_range, 8).to_rgb(planes)
    assert rgb.dtype == np.float32
    assert 0 <= rgb.min() <= rgb.max() <= 1


def test_ycgco() -> None:
    code = LumaChroma(8, full_range=True, bits=8)
    green = np.array([[[0.0, 1.0, 0.0]]], np.float32)
    assert [int(plane[0, 0]) for plane in code.from_rgb(green)] == [128, 255, 128]
    np.testing.assert_allclose(code.to_rgb(code.from_rgb(colours())), colours(), atol=0.01)


def test_untagged_video_follows_its_height() -> None:
    assert [effective_matrix(2, height=height) for height in (576, 719, 720, 1080)] == [6, 6, 1, 1]
    assert effective_matrix(0, height=480) == 6
    assert effective_matrix(9, height=480) == 9
    assert [known_matrix(matrix) for matrix in (0, 1, 2, 8, 9, 10, 14)] == [True] * 5 + [False] * 2


@pytest.mark.parametrize(("matrix", "height"), [(1, 24), (6, 24), (9, 24), (2, 24), (2, 720)])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv444p", 8), ("yuv444p10le", 10)])
def test_frames_follow_their_matrix_and_range(
    matrix: int, height: int, full_range: bool, pixel_format: str, bits: int
) -> None:
    rng = np.random.default_rng(3)
    rgb = rng.random((height, 32, 3), np.float32)
    effective = {24: 6, 720: 1}[height] if matrix == 2 else matrix
    codes = np.rint(itu_codes(rgb, matrix=effective, full_range=full_range, bits=bits))
    planes = [codes[..., index].astype(np.uint8 if bits == 8 else np.uint16) for index in range(3)]
    frame = frame_of(planes, pixel_format)
    frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
    samples = FrameSamples().of(frame)
    expected = itu_rgb(codes, matrix=effective, full_range=full_range, bits=bits)
    np.testing.assert_allclose(samples, expected, atol=1e-5)
    np.testing.assert_allclose(samples, rgb, atol=2.5 / 2**bits)  # the rounding of three codes


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p", "yuv420p10le", "nv12", "yuv444p12le"])
def test_chroma_of_one_colour_stays_that_colour(pixel_format: str) -> None:
    frame = av.VideoFrame(33, 25, pixel_format)
    bits = Layout.of(frame.format).bits
    full_range = pixel_format.startswith("yuvj")
    want = np.array([0.7, 0.3, 0.4], np.float32)
    codes = np.rint(itu_codes(want, matrix=6, full_range=full_range, bits=bits)).astype(int)
    for index, plane in enumerate(frame.planes):
        values = codes[1:] if pixel_format == "nv12" and index else codes[index : index + 1]
        sample = values.astype(np.uint8 if bits == 8 else np.uint16).tobytes()
        plane.update((sample * plane.buffer_size)[: plane.buffer_size])
    frame.colorspace = 6
    samples = FrameSamples().of(frame)
    assert samples.shape == (25, 33, 3)
    assert np.abs(samples - want).max() < 2.0 / 2**bits


def test_rows_come_out_the_same_every_time() -> None:
    luma, chroma = np.full((25, 33), 300, np.uint16), np.full((13, 17), 500, np.uint16)
    frame = frame_of([luma, chroma, chroma], "yuv420p10le")
    first = FrameSamples().of(frame)
    assert np.ptp(first, axis=(0, 1)).max() < 1e-6
    for _ in range(1500):  # threads of FFmpeg that write over each other do so once in a while
        np.testing.assert_array_equal(FrameSamples().of(frame), first)


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24", "rgba", "gbrp", "bgr0", "pal8"])
def test_rgb_formats_keep_their_values(pixel_format: str) -> None:
    source = av.VideoFrame.from_ndarray(np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8), "rgb24")
    if pixel_format == "pal8":
        palette = np.arange(1024, dtype=np.uint8).reshape(256, 4)  # A R G B
        frame = av.VideoFrame.from_ndarray((np.full((6, 8), 7, np.uint8), palette), "pal8")
        np.testing.assert_allclose(FrameSamples().of(frame)[2, 3] * 255, palette[7][1:], atol=1.01)
        return
    frame = source.reformat(format=pixel_format)
    layout = Layout.of(frame.format)
    assert (layout.family, layout.channel_count) == ("rgb", 3)
    samples = FrameSamples().of(frame)
    np.testing.assert_allclose(samples, source.to_ndarray() / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("rgb48le", 16), ("rgb48be", 16), ("gbrp10le", 10), ("gbrp12le", 12)]
)
def test_deep_rgb_formats_keep_their_values(pixel_format: str, bits: int) -> None:
    values = np.random.default_rng(1).integers(0, 2**bits, (6, 8, 3), dtype=np.uint16)
    packed = [values.astype(">u2") if pixel_format.endswith("be") else values]
    frame = frame_of(packed if bits == 16 else [values[..., index] for index in (1, 2, 0)], pixel_format)
    np.testing.assert_array_equal(np.rint(FrameSamples().of(frame) * (2**bits - 1)), values)


@pytest.mark.parametrize(("pixel_format", "peak"), [("gray", 255), ("gray10le", 1023), ("gray12le", 4095)])
def test_grey_formats_use_all_codes_unless_tagged(pixel_format: str, peak: int) -> None:
    dtype = np.uint8 if peak == 255 else np.uint16
    values = np.array([[0, peak // 3, peak]], dtype)
    frame = frame_of([values], pixel_format)
    np.testing.assert_allclose(FrameSamples().of(frame)[..., 0], values / peak, atol=1e-6)
    frame.color_range = 1
    assert FrameSamples().of(frame)[0, 1, 0] == pytest.approx((peak // 3 / ((peak + 1) / 256) - 16) / 219, abs=1e-4)


def test_deep_samples_lose_no_bits() -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    samples = FrameSamples().of(frame_of([values], "gray12le"))
    np.testing.assert_array_equal(np.rint(samples[..., 0] * 4095), values)


def test_upright_turns() -> None:
    stored = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    clockwise = upright(stored, Orientation(transpose=True, flip_x=True))
    np.testing.assert_array_equal(clockwise, np.rot90(stored, -1))
    np.testing.assert_array_equal(upright(stored, Orientation(flip_y=True, flip_x=True)), np.rot90(stored, 2))
