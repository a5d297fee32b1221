import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.signal.description import Axis, AxisName
from i2codec.signal.grid import grid_coordinates, half_extents, nyquist_frequencies, sample_centres


@given(st.integers(1, 5000), st.floats(0.01, 1.0))
def test_any_number_of_samples_covers_the_same_domain(count, half):
    edges = sample_centres(np.array([-0.5, count - 0.5]), count=count, half_extent=half)
    np.testing.assert_allclose(edges, [-half, half], rtol=1e-12)
    centres = sample_centres(np.arange(count), count=count, half_extent=half)
    np.testing.assert_allclose(centres, -centres[::-1], atol=1e-12)
    np.testing.assert_allclose(np.diff(centres), 2.0 * half / count, rtol=1e-6)


@given(st.integers(1, 300), st.integers(1, 5))
def test_an_odd_factor_keeps_the_native_samples(count, half_factor):
    factor = 2 * half_factor + 1
    native = sample_centres(np.arange(count), count=count, half_extent=0.75)
    fine = sample_centres(np.arange(count * factor), count=count * factor, half_extent=0.75)
    np.testing.assert_allclose(fine[half_factor::factor], native, atol=1e-12)


def test_coordinates_are_exact_for_long_axes():
    centres = sample_centres(np.array([0, 2**28 - 1]), count=2**28, half_extent=1.0)
    assert centres.dtype == np.float64
    assert centres[1] == 1.0 - 2.0**-28 == -centres[0]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ([Axis(AxisName.X, 7)], (1.0,)),
        ([Axis(AxisName.Y, 30), Axis(AxisName.X, 40)], (0.75, 1.0)),
        ([Axis(AxisName.Y, 40), Axis(AxisName.X, 30)], (1.0, 0.75)),
        ([Axis(AxisName.Y, 10, Fraction(4)), Axis(AxisName.X, 80, Fraction(1, 2))], (1.0, 1.0)),
        ([Axis(AxisName.TIME, 88_200, Fraction(1, 44_100))], (1.0,)),
        ([Axis(AxisName.TIME, 9, Fraction(1, 25)), Axis(AxisName.Y, 50), Axis(AxisName.X, 100)], (1.0, 0.5, 1.0)),
        ([Axis(AxisName.Z, 2), Axis(AxisName.Y, 4), Axis(AxisName.X, 8)], (0.25, 0.5, 1.0)),
    ],
)
def test_the_aspect_is_kept_and_time_is_a_unit_of_its_own(axes, expected):
    assert half_extents(axes) == expected


def test_nyquist_is_half_a_cycle_per_sample():
    axes = [Axis(AxisName.Y, 30), Axis(AxisName.X, 40)]
    for axis, half, frequency in zip(axes, half_extents(axes), nyquist_frequencies(axes), strict=True):
        centres = sample_centres(np.arange(axis.extent), count=axis.extent, half_extent=half)
        np.testing.assert_allclose(np.diff(frequency * centres), math.pi)


def test_the_last_axis_is_the_fastest():
    coordinates = grid_coordinates([np.array([1.0, 2.0]), np.array([5.0, 6.0, 7.0])])
    assert coordinates.tolist() == [[1, 5], [1, 6], [1, 7], [2, 5], [2, 6], [2, 7]]
    assert grid_coordinates([np.array([3.0])]).shape == (1, 1)
