import math

import numpy as np
import pytest

from i2codec.errors import OptionError
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.metrics import distortion, psnr_db

AXES = (Axis(AxisName.Y, 2), Axis(AxisName.X, 1))
RGB = (ChannelRole.RED, ChannelRole.GREEN, ChannelRole.BLUE)


def description(channels):
    return SignalDescription(Kind.PHOTO, AXES, channels, SampleFormat.UINT8)


def samples(*pixels):
    return np.array(pixels, dtype=np.float32)[:, None, :]


def test_distortion_is_the_mean_over_pixels_and_colours():
    target, decoded = samples([0, 0, 0], [1, 1, 1]), samples([0.5, 0, 0], [1, 1, 0.75])
    expected = (0.25 + 0.0625) / 6
    assert distortion(target=target, decoded=decoded, description=description(RGB)) == pytest.approx(expected)


def test_alpha_is_added_and_colour_is_premultiplied():
    target, decoded = samples([1, 1, 1, 0], [1, 0, 0, 0.5]), samples([0, 0, 0, 0], [1, 0, 0, 1])
    # pixel 1 is invisible in both; pixel 2 differs by 0.5 in premultiplied red and in alpha
    expected = 0.25 / 6 + 0.25 / 2
    found = distortion(target=target, decoded=decoded, description=description((*RGB, ChannelRole.ALPHA)))
    assert found == pytest.approx(expected)


def test_distortion_is_accurate_for_many_pixels():
    target = np.zeros((2000, 1000, 1), dtype=np.float32)
    decoded = np.full_like(target, 1e-3)
    found = distortion(target=target, decoded=decoded, description=description((ChannelRole.GREY,)))
    assert found == pytest.approx(float(np.float32(1e-3)) ** 2, rel=1e-9, abs=0.0)


def test_sizes_must_be_equal():
    with pytest.raises(OptionError, match=r"\(2, 1, 3\) with \(1, 1, 3\)"):
        distortion(target=samples([0] * 3, [0] * 3), decoded=samples([0] * 3), description=description(RGB))


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, 0.0), (0.1, 10.0), (1e-4, 40.0), (0.0, math.inf), (math.inf, -math.inf)]
)
def test_psnr(value, expected):
    assert psnr_db(value) == pytest.approx(expected)
