import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.field.interpolation import (
    Kernel,
    interpolation_matrix,
    interpolation_taps,
    kernel_reach,
    keys_cubic,
    lanczos,
    level_extents,
)

COUNTS = st.integers(1, 12)
LEVELS = st.integers(0, 4)
NODES = st.floats(-5.0, 17.0)
"""Places in nodes, inside and outside of up to 12 of them."""


def at_node(nodes, level):
    """Native positions of places that are given in nodes."""
    return (np.asarray(nodes, dtype=np.float64) + 0.5) * 2.0**level


def read(positions, values, *, level=0):
    return interpolation_matrix(positions, node_count=len(values), level=level) @ np.asarray(values, np.float64)


def test_ids_of_the_format_do_not_change():
    assert [(member.name, member.value) for member in Kernel] == [("LANCZOS_CUBIC", 1)]
    assert [kernel_reach(level) for level in range(4)] == [3, 2, 2, 2]


def test_a_level_covers_the_native_samples():
    assert level_extents((1, 8, 9), 0) == (1, 8, 9)
    assert level_extents((1, 8, 9), 1) == (1, 4, 5)
    assert level_extents((1, 8, 9), 3) == (1, 1, 2)
    assert level_extents((1, 8, 9), 10) == (1, 1, 1)


def test_the_kernel_by_hand():
    t = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 100.0])
    expected = [1.0, 9.0 / 16.0, 0.0, -1.0 / 16.0, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(keys_cubic(t), expected)
    np.testing.assert_array_equal(keys_cubic(-t), expected)


@given(st.floats(0.0, 3.0))
def test_the_kernel_is_that_of_the_format_page(t):
    near, far = 1 - 5 / 2 * t**2 + 3 / 2 * t**3, 2 - 4 * t + 5 / 2 * t**2 - 1 / 2 * t**3
    expected = near if t <= 1 else far if t <= 2 else 0.0
    assert float(keys_cubic(np.array(t))) == pytest.approx(expected, abs=1e-12)


def test_the_kernel_of_the_finest_level_by_hand():
    """The places half-way are sinc(t) sinc(t / 3) over their sum."""
    t = np.array([[2.5, 1.5, 0.5, -0.5, -1.5, -2.5], [2.0, 1.0, 0.0, -1.0, -2.0, -3.0]])
    half = np.array([12 / (25 * np.pi**2) * 0.5, -4 / (3 * np.pi**2), 12 / np.pi**2 * 0.5])
    row = np.concatenate([half, half[::-1]])
    np.testing.assert_allclose(lanczos(t)[0], row / row.sum(), atol=1e-12)
    np.testing.assert_array_equal(lanczos(t)[1], [0, 0, 1, 0, 0, 0])


def test_the_finest_level_is_sharper_than_a_cubic_kernel_between_samples():
    """Sines of up to 3/8 cycles a sample, read half-way."""
    places = np.arange(40.0, 60.0) + 0.5
    for frequency in (0.25, 0.3, 0.375):
        values, wanted = (np.sin(2.0 * np.pi * frequency * x) for x in (np.arange(100.0), places))
        errors = [np.abs(read(at_node(places, level), values, level=level) - wanted).max() for level in (0, 1)]
        assert errors[0] < 0.75 * errors[1]


def test_the_kernel_and_its_slope_are_continuous():
    t = np.linspace(-3.0, 3.0, 60001)
    slope = np.diff(keys_cubic(t)) / np.diff(t)
    assert np.abs(slope).max() < 1.4  # 25/18
    assert np.abs(np.diff(slope)).max() < 6e-4  # second derivatives are below 6: a corner would be a jump


@given(st.lists(NODES, min_size=1, max_size=9), COUNTS, LEVELS)
def test_weights_sum_to_one(nodes, count, level):
    matrix = interpolation_matrix(at_node(nodes, level), node_count=count, level=level)
    assert matrix.shape == (len(nodes), count)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)


@given(COUNTS, LEVELS)
def test_nodes_keep_their_values(count, level):
    matrix = interpolation_matrix(at_node(np.arange(count), level), node_count=count, level=level)
    np.testing.assert_array_equal(matrix, np.eye(count))


def test_where_the_nodes_of_a_level_lie():
    np.testing.assert_array_equal(read([0.5, 1.5, 2.5], [3.0, 5.0, -7.0]), [3.0, 5.0, -7.0])
    np.testing.assert_array_equal(read([2.0, 6.0, 10.0], [3.0, 5.0, -7.0], level=2), [3.0, 5.0, -7.0])


@given(st.lists(st.floats(1.0, 6.0), min_size=1, max_size=9), st.integers(1, 4))
def test_quadratics_are_reproduced_but_on_the_finest_level(nodes, level):
    nodes = np.array(nodes)
    basis = np.arange(8.0)
    for power in (0, 1, 2):
        found = read(at_node(nodes, level), (basis - 3.0) ** power, level=level)
        np.testing.assert_allclose(found, (nodes - 3.0) ** power, atol=1e-5)


@given(NODES, COUNTS, st.integers(0, 2**32 - 1))
def test_what_is_read_is_continuous(node, count, seed):
    values = np.random.default_rng(seed).uniform(-1.0, 1.0, count)
    for place in (node, round(node)):  # node boundaries, too
        before, after = read(at_node([place - 1e-6, place + 1e-6], 0), values)
        assert abs(after - before) < 3e-5


@given(st.lists(NODES, min_size=1, max_size=9), COUNTS, LEVELS)
def test_edges_repeat(nodes, count, level):
    values = np.random.default_rng(count).uniform(-1.0, 1.0, count)
    wide = np.pad(values, 9, mode="edge")
    found = read(at_node(nodes, level), values, level=level)
    expected = interpolation_matrix(at_node(nodes, level), node_count=count + 18, level=level, first_node=-9) @ wide
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_far_outside_there_is_the_edge():
    np.testing.assert_allclose(read([-9.0, -2.5, 5.5, 30.0], [3.0, 5.0, -7.0]), [3.0, 3.0, -7.0, -7.0], rtol=1e-6)
    np.testing.assert_array_equal(read([-9.0, -2.0, 8.0], [3.0, 5.0, -7.0], level=1), [3.0, 3.0, -7.0])


@given(st.lists(st.floats(0.0, 11.0), min_size=1, max_size=9), LEVELS)
def test_a_slice_of_the_nodes_gives_the_same(nodes, level):
    positions = at_node(nodes, level)
    low = max(0, int(np.floor(min(nodes))) - kernel_reach(level) + 1)
    high = min(12, int(np.floor(max(nodes))) + kernel_reach(level) + 1)
    whole = interpolation_matrix(positions, node_count=12, level=level)
    part = interpolation_matrix(positions, node_count=high - low, level=level, first_node=low)
    np.testing.assert_array_equal(part, whole[:, low:high])
    assert not np.delete(whole, np.arange(low, high), axis=1).any()


@given(st.lists(NODES, min_size=1, max_size=9), COUNTS, LEVELS, st.integers(-4, 4))
def test_taps_are_the_rows_of_the_matrix(nodes, count, level, first):
    options = {"node_count": count, "level": level, "first_node": first}
    places, weights = interpolation_taps(at_node(nodes, level), **options)
    assert places.shape == weights.shape == (len(nodes), 6 if level == 0 else 4)
    values = np.random.default_rng(count).uniform(-1.0, 1.0, count)
    expected = interpolation_matrix(at_node(nodes, level), **options) @ values
    np.testing.assert_allclose((weights * values[places]).sum(axis=1), expected, atol=1e-6)
