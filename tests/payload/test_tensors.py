import numpy as np
import pytest

from i2codec.errors import FormatError, VersionError
from i2codec.payload.tensors import TABLE_SET, TENSOR, pack_tensors, rate_bits, unpack_tensors

SHAPES = {"first": (3, 2), "second": (4,), "third": (1, 2, 3)}


@pytest.fixture
def integers():
    generator = np.random.default_rng(0)
    return {name: generator.integers(-900, 900, shape) for name, shape in SHAPES.items()}


STEPS = {"first": 0.5, "second": 2.0**-20, "third": 1000.0}


def test_the_order_is_that_of_the_shapes(integers):
    data = pack_tensors(SHAPES, integers, STEPS)
    found, steps = unpack_tensors(data, SHAPES, table_set=TABLE_SET)
    assert steps == STEPS
    assert list(found) == list(SHAPES)
    for name, tensor in found.items():
        np.testing.assert_array_equal(tensor, integers[name])
    assert pack_tensors(SHAPES, dict(reversed(integers.items())), dict(reversed(STEPS.items()))) == data


def test_only_the_tensors_named_are_coded(integers):
    data = pack_tensors({"second": (4,)}, integers, STEPS)
    found, steps = unpack_tensors(data, {"second": (4,)}, table_set=TABLE_SET)
    assert (list(found), list(steps)) == (["second"], ["second"])
    assert pack_tensors({}, integers, STEPS) == b""
    assert unpack_tensors(b"", {}, table_set=TABLE_SET) == ({}, {})
    with pytest.raises(FormatError, match="left over"):
        unpack_tensors(bytes(12), {}, table_set=TABLE_SET)


def test_the_rate_is_the_coded_size():
    generator = np.random.default_rng(1)
    integers = {name: generator.normal(0, 40, 4000).astype(np.int64) for name in SHAPES}
    coded = len(pack_tensors(dict.fromkeys(SHAPES, (4000,)), integers, STEPS)) - 3 * TENSOR.size
    assert rate_bits(integers) / 8 == pytest.approx(coded, rel=0.01)


def test_an_unknown_set_of_tables(integers):
    with pytest.raises(VersionError, match="entropy tables of set 2"):
        unpack_tensors(pack_tensors(SHAPES, integers, STEPS), SHAPES, table_set=2)
