from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from i2codec.errors import OptionError
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.signal import Signal
from i2codec.signal.timestamps import TimeStamps


def describe(sample_format, *, height=1, width=1, **changes):
    axes = (Axis(AxisName.Y, height), Axis(AxisName.X, width))
    return SignalDescription(Kind.PHOTO, axes, (ChannelRole.GREY,), sample_format, **changes)


def test_a_signal_is_its_samples_and_what_they_are():
    description = describe(SampleFormat.UINT8, height=2, width=3)
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
        Signal(describe(SampleFormat.UINT8, height=2, width=3), np.zeros(shape, dtype=dtype))


def test_every_frame_has_its_time_stamp():
    axes = (Axis(AxisName.TIME, 2), Axis(AxisName.Y, 1), Axis(AxisName.X, 1))
    description = SignalDescription(Kind.VIDEO, axes, (ChannelRole.GREY,), SampleFormat.UINT8)
    samples = np.zeros((2, 1, 1, 1), dtype=np.float32)
    stamps = TimeStamps(Fraction(1, 1000), (0, 40, 100))
    assert Signal(description, samples, timestamps=stamps).timestamps is stamps
    with pytest.raises(OptionError, match="1 time stamps for 2 frames"):
        Signal(description, samples, timestamps=TimeStamps(Fraction(1, 1000), (0, 40)))
