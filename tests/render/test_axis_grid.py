import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.render.axis_grid import AxisGrid, StampedGrid
from i2codec.render.window import Window
from i2codec.signal.grid import sample_centres
from i2codec.signal.segments import Segments
from i2codec.signal.timestamps import TimeStamps

COUNTS = st.integers(1, 60)
RATIOS = st.fractions(Fraction(1, 6), 6, max_denominator=50)
TICKS = st.lists(st.integers(1, 9), min_size=1, max_size=12).map(lambda gaps: (0, *np.cumsum(gaps).tolist()))
BASES = st.sampled_from([Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 7)])


@st.composite
def plain_grids(draw):
    native = draw(COUNTS)
    if draw(st.booleans()):
        return AxisGrid.of_count(native=native, count=draw(COUNTS))
    return AxisGrid.of_ratio(native=native, ratio=draw(RATIOS), centred=draw(st.booleans()))


@st.composite
def stamped_grids(draw):
    """At 1/4 to 4 times the mean rate."""
    stamps = TimeStamps(draw(BASES), draw(TICKS))
    speed = draw(st.fractions(Fraction(1, 4), 4, max_denominator=50))
    return StampedGrid.of_rate(stamps, rate=speed * stamps.frame_count / stamps.duration)


GRIDS = plain_grids() | stamped_grids()


def positions(grid):
    """Where each output sample lies among the native samples, exactly."""
    if not isinstance(grid, StampedGrid):
        return [grid.first + sample * grid.ratio for sample in range(grid.count)]
    ticks, found = grid.stamps.ticks, []
    for sample in range(grid.count):
        time = (sample + Fraction(1, 2)) * grid.period / grid.stamps.time_base
        frame = max(index for index in range(grid.native) if ticks[index] <= time)
        found.append(min(Fraction(grid.native), frame + (time - ticks[frame]) / (ticks[frame + 1] - ticks[frame])))
    return found


@given(GRIDS, st.data())
def test_the_first_sample_at_a_position_is_that_of_a_search(grid, data):
    position = data.draw(st.integers(0, grid.native))
    before = sum(place < position for place in positions(grid))
    assert grid.first_at(position) == (grid.count if position == grid.native else before)


@given(GRIDS, st.data())
def test_every_sample_belongs_to_the_unit_that_it_lies_in(grid, data):
    segments = Segments(extent=grid.native, length=data.draw(st.integers(1, grid.native)))
    covered = []
    for unit in range(segments.count):
        start, stop = segments.bounds(unit)
        samples = range(grid.first_at(start), grid.first_at(stop))
        covered += samples
        places = positions(grid)
        assert all(start <= places[sample] < stop or stop == grid.native <= places[sample] for sample in samples)
    assert covered == list(range(grid.count))


@given(GRIDS, st.data())
def test_coordinates_are_the_positions_in_the_unit(grid, data):
    start = data.draw(st.integers(0, grid.native - 1))
    length = data.draw(st.integers(1, grid.native - start))
    found = grid.coordinates(np.arange(grid.count), start=start, length=length, half_extent=0.5)
    expected = [0.5 * float(2 * (place - start) / length - 1) for place in positions(grid)]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@given(GRIDS, st.data())
def test_positions_are_those_of_the_coordinates(grid, data):
    indices = data.draw(st.lists(st.integers(0, grid.count - 1), max_size=9))
    found = list(grid.positions(indices))
    assert all(isinstance(place, Fraction) for place in found)
    exact = [positions(grid)[index] for index in indices]
    if isinstance(grid, StampedGrid):
        np.testing.assert_allclose([float(place) for place in found], [float(place) for place in exact], atol=1e-11)
    else:
        assert found == exact
    coordinates = grid.coordinates(np.array(indices, dtype=np.int64), start=0, length=grid.native, half_extent=1.0)
    np.testing.assert_allclose([float(2 * place / grid.native - 1) for place in found], coordinates, atol=1e-11)


@given(GRIDS)
def test_there_are_no_more_shifts_than_are_counted(grid):
    shifts = len({place % 1 for place in grid.positions(range(grid.count))})
    assert shifts <= grid.shift_count <= grid.count
    if not isinstance(grid, StampedGrid):
        assert shifts == grid.shift_count


@given(COUNTS, st.data(), st.floats(0.01, 1.0))
def test_a_unit_has_its_own_sample_centres(native, data, half):
    start = data.draw(st.integers(0, native - 1))
    length = data.draw(st.integers(1, native - start))
    grids = [AxisGrid.of_count(native=native, count=native)]
    grids += [AxisGrid.of_ratio(native=native, ratio=Fraction(1), centred=centred) for centred in (False, True)]
    for grid in grids:
        found = grid.coordinates(np.arange(start, start + length), start=start, length=length, half_extent=half)
        expected = sample_centres(np.arange(length), count=length, half_extent=half)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_coordinates_are_exact_for_long_axes():
    native = 2**28
    grid = AxisGrid.of_count(native=native, count=native)
    ends = grid.coordinates(np.array([0, native - 1]), start=0, length=native, half_extent=1.0)
    assert ends[1] == 1.0 - 2.0**-28 == -ends[0]


@given(COUNTS, RATIOS, st.booleans())
def test_a_rate_keeps_the_duration_within_a_sample(native, ratio, centred):
    grid = AxisGrid.of_ratio(native=native, ratio=ratio, centred=centred)
    assert abs(grid.count * ratio - native) <= (ratio / 2 if ratio <= 2 * native else ratio)
    assert grid.native == native
    assert grid.ratio == ratio


@given(stamped_grids())
def test_a_rate_of_stamped_frames_keeps_the_duration_within_a_frame(grid):
    assert abs(grid.count * grid.period - grid.stamps.duration) <= grid.period


@given(COUNTS, RATIOS)
def test_samples_of_a_sound_stay_and_frames_of_a_video_move_to_the_middle(native, ratio):
    assert positions(AxisGrid.of_ratio(native=native, ratio=ratio, centred=False))[0] == Fraction(1, 2)
    centred = positions(AxisGrid.of_ratio(native=native, ratio=ratio, centred=True))
    assert centred[0] == min(ratio / 2, native)
    assert centred[-1] <= native  # outside, the field was not fitted


@given(COUNTS, COUNTS)
def test_a_count_covers_the_axis_evenly(native, count):
    places = positions(AxisGrid.of_count(native=native, count=count))
    assert len(places) == count
    assert places[0] == native - places[-1] == Fraction(native, 2 * count)


@given(COUNTS, BASES, st.integers(1, 9), RATIOS, st.data())
def test_even_time_stamps_are_a_constant_rate(native, base, gap, ratio, data):
    stamps = TimeStamps(base, tuple(range(0, (native + 1) * gap, gap)))
    plain = AxisGrid.of_ratio(native=native, ratio=ratio, centred=True)
    stamped = StampedGrid.of_rate(stamps, rate=1 / (base * gap * ratio))
    assert (stamped.native, stamped.count, stamped.ratio) == (plain.native, plain.count, plain.ratio)
    assert [stamped.first_at(place) for place in range(native + 1)] == [
        plain.first_at(place) for place in range(native + 1)
    ]
    start = data.draw(st.integers(0, native - 1))
    length = data.draw(st.integers(1, native - start))
    assert stamped.window(start=start, length=length) == plain.window(start=start, length=length)
    found, expected = (
        grid.coordinates(np.arange(grid.count), start=start, length=length, half_extent=1.0)
        for grid in (stamped, plain)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@given(stamped_grids())
def test_the_middle_of_a_frame_lies_in_the_native_frame_of_that_moment(grid):
    coordinates = grid.coordinates(np.arange(grid.count), start=0, length=grid.native, half_extent=1.0)
    starts = [tick * grid.stamps.time_base for tick in grid.stamps.ticks]
    for sample, x in enumerate(coordinates):
        moment = (sample + Fraction(1, 2)) * grid.period
        place = 0.5 * (x + 1.0) * grid.native
        shown = [starts[frame] <= moment <= starts[frame + 1] for frame in range(grid.native)]
        nearest = {min(math.floor(place + shift), grid.native - 1) for shift in (-1e-9, 1e-9)}
        assert any(shown[frame] for frame in nearest if frame >= 0) or moment > starts[-1]


@given(stamped_grids(), st.data())
def test_a_region_of_stamped_frames_has_its_time(grid, data):
    assert grid.window(start=0, length=grid.native) == Window(grid.count, 0, grid.count)
    start = data.draw(st.integers(0, grid.native - 1))
    length = data.draw(st.integers(1, grid.native - start))
    window = grid.window(start=start, length=length)
    begin, end = (grid.stamps.ticks[frame] * grid.stamps.time_base / grid.period for frame in (start, start + length))
    assert window.size == min(grid.count, max(1, math.floor(end - begin + Fraction(1, 2))))
    assume(window.stop < grid.count)
    assert abs(window.start - begin) <= Fraction(1, 2)


@pytest.mark.parametrize("count", [0, -3])
def test_an_axis_has_a_sample(count):
    with pytest.raises(OptionError, match="expected at least 1"):
        AxisGrid.of_count(native=10, count=count)


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, 0), (0, 4), (3, 1)])
def test_a_region_of_stamped_frames_lies_inside(start, length):
    grid = StampedGrid.of_rate(TimeStamps(Fraction(1, 10), (0, 1, 4, 5)), rate=Fraction(10))
    with pytest.raises(OptionError, match="inside 0 to 3"):
        grid.window(start=start, length=length)
