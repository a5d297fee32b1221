import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.entropy.quantiser import dequantise, quantise, storable_step

STEPS = st.floats(1e-4, 100.0).map(storable_step)


@given(st.floats(0.0, 1e9))
def test_a_step_is_a_normal_half_float(step):
    stored = storable_step(step)
    assert float(np.float16(stored)) == stored
    assert 2.0**-14 <= stored <= 65504.0
    if 2.0**-14 <= step <= 65504.0:
        assert stored == pytest.approx(step, rel=2.0**-11)


@given(st.lists(st.floats(-100.0, 100.0, width=32), min_size=1, max_size=20), STEPS)
def test_values_come_back_within_half_a_step(values, step):
    array = np.array(values, dtype=np.float32)
    integers = quantise(array, step=step)
    assert integers.dtype == np.int64
    back = dequantise(integers, step=step)
    assert back.dtype == np.float32
    assert (np.abs(back - array) <= 0.5 * step * (1 + 1e-6) + 1e-5).all()


@given(st.lists(st.integers(-(2**22), 2**22), min_size=1, max_size=20), STEPS)
def test_integers_that_float32_resolves_survive_a_round_trip(integers, step):
    array = np.array(integers, dtype=np.int64)
    np.testing.assert_array_equal(quantise(dequantise(array, step=step), step=step), array)


def test_ties_go_to_even_and_the_shape_is_kept():
    values = np.array([[0.25, 0.75], [-0.25, 1.25]], dtype=np.float32)
    np.testing.assert_array_equal(quantise(values, step=0.5), [[0, 2], [0, 2]])


def test_the_largest_integer_and_step_are_finite():
    assert dequantise(np.array([2**24 - 1]), step=65504.0)[0] == np.float32((2**24 - 1) * 65504.0)
