import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.signal.colour import (
    ColourTransform,
    channel_weights,
    from_fitted,
    to_fitted,
    transform_for,
    with_opacity_margin,
)
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription

R, G, B, ALPHA, GREY = (ChannelRole[name] for name in ("RED", "GREEN", "BLUE", "ALPHA", "GREY"))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ((GREY,), [1.0]),
        ((R, G, B), [1 / 3, 1 / 3, 1 / 3]),
        ((GREY, ALPHA), [1.0, 1.0]),
        ((R, G, B, ALPHA), [1 / 3, 1 / 3, 1 / 3, 1.0]),
        ((ALPHA,), [1.0]),
    ],
)
def test_weights_are_the_mean_over_colour_plus_alpha(channels, expected):
    np.testing.assert_array_equal(channel_weights(channels), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [((R, G, B), ColourTransform.NONE), ((GREY, ALPHA), ColourTransform.PREMULTIPLIED)],
)
def test_only_alpha_needs_a_transform(channels, expected):
    axes = (Axis(AxisName.Y, 1), Axis(AxisName.X, 1))
    assert transform_for(SignalDescription(Kind.PHOTO, axes, channels, SampleFormat.UINT8)) is expected


def test_without_a_transform_nothing_changes():
    samples = np.array([[-0.5, 0.25, 2.0]], dtype=np.float32)
    np.testing.assert_array_equal(to_fitted(samples, ColourTransform.NONE), samples)
    np.testing.assert_array_equal(from_fitted(samples, ColourTransform.NONE), samples)


def test_colour_is_multiplied_by_alpha():
    samples = np.array([0.5, 1.0, 0.25, 0.5], dtype=np.float32)
    np.testing.assert_array_equal(to_fitted(samples, ColourTransform.PREMULTIPLIED), [0.25, 0.5, 0.125, 0.5])


@given(st.lists(st.integers(0, 255), min_size=3, max_size=3), st.integers(1, 255))
def test_visible_colour_comes_back(colour, alpha):
    samples = np.array([[*colour, alpha]], dtype=np.float32) / np.float32(255)
    back = from_fitted(to_fitted(samples, ColourTransform.PREMULTIPLIED), ColourTransform.PREMULTIPLIED)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, samples, atol=1e-6)


def test_a_margin_lies_beyond_what_is_clipped_and_nowhere_else():
    fitted = np.array([[0.3, 0.0], [0.4, 1.0], [0.5, 0.25], [0.6, 0.996]], dtype=np.float32)
    found = with_opacity_margin(fitted, ColourTransform.PREMULTIPLIED)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], fitted[:, 0])
    np.testing.assert_array_equal(found[2:, 1], fitted[2:, 1])
    assert found[0, 1] < -0.05
    assert found[1, 1] > 1.05
    np.testing.assert_array_equal(from_fitted(found, ColourTransform.PREMULTIPLIED)[:2, 1], [0.0, 1.0])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_one_opacity_for_all_needs_no_margin(alpha):
    fitted = np.array([[0.3, alpha], [0.4, alpha]], dtype=np.float32)
    np.testing.assert_array_equal(with_opacity_margin(fitted, ColourTransform.PREMULTIPLIED), fitted)
    colours = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(with_opacity_margin(colours, ColourTransform.NONE), colours)


def test_invisible_colour_is_black():
    fitted = np.array([[0.3, 0.2, 0.1, 0.0], [0.3, 0.2, 0.1, 0.4 / 255], [0.3, 0.2, 0.1, -1.0]], dtype=np.float32)
    back = from_fitted(fitted, ColourTransform.PREMULTIPLIED)
    np.testing.assert_array_equal(back[:, :3], 0.0)
    np.testing.assert_array_equal(back[:, 3], fitted[:, 3].clip(0.0))


def test_overshoot_is_clipped():
    fitted = np.array([[0.9, -0.1, 0.25, 0.5], [0.5, 0.5, 0.5, 1.5]], dtype=np.float32)
    back = from_fitted(fitted, ColourTransform.PREMULTIPLIED)
    np.testing.assert_array_equal(back, np.array([[1.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.5, 1.0]], dtype=np.float32))
