from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import InputError, OptionError
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.signal import Signal, from_source_samples, to_source_samples

F = SampleFormat
INTEGERS = {F.UINT8: (np.uint8, 255), F.UINT10: (np.uint16, 1023), F.UINT16: (np.uint16, 65535)}
FLOATS = {F.FLOAT16: np.float16, F.FLOAT32: np.float32, F.FLOAT64: np.float64}


def describe(sample_format, *, height=1, width=1, **changes):
    axes = (Axis(AxisName.Y, height), Axis(AxisName.X, width))
    return SignalDescription(Kind.PHOTO, axes, (ChannelRole.GREY,), sample_format, **changes)


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


@pytest.mark.parametrize("sample_format", sorted(set(F) - set(INTEGERS) - set(FLOATS)))
def test_formats_of_sound_are_refused(sample_format):
    description = describe(sample_format)
    with pytest.raises(OptionError, match=f"{sample_format.name} is not one of a photo"):
        to_source_samples(np.zeros(1, dtype=np.float32), description)
    with pytest.raises(OptionError, match=f"{sample_format.name} is not one of a photo"):
        from_source_samples(np.zeros((1, 1), dtype=np.int16), description)


def test_a_signal_is_its_samples_and_what_they_are():
    description = describe(F.UINT8, height=2, width=3)
    signal = Signal(description, np.full((2, 3, 1), 0.2, dtype=np.float32))
    assert signal.kind is Kind.PHOTO
    assert signal.axes == description.axes
    np.testing.assert_array_equal(signal.to_source(), np.full((2, 3, 1), 51, dtype=np.uint8))
    assert replace(signal, samples=signal.samples).metadata == {}


@pytest.mark.parametrize(
    ("shape", "dtype"), [((3, 2, 1), np.float32), ((2, 3), np.float32), ((2, 3, 1), np.float64), ((6, 1), np.float32)]
)
def test_samples_must_fit_the_description(shape, dtype):
    with pytest.raises(OptionError, match=r"expected float32 of \(2, 3, 1\)"):
        Signal(describe(F.UINT8, height=2, width=3), np.zeros(shape, dtype=dtype))
