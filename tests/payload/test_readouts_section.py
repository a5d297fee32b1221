import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from i2codec.errors import FormatError
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.payload.readouts_section import Readout, pack_readouts, unpack_readouts

ARCHITECTURE = GridArchitecture(4, 2, 2, width=3)
RECORD_BYTES = 1 + 2 * (2 * 3 + 2)
HALVES = st.floats(width=16, allow_nan=False, allow_infinity=False)
READOUTS = st.builds(
    Readout.rounded, arrays(np.float32, (2, 3), elements=HALVES), arrays(np.float32, 2, elements=HALVES)
)


@given(st.dictionaries(st.integers(1, 3), READOUTS, min_size=1))
def test_round_trip(readouts):
    payload = pack_readouts(readouts)
    found = unpack_readouts(payload, ARCHITECTURE)
    assert len(payload) == len(readouts) * RECORD_BYTES
    assert list(found) == sorted(readouts)
    for whole_levels, readout in readouts.items():
        np.testing.assert_array_equal(found[whole_levels].weights, readout.weights)
        np.testing.assert_array_equal(found[whole_levels].biases, readout.biases)
    assert pack_readouts(found) == payload


def test_what_a_half_float_cannot_hold_becomes_its_largest():
    readout = Readout.rounded(np.full((2, 3), 1e6), np.array([-1e6, 0.5]))
    (found,) = unpack_readouts(pack_readouts({1: readout}), ARCHITECTURE).values()
    np.testing.assert_array_equal(found.weights, 65504.0)
    np.testing.assert_array_equal(found.biases, [-65504.0, 0.5])


def record(whole_levels, *numbers):
    numbers = numbers or range(8)
    return bytes([whole_levels]) + np.array(numbers, dtype="<f2").tobytes()


def test_golden_layout():
    (readout,) = unpack_readouts(record(2), ARCHITECTURE).values()
    np.testing.assert_array_equal(readout.weights, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(readout.biases, [6, 7])
    assert pack_readouts({2: readout}) == record(2)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "0 bytes; expected a multiple of 17, and at least one"),
        (record(1)[:-1], "16 bytes; expected a multiple of 17"),
        (record(1) + b"m", "18 bytes; expected a multiple of 17"),
        (record(0), "a readout for 0 of 4 levels; expected rising ones"),
        (record(4), "a readout for 4 of 4 levels"),
        (record(2) + record(2), "a readout for 2 of 4 levels"),
        (record(2) + record(1), "a readout for 1 of 4 levels"),
        (record(2) + record(3, 0, 0, 0, np.inf, 0, 0, 0, 0), "for 3 levels has a number that is not finite"),
        (record(2, 0, 0, 0, 0, 0, 0, 0, np.nan), "for 2 levels has a number that is not finite"),
    ],
)
def test_damage_is_found(payload, message):
    with pytest.raises(FormatError, match=message):
        unpack_readouts(payload, ARCHITECTURE)
