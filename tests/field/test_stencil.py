import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.field.stencil import Stencil, apply_stencil, sup_norm

CASES = {
    "data": st.data(),
    "axis_count": st.integers(1, 3),
    "stencil": st.sampled_from(list(Stencil)),
    "width": st.integers(1, 4),
    "seed": st.integers(0, 2**32 - 1),
}


def random_case(data, axis_count, stencil, width, seed, *, dtype=np.float32):
    """Taps, and two states on a grid of 1 to 4 samples a side."""
    generator = np.random.default_rng(seed)
    extents = [data.draw(st.integers(1, 4)) for _ in range(axis_count)]
    offsets = stencil.offsets(axis_count)
    taps = generator.normal(size=(width, width, len(offsets))).astype(np.float32)
    first, second = generator.normal(size=(2, width, *extents)).astype(dtype)
    return taps, first, second, offsets


def applied_by_hand(taps, z, offsets):
    """A ⋆ z node by node in float64."""
    result = np.zeros((taps.shape[0], *z.shape[1:]))
    for place in itertools.product(*map(range, z.shape[1:])):
        for tap, offset in enumerate(offsets):
            neighbour = tuple(
                min(max(at + step, 0), extent - 1) for at, step, extent in zip(place, offset, z.shape[1:], strict=True)
            )
            result[(slice(None), *place)] += taps[:, :, tap].astype(np.float64) @ z[(slice(None), *neighbour)]
    return result


def test_ids_of_the_format_do_not_change():
    assert [(member.name, member.value) for member in Stencil] == [("POINTWISE", 1), ("CROSS", 2), ("FULL", 3)]


def test_offsets_in_the_order_of_the_file():
    for axis_count in (1, 2, 3):
        assert Stencil.POINTWISE.offsets(axis_count) == ((0,) * axis_count,)
        assert Stencil.FULL.offsets(axis_count) == tuple(itertools.product((-1, 0, 1), repeat=axis_count))
    assert Stencil.CROSS.offsets(1) == Stencil.FULL.offsets(1) == ((-1,), (0,), (1,))
    assert Stencil.CROSS.offsets(2) == ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))
    assert Stencil.CROSS.offsets(3) == (
        *((-1, 0, 0), (0, -1, 0), (0, 0, -1)),
        (0, 0, 0),
        *((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    )


@pytest.mark.parametrize("axis_count", [1, 2, 3])
@pytest.mark.parametrize("stencil", Stencil)
def test_the_radius_is_that_of_the_offsets(stencil, axis_count):
    assert stencil.radius == max(abs(step) for offset in stencil.offsets(axis_count) for step in offset)


@given(**CASES)
def test_it_is_the_sum_over_neighbours(data, axis_count, stencil, width, seed):
    taps, z, _, offsets = random_case(data, axis_count, stencil, width, seed)
    found = apply_stencil(taps, z, offsets)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, applied_by_hand(taps, z, offsets), atol=1e-5)  # 3e-6 seen


def test_each_tap_reads_its_own_side():
    z = np.array([[1.0, 10.0, 100.0]], dtype=np.float32)
    for tap, expected in enumerate(([1.0, 1.0, 10.0], [1.0, 10.0, 100.0], [10.0, 100.0, 100.0])):
        taps = np.zeros((1, 1, 3), dtype=np.float32)
        taps[0, 0, tap] = 1.0
        np.testing.assert_array_equal(apply_stencil(taps, z, ((-1,), (0,), (1,)))[0], expected)


def test_the_norm_is_the_largest_sum_of_a_row():
    taps = np.array([[[1.0, -2.0], [0.5, 0.0]], [[-3.0, 0.0], [0.25, 0.0]]], dtype=np.float32)
    assert sup_norm(taps) == 3.5
    assert sup_norm(-taps) == 3.5
    assert sup_norm(taps[:1, :1]) == 3.0
    assert sup_norm(0.0 * taps) == 0.0


@given(**CASES)
def test_differences_grow_by_at_most_the_norm(data, axis_count, stencil, width, seed):
    taps, first, second, offsets = random_case(data, axis_count, stencil, width, seed)
    norm = sup_norm(taps)
    before = np.abs(first.astype(np.float64) - second).max()
    after = np.abs(applied_by_hand(taps, first, offsets) - applied_by_hand(taps, second, offsets)).max()
    assert after <= norm * before * (1.0 + 1e-12)
    rounded = np.abs(apply_stencil(taps, first, offsets) - apply_stencil(taps, second, offsets)).max()
    assert rounded <= norm * (before + 1e-5)


@given(**CASES)
def test_the_norm_is_attained(data, axis_count, stencil, width, seed):
    taps, _, _, offsets = random_case(data, axis_count, stencil, width, seed)
    row = int(np.abs(taps).sum(axis=(1, 2)).argmax())
    z = np.zeros((width, *[3] * axis_count), dtype=np.float32)
    for tap, offset in enumerate(offsets):  # around the middle, the signs of the largest row
        z[(slice(None), *(1 + step for step in offset))] = np.sign(taps[row, :, tap])
    middle = apply_stencil(taps, z, offsets)[(row, *[1] * axis_count)]
    assert middle == pytest.approx(sup_norm(taps), rel=1e-5)


def test_the_norm_is_summed_in_float64():
    taps = np.full((1, 1, 27), 2.0**-24, dtype=np.float32)
    taps[0, 0, 0] = 1.0
    assert sup_norm(taps) == 1.0 + 26 * 2.0**-24  # in float32 these sums stay at 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_have_no_bound(value):
    taps = np.ones((2, 2, 3), dtype=np.float32)
    for place in np.ndindex(taps.shape):
        broken = taps.copy()
        broken[place] = value
        assert sup_norm(broken) == math.inf
