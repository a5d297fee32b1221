import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.field.interpolation import interpolation_matrix
from i2codec.render.axis_grid import AxisGrid, StampedGrid
from i2codec.render.positions import AxisPositions, Taps
from i2codec.render.window import Window
from i2codec.signal.timestamps import TimeStamps

COUNTS = st.integers(1, 60)
PLACES = st.fractions(-3, 23, max_denominator=30)


def whole(grid):
    return Window(grid.count, 0, grid.count)


def of_count(native, count):
    grid = AxisGrid.of_count(native=native, count=count)
    return AxisPositions.of_grid(grid, whole(grid))


def of_ratio(native, ratio):
    grid = AxisGrid.of_ratio(native=native, ratio=Fraction(ratio), centred=True)
    return AxisPositions.of_grid(grid, whole(grid))


def stamped(*ticks, rate=7):
    return StampedGrid.of_rate(TimeStamps(Fraction(1, 10), ticks), rate=Fraction(rate))


@given(COUNTS, COUNTS, st.data())
def test_a_window_has_the_positions_of_its_grid(native, count, data):
    grid = AxisGrid.of_count(native=native, count=count)
    start = data.draw(st.integers(0, count - 1))
    window = Window(count, start, data.draw(st.integers(start + 1, count)))
    found = AxisPositions.of_grid(grid, window)
    assert found.positions == tuple(grid.first + index * grid.ratio for index in range(window.start, window.stop))
    assert found.extent == native
    assert found.fineness == of_count(native, count).fineness  # a region is rendered as the whole


def test_frames_with_time_stamps_have_the_positions_of_their_grid():
    grid = stamped(0, 1, 4, 5, 11)
    found = AxisPositions.of_grid(grid, Window(grid.count, 2, 6))
    assert found.positions == tuple(grid.positions([2, 3, 4, 5]))
    assert found.extent == 4


@given(st.lists(PLACES, min_size=1, max_size=40).map(sorted), st.integers(1, 20))
def test_every_sample_lies_on_one_shifted_native_grid(positions, extent):
    last = extent - Fraction(1, 2**20)
    inside = [min(max(position, Fraction(0)), last) for position in positions]
    found, seen = AxisPositions(tuple(positions), extent).shifted(), {}
    for part in found:
        assert 0 <= part.shift < 1
        for native, output in zip(part.natives.tolist(), part.outputs.tolist(), strict=True):
            assert 0 <= native < extent
            assert output not in seen
            seen[output] = native + part.shift
    assert [seen[output] for output in range(len(positions))] == inside
    assert len({part.shift for part in found}) == len(found) == len({place % 1 for place in inside})


def test_shifts_of_some_sizes():
    for count, shifts in ((6, [(1, 2)]), (12, [(1, 4), (3, 4)]), (18, [(1, 6), (1, 2), (5, 6)])):
        found = of_count(6, count).shifted()
        assert [part.shift for part in found] == [Fraction(*shift) for shift in shifts]
        for number, part in enumerate(found):
            np.testing.assert_array_equal(part.natives, np.arange(6))
            np.testing.assert_array_equal(part.outputs, np.arange(number, count, count // 6))
    two_thirds = of_count(6, 9).shifted()
    assert [part.shift for part in two_thirds] == [Fraction(1, 3), Fraction(0), Fraction(2, 3)]
    assert [part.natives.tolist() for part in two_thirds] == [[0, 2, 4], [1, 3, 5], [1, 3, 5]]


@pytest.mark.parametrize(
    ("positions", "fineness"),
    [
        (of_count(768, 768), None),
        (of_count(768, 1536), None),
        (of_count(768, 768 * 7), None),
        (of_count(768, 1152), None),  # 3 shifts, 2 samples solved for each one
        (of_count(768, 1920), None),  # 2/5: 5 shifts
        (of_count(768, 1024), 2),  # 3/4: 3 samples for each one
        (of_count(768, 1000), 2),
        (of_count(768, 1537), 3),
        (of_count(7, 10), 2),
        (of_count(1, 10), None),
        (of_ratio(100, 4), None),  # every fourth frame, between two: one shift
        (of_ratio(100, Fraction(3, 2)), 1),
        (of_ratio(100, Fraction(96, 125)), 2),
    ],
)
def test_where_there_are_too_many_shifts_a_regular_grid_is_solved(positions, fineness):
    assert positions.fineness == fineness


def test_frames_with_time_stamps_have_too_many_shifts():
    ticks = tuple(np.cumsum([0, *[1, 2, 3] * 9]).tolist())
    grid = stamped(*ticks, rate=Fraction(70, 9))
    assert AxisPositions.of_grid(grid, Window(grid.count, 3, 4)).fineness == math.ceil(1 / grid.ratio) == 2
    slow = stamped(*ticks, rate=Fraction(7, 9))
    assert AxisPositions.of_grid(slow, whole(slow)).fineness == 1


def test_positions_solved_as_they_are():
    positions = of_count(6, 9)
    assert positions.solved() == (positions, None)


@given(st.lists(PLACES, min_size=1, max_size=40).map(sorted), st.integers(1, 20), st.integers(1, 4))
def test_a_regular_grid_around_the_positions(positions, extent, fineness):
    wanted = AxisPositions(tuple(positions), extent, fineness)
    nodes, taps = wanted.solved()
    assert (nodes.extent, nodes.fineness) == (extent, None)
    assert 0 < nodes.positions[0] <= nodes.positions[-1] < extent
    steps = np.diff([*nodes.positions])
    assert all(step == Fraction(1, fineness) for step in steps)
    assert nodes.positions[0] % Fraction(1, fineness) == Fraction(1, 2 * fineness)
    assert len(nodes.shifted()) <= fineness
    # the same as from all nodes of the axis
    last = extent - 2.0**-20
    places = np.array([fineness * min(max(float(position), 0.0), last) for position in positions])
    matrix = interpolation_matrix(2.0 * places, node_count=extent * fineness, level=1)
    first = int(nodes.positions[0] * fineness)
    values = np.random.default_rng(extent).uniform(-1.0, 1.0, (extent * fineness, 2)).astype(np.float32)
    found = taps.interpolate(values[first : first + len(nodes.positions)], 0)
    np.testing.assert_allclose(found, matrix @ values, atol=1e-6)
    # and no more of them than reach there
    low, high = (min(max(positions[end], Fraction(0)), Fraction(extent)) for end in (0, -1))
    reach = Fraction(5, 2 * fineness)
    assert low - reach <= nodes.positions[0]
    assert nodes.positions[-1] <= high + reach


def test_samples_are_interpolated_along_their_axis():
    positions = AxisPositions((Fraction(5, 2), Fraction(31, 10), Fraction(4)), 9, 2)
    nodes, taps = positions.solved()
    axis = np.array([float(position) for position in nodes.positions])
    other = np.arange(3.0)
    samples = ((axis**2)[None, :, None] + other[:, None, None] * [1.0, -1.0]).astype(np.float32)
    found = taps.interpolate(samples, 1)
    assert found.shape == (3, 3, 2)
    assert found.dtype == np.float32
    expected = np.array([2.5, 3.1, 4.0])[None, :, None] ** 2 + other[:, None, None] * [1.0, -1.0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_what_is_interpolated_does_not_depend_on_what_else_is(count, seed):
    generator = np.random.default_rng(seed)
    taps = Taps(generator.integers(0, 20, (count, 4)), generator.normal(size=(count, 4)))
    samples = generator.normal(size=(20, 7, 3)).astype(np.float32)
    together = taps.interpolate(samples, 0)
    for row in range(count):
        alone = Taps(taps.nodes[row : row + 1], taps.weights[row : row + 1]).interpolate(samples[:, 2:4], 0)
        assert alone.tobytes() == np.ascontiguousarray(together[row, 2:4]).tobytes()
