from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.signal.segments import Segments


@given(st.integers(1, 10_000), st.data())
def test_segments_cover_the_axis_and_none_is_small(extent, data):
    length = data.draw(st.integers(1, extent))
    segments = Segments(extent=extent, length=length)
    bounds = [segments.bounds(unit) for unit in range(segments.count)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == extent
    assert all(stop == start for (_, stop), (start, _) in pairwise(bounds))
    assert all(stop - start == length for start, stop in bounds[:-1])
    last = bounds[-1][1] - bounds[-1][0]
    assert last <= 1.5 * length
    assert last > 0.5 * length
    sample = data.draw(st.integers(0, extent - 1))
    start, stop = segments.bounds(segments.unit_of(sample))
    assert start <= sample < stop


def test_samples_outside_belong_to_the_nearest_segment():
    segments = Segments(extent=10, length=4)
    assert (segments.unit_of(-3), segments.unit_of(99)) == (0, 1)


@pytest.mark.parametrize("length", [0, -1, 11])
def test_a_segment_is_a_part_of_the_axis(length):
    with pytest.raises(OptionError, match="expected 1 to 10"):
        Segments(extent=10, length=length)


@pytest.mark.parametrize("unit", [-1, 2])
def test_a_segment_that_is_not_there_is_refused(unit):
    with pytest.raises(OptionError, match="expected 0 to 1"):
        Segments(extent=10, length=4).bounds(unit)
