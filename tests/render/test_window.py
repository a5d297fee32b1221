import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.render import window as window_module
from i2codec.render.axis_grid import AxisGrid
from i2codec.render.window import Window, area_filter, low_pass, low_pass_source, source_window

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


def tone(cycles_per_sample, moments):
    return np.sin(2.0 * np.pi * cycles_per_sample * np.asarray(moments, dtype=np.float64) + 0.4)


def low_passed(samples, ratio, *, offset=Fraction(0), part=None):
    """Every sample at the ratio, or those of a part, from no more than the native samples they need."""
    native = len(samples)
    count = max(1, math.floor((native - offset) / ratio))
    window = Window(count, *(part or (0, count)))
    source = low_pass_source(window, native=native, ratio=ratio, offset=offset)
    return low_pass(samples[source.start : source.stop], ratio=ratio, offset=offset, source=source, window=window)


RATES = [(44100, 22050), (44100, 16000), (48000, 44100), (44100, 44099), (8000, 999)]
OFFSETS = [Fraction(0), Fraction(1, 2), Fraction(9, 2), Fraction(1, 7)]


@pytest.mark.parametrize(("native_rate", "rate"), RATES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_a_rate_keeps_what_it_can_hold_where_it_was(native_rate, rate, offset):
    ratio = Fraction(native_rate, rate)
    moments = [float(offset + j * ratio) for j in range(math.floor((4000 - offset) / ratio))]
    inside = slice(80, -80)  # beyond its ends the signal repeats its last sample, a tone does not
    for share in (0.0, 0.1, 0.5, 0.85):
        cycles = share * 0.5 / float(ratio)
        found = low_passed(tone(cycles, range(4000)).astype(np.float32)[:, None], ratio, offset=offset)
        np.testing.assert_allclose(found[inside, 0], tone(cycles, moments)[inside], atol=1e-3)


@pytest.mark.parametrize(("native_rate", "rate"), [rates for rates in RATES if rates[0] > 1.1 * rates[1]])
def test_a_rate_leaves_out_what_it_cannot_hold(native_rate, rate):
    ratio = Fraction(native_rate, rate)
    for cycles in np.linspace(1.15 * 0.5 / float(ratio), 0.5, 5):
        found = low_passed(tone(cycles, range(4000)).astype(np.float32)[:, None], ratio)
        assert np.abs(found[80:-80]).max() < 1e-4  # 80 dB down


@given(st.fractions(1, 50, max_denominator=999), st.floats(-1.0, 1.0, width=32), st.integers(1, 300))
def test_a_constant_sound_stays_exactly_that(ratio, value, native):
    samples = np.full((native, 2), value, dtype=np.float32)
    np.testing.assert_array_equal(low_passed(samples, ratio, offset=Fraction(0)), value)


@given(st.fractions(Fraction(11, 10), 20, max_denominator=999), st.sampled_from(OFFSETS), st.data())
def test_a_part_of_a_sound_has_the_bytes_of_the_whole(ratio, offset, data):
    samples = np.random.default_rng(3).uniform(-1.0, 1.0, (1500, 1)).astype(np.float32)
    whole = low_passed(samples, ratio, offset=offset)
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start + 1, len(whole)))
    part = low_passed(samples, ratio, offset=offset, part=(start, stop))
    np.testing.assert_array_equal(part, whole[start:stop])


def test_blocks_of_a_long_sound_do_not_show(monkeypatch):
    samples = np.random.default_rng(4).uniform(-1.0, 1.0, (900, 1)).astype(np.float32)
    whole = low_passed(samples, Fraction(441, 160))
    monkeypatch.setattr(window_module, "_BLOCK_SAMPLES", 17)
    np.testing.assert_array_equal(low_passed(samples, Fraction(441, 160)), whole)


def test_positions_in_a_long_sound_are_exact():
    """A native sample at an exact multiple of the ratio, 10⁹ samples in."""
    ratio, first = Fraction(44100, 16000), 160 * 2_300_000
    native = 10**9 + 10**8
    window = Window(native * 160 // 441, first, first + 1)
    source = low_pass_source(window, native=native, ratio=ratio, offset=Fraction(0))
    samples = tone(0.05, np.arange(source.start, source.stop) - first * ratio.numerator // ratio.denominator)
    found = low_pass(samples.astype(np.float32)[:, None], ratio=ratio, offset=Fraction(0), source=source, window=window)
    np.testing.assert_allclose(found[0, 0], tone(0.05, 0), atol=1e-4)
