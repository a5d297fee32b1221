from dataclasses import replace
from fractions import Fraction

import pytest

from i2codec.errors import OptionError
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription

RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)
PHOTO = SignalDescription(Kind.PHOTO, (Axis(AxisName.Y, 4), Axis(AxisName.X, 6)), RGB, SampleFormat.UINT8)


def test_sizes_follow_from_the_axes():
    assert PHOTO.extents == (4, 6)
    assert PHOTO.point_count == 24


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(RGB, False), ((*RGB, ChannelRole.ALPHA), True), ((ChannelRole.ALPHA, ChannelRole.GREY), False)],
)
def test_alpha_is_the_last_channel(channels, expected):
    assert replace(PHOTO, channels=channels).has_alpha is expected


def test_floats_are_told_from_integers():
    floats = {SampleFormat.FLOAT16, SampleFormat.FLOAT32, SampleFormat.FLOAT64}
    assert {sample_format for sample_format in SampleFormat if sample_format.is_float} == floats


@pytest.mark.parametrize("extent", [0, -1])
def test_an_axis_has_samples(extent):
    with pytest.raises(OptionError, match="axis y has"):
        Axis(AxisName.Y, extent)


@pytest.mark.parametrize("step", [Fraction(0), Fraction(-1, 3)])
def test_an_axis_has_a_step(step):
    with pytest.raises(OptionError, match="axis time has step"):
        Axis(AxisName.TIME, 3, step)


FLOAT = SampleFormat.FLOAT32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": ()}, "0 axes"),
        ({"axes": (Axis(AxisName.X, 1),) * 4}, "4 axes"),
        ({"channels": ()}, "0 channels"),
        ({"channels": (ChannelRole.PLAIN,) * 17}, "17 channels"),
        ({"sample_format": FLOAT, "offset": float("nan")}, "must be finite"),
        ({"sample_format": FLOAT, "scale": float("inf")}, "must be finite"),
        ({"sample_format": FLOAT, "scale": 1e308, "offset": 1e308}, "must be finite"),
        ({"scale": 2.0}, "must be 0 and 1"),
        ({"offset": 1.0}, "must be 0 and 1"),
        ({"affine": (1.0,) * 11}, "12 finite numbers"),
        ({"affine": (float("nan"),) * 12}, "12 finite numbers"),
    ],
)
def test_what_no_signal_can_be_is_refused(change, message):
    with pytest.raises(OptionError, match=message):
        replace(PHOTO, **change)


def test_the_limits_of_a_description_are_allowed():
    widest = replace(PHOTO, channels=(ChannelRole.PLAIN,) * 16, axes=(Axis(AxisName.X, 1),) * 3, affine=(0.5,) * 12)
    assert (len(widest.channels), widest.point_count) == (16, 1)
    constant = replace(PHOTO, sample_format=FLOAT, offset=-3.0, scale=0.0)
    assert (constant.offset, constant.scale) == (-3.0, 0.0)
