"""Photos from arrays and `.npy` files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from i2codec.errors import InputError
from i2codec.media.image import MAX_PIXELS, photo_from_array, read_photo, write_photo
from i2codec.signal.description import AxisName, ChannelRole, SampleFormat, SourceContainer

SHAPES = st.one_of(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_header(header: str, *, version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text


def through_npy(array: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    write_photo(read_photo(npy(array), keep_metadata=True), stream, extension=".npy", background=None)
    stream.seek(0)
    return np.load(stream)


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16, ">u2"]), SHAPES))
def test_integer_npy_round_trip_is_exact(array: np.ndarray) -> None:
    restored = through_npy(array)
    expected = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    assert restored.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(restored, expected)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3])),
        elements=st.floats(-1000, 1000, width=32),
    )
)
def test_float_npy_round_trip_keeps_units(array: np.ndarray) -> None:
    restored = through_npy(array)
    assert restored.dtype == array.dtype
    tolerance = 1e-6 * max(1.0, float(np.abs(array).max()))
    np.testing.assert_allclose(restored.reshape(array.shape), array, atol=tolerance)


def test_description_of_an_rgba_array() -> None:
    description = photo_from_array(np.zeros((3, 5, 4), np.uint16)).description
    assert [(axis.name, axis.extent) for axis in description.axes] == [(AxisName.Y, 3), (AxisName.X, 5)]
    assert description.channels == (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE, ChannelRole.ALPHA)
    assert description.sample_format is SampleFormat.UINT16
    assert description.source is SourceContainer.ARRAY


def test_plane_and_one_channel_are_the_same_photo(rng: np.random.Generator) -> None:
    plane = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    one, other = photo_from_array(plane), photo_from_array(plane[..., np.newaxis])
    assert one.description == other.description
    np.testing.assert_array_equal(one.samples, other.samples)


def test_bool_becomes_black_and_white() -> None:
    signal = photo_from_array(np.array([[True, False]]))
    assert signal.description.sample_format is SampleFormat.UINT8
    assert signal.to_source().ravel().tolist() == [255, 0]


def test_fortran_order_is_read_upright(rng: np.random.Generator) -> None:
    array = np.asfortranarray(rng.integers(0, 256, (4, 3, 3), dtype=np.uint8))
    np.testing.assert_array_equal(through_npy(array), array)


def test_float_alpha_keeps_its_scale() -> None:
    array = np.full((2, 2, 4), 0.25, np.float32)
    signal = photo_from_array(array)
    np.testing.assert_array_equal(signal.samples, array)
    assert (signal.description.offset, signal.description.scale) == (0.0, 1.0)


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan])
def test_float_alpha_outside_unit_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"expected all within 0\.\.1: rescale it"):
        photo_from_array(np.full((2, 2, 2), value))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), np.int32), "holds int32 samples; expected uint8, uint16, float16, .*: convert it"),
        (np.zeros((2, 2), np.complex64), "holds complex64 samples"),
        (np.zeros((2, 2), np.longdouble), "holds .*float.* samples"),
        (np.zeros(5, np.uint8), r"has shape \(5,\); expected \[H, W\] or \[H, W, C\]"),
        (np.zeros((2, 2, 5), np.uint8), r"has shape \(2, 2, 5\)"),
        (np.zeros((2, 2, 0), np.uint8), r"has shape \(2, 2, 0\)"),
        (np.zeros((0, 4), np.uint8), "is 4 x 0 pixels; expected 1 to"),
        (np.array([[np.nan]]), "NaN or infinite"),
    ],
)
def test_arrays_that_are_no_photos(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        photo_from_array(array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy(np.zeros((4, 4), np.uint8))[:-1], "is truncated: 15 bytes of samples; expected 16"),
        (npy(np.zeros((4, 4), np.uint8))[:20], "damaged .npy"),
        (npy(np.array([[None]], dtype=object)), "holds object samples"),
        (npy(np.zeros((2, 2), "i4,f4")), "samples; expected uint8"),
        (npy_header("{'descr': '<u2', 'fortran_order': False, 'shape': (9,"), "damaged .npy"),
        (npy_header("{}", version=b"\x03\x00"), "version 3.0, not 1.0 or 2.0"),
    ],
)
def test_bad_npy_files(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_photo(data, keep_metadata=True)


def test_npy_over_the_limit_is_refused_from_its_header() -> None:
    shape = (MAX_PIXELS // 1024, 1025)
    data = npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}")
    with pytest.raises(InputError, match=f"expected 1 to {MAX_PIXELS} pixels"):
        read_photo(data, keep_metadata=True)


def test_npy_source_is_noted() -> None:
    assert read_photo(npy(np.zeros((1, 1))), keep_metadata=True).description.source is SourceContainer.NPY
