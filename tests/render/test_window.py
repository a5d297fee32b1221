import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.render.axis_grid import AxisGrid
from i2codec.render.window import Window, area_filter, source_window

COUNTS = st.integers(1, 60)


@st.composite
def regions(draw):
    native, count = draw(COUNTS), draw(COUNTS)
    start = draw(st.integers(0, native - 1))
    return native, count, start, draw(st.integers(1, native - start))


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (2, 2), (3, 2), (0, 11)])
def test_a_window_lies_inside_its_axis(start, stop):
    with pytest.raises(OptionError, match="axis of 10"):
        Window(10, start, stop)


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, 0), (0, 11), (10, 1)])
def test_a_region_lies_inside_the_native_axis(start, length):
    with pytest.raises(OptionError, match="inside 0 to 10"):
        AxisGrid.of_count(native=10, count=20).window(start=start, length=length)


@given(regions())
def test_a_region_has_its_size_times_the_scale_and_starts_at_the_nearest_sample(region):
    native, count, start, length = region
    window = AxisGrid.of_count(native=native, count=count).window(start=start, length=length)
    scale = Fraction(count, native)
    assert window.count == count
    assert window.size == min(count, max(1, math.floor(length * scale + Fraction(1, 2))))
    if window.stop < count:
        assert abs(window.start - start * scale) <= Fraction(1, 2)
    else:
        assert abs(window.start - start * scale) <= 1


@given(COUNTS, COUNTS)
def test_the_whole_region_is_the_whole(native, count):
    assert AxisGrid.of_count(native=native, count=count).window(start=0, length=native) == Window(count, 0, count)


def test_sizes_are_exact_for_any_integers():
    native, count = 10**18 + 1, 3 * (10**18 + 1)
    assert AxisGrid.of_count(native=native, count=count).window(start=7, length=5) == Window(count, 21, 36)


@given(regions())
def test_going_up_needs_the_window_itself_and_going_down_what_it_covers(region):
    native, count, start, length = region
    window = AxisGrid.of_count(native=native, count=count).window(start=start, length=length)
    source = source_window(window, native=native)
    if count >= native:
        assert source == window
        return
    ratio = Fraction(native, count)
    assert source.count == native
    assert source.start <= window.start * ratio < source.start + 1
    assert source.stop - 1 < window.stop * ratio <= source.stop


def filtered(samples, count):
    native = len(samples)
    return area_filter(samples, axis=0, source=Window(native, 0, native), window=Window(count, 0, count))


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_whole_factor_is_the_box_mean(count, factor, seed):
    samples = np.random.default_rng(seed).random((count * factor, 3), dtype=np.float32)
    expected = samples.astype(np.float64).reshape(count, factor, 3).mean(axis=1)
    np.testing.assert_allclose(filtered(samples, count), expected, atol=1e-7)


@given(st.integers(1, 60), st.data(), st.integers(0, 2**32 - 1))
def test_means_and_constants_are_kept(native, data, seed):
    count = data.draw(st.integers(1, native))
    samples = np.random.default_rng(seed).random((native, 2), dtype=np.float32)
    result = filtered(samples, count)
    assert (result.shape, result.dtype) == ((count, 2), np.float32)
    np.testing.assert_allclose(result.mean(axis=0), samples.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(filtered(np.full((native, 1), 0.3, dtype=np.float32), count), 0.3, rtol=1e-7)


def test_parts_of_samples_count_by_their_area():
    samples = np.array([1.0, 2.0, 4.0], dtype=np.float32)[:, None]
    np.testing.assert_allclose(filtered(samples, 2)[:, 0], [(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 4) / 1.5], rtol=1e-6)


@given(regions(), st.integers(0, 1))
def test_a_window_has_the_bytes_of_the_whole(region, axis):
    native, count, start, length = region
    window = AxisGrid.of_count(native=native, count=count).window(start=start, length=length)
    source = source_window(window, native=native)
    samples = np.random.default_rng(7).random((native, 2), dtype=np.float32)
    whole = filtered(samples, count) if count < native else samples
    if count > native:
        return
    part = area_filter(
        np.moveaxis(samples[source.start : source.stop, None], 0, axis), axis=axis, source=source, window=window
    )
    np.testing.assert_array_equal(np.moveaxis(part, axis, 0)[:, 0], whole[window.start : window.stop])


def test_long_axes_do_not_overflow():
    native, count = 2**28, 2**28 - 1
    window = Window(count, count - 3, count)
    source = source_window(window, native=native)
    assert (source.start, source.stop) == (native - 4, native)
    result = area_filter(np.arange(4.0, dtype=np.float32)[:, None], axis=0, source=source, window=window)
    np.testing.assert_allclose(result[:, 0], [1.0, 2.0, 3.0], atol=1e-6)
