import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import InputError
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.sample_formats import from_source_samples, to_source_samples

F = SampleFormat
INTEGERS = {F.UINT8: (np.uint8, 255), F.UINT10: (np.uint16, 1023), F.UINT16: (np.uint16, 65535)}
SIGNED = {F.INT8: (np.int8, 8), F.INT16: (np.int16, 16), F.INT24: (np.int32, 24), F.INT32: (np.int32, 32)}
FLOATS = {F.FLOAT16: np.float16, F.FLOAT32: np.float32, F.FLOAT64: np.float64}


def describe(sample_format):
    axes = (Axis(AxisName.Y, 1), Axis(AxisName.X, 1))
    return SignalDescription(Kind.PHOTO, axes, (ChannelRole.GREY,), sample_format)


def describe_sound(sample_format):
    return SignalDescription(Kind.SOUND, (Axis(AxisName.TIME, 1),), (ChannelRole.SOUND,), sample_format)


def test_every_format_is_looked_at():
    assert {*INTEGERS, *SIGNED, *FLOATS} == set(F)


@pytest.mark.parametrize("sample_format", SIGNED)
def test_signed_integers_come_back(sample_format):
    dtype, bits = SIGNED[sample_format]
    full_scale = 2 ** (bits - 1)
    # float32 samples hold 24 bits
    values = np.array([-full_scale, -full_scale // 2, 0, 1 << max(0, bits - 24), full_scale // 2], dtype=dtype)[:, None]
    samples, description = from_source_samples(values, describe_sound(sample_format))
    assert samples[:, 0].tolist() == [-1.0, -0.5, 0.0, values[3, 0] / full_scale, 0.5]
    back = to_source_samples(samples, description)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("sample_format", SIGNED)
def test_signed_integers_are_clipped_to_their_range(sample_format):
    bits = SIGNED[sample_format][1]
    back = to_source_samples(np.array([-1.5, 1.0, 1.5], dtype=np.float32), describe_sound(sample_format))
    assert back.tolist() == [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 2 ** (bits - 1) - 1]


@pytest.mark.parametrize("sample_format", FLOATS)
def test_floats_of_sound_stay_as_they_are(sample_format):
    values = np.array([[-1.5], [0.25], [2.0]], dtype=FLOATS[sample_format])
    samples, description = from_source_samples(values, describe_sound(sample_format))
    assert (description.offset, description.scale) == (0.0, 1.0)
    assert samples[:, 0].tolist() == [-1.5, 0.25, 2.0]
    back = to_source_samples(samples, description)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("sample_format", INTEGERS)
def test_every_integer_comes_back(sample_format):
    dtype, full_scale = INTEGERS[sample_format]
    values = np.arange(full_scale + 1, dtype=dtype)[:, None]
    samples, description = from_source_samples(values, describe(sample_format))
    assert samples.dtype == np.float32
    assert (samples.min(), samples.max()) == (0.0, 1.0)
    assert (description.offset, description.scale) == (0.0, 1.0)
    back = to_source_samples(samples, description)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("sample_format", INTEGERS)
def test_integers_are_clipped_to_their_range(sample_format):
    full_scale = INTEGERS[sample_format][1]
    samples = np.array([-0.1, 0.4999 / full_scale, 0.5001 / full_scale, 1.1], dtype=np.float32)
    back = to_source_samples(samples, describe(sample_format))
    assert back.tolist() == [0, 0, 1, full_scale]


@pytest.mark.parametrize("sample_format", FLOATS)
def test_floats_come_back_in_their_own_range(sample_format):
    dtype = FLOATS[sample_format]
    values = np.array([[-300.0], [0.0], [12.5], [1000.0]], dtype=dtype)
    samples, description = from_source_samples(values, describe(sample_format))
    assert (description.offset, description.scale) == (-300.0, 1300.0)
    assert (samples.min(), samples.max()) == (0.0, 1.0)
    back = to_source_samples(samples, description)
    assert back.dtype == dtype
    np.testing.assert_allclose(back.astype(float), values.astype(float), atol=1300 * 2.0**-10)
    overshoot = to_source_samples(np.array([-1.0, 2.0], dtype=np.float32), description)
    assert overshoot.tolist() == [-300.0, 1000.0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=5))
def test_any_finite_floats_fit_or_are_refused(numbers):
    values = np.array(numbers)[:, None]
    try:
        samples, description = from_source_samples(values, describe(F.FLOAT64))
    except InputError:
        assert max(numbers) - min(numbers) == np.inf
        return
    assert ((samples >= 0.0) & (samples <= 1.0)).all()
    back = to_source_samples(samples, description)
    span = max(numbers) - min(numbers)
    bound = 1e-7 * span + 1e-15 * max(map(abs, numbers))  # float32 samples, float64 units
    assert (np.abs(back - values) <= bound).all()


def test_a_constant_array_has_scale_zero():
    samples, description = from_source_samples(np.full((2, 1), 7.0, dtype=np.float32), describe(F.FLOAT32))
    assert (description.offset, description.scale) == (7.0, 0.0)
    assert to_source_samples(samples + np.float32(0.5), description).tolist() == [[7.0], [7.0]]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_floats_must_be_finite(odd):
    with pytest.raises(InputError, match="NaN or infinite"):
        from_source_samples(np.array([[0.0], [odd]]), describe(F.FLOAT64))


def test_a_range_over_float64_is_refused():
    with pytest.raises(InputError, match="expected a range that fits"):
        from_source_samples(np.array([[-1e308], [1e308]]), describe(F.FLOAT64))
