import numpy as np
import pytest

from i2codec.errors import FormatError, VersionError
from i2codec.payload.tensors import TENSOR, pack_tensors, rate_bits, unpack_tensors

SHAPES = {"first": (3, 2), "second": (4,), "third": (1, 2, 3)}


@pytest.fixture
def integers():
    generator = np.random.default_rng(0)
    return {name: generator.integers(-900, 900, shape) for name, shape in SHAPES.items()}


SETS = pytest.mark.parametrize("table_set", [1, 2])
STEPS = {"first": 0.5, "second": 2.0**-20, "third": 1000.0}


@SETS
def test_the_order_is_that_of_the_shapes(integers, table_set):
    data = pack_tensors(SHAPES, integers, STEPS, table_set=table_set)
    found, steps = unpack_tensors(data, SHAPES, table_set=table_set)
    assert steps == STEPS
    assert list(found) == list(SHAPES)
    for name, tensor in found.items():
        np.testing.assert_array_equal(tensor, integers[name])
    assert (
        pack_tensors(SHAPES, dict(reversed(integers.items())), dict(reversed(STEPS.items())), table_set=table_set)
        == data
    )


@SETS
def test_only_the_tensors_named_are_coded(integers, table_set):
    data = pack_tensors({"second": (4,)}, integers, STEPS, table_set=table_set)
    found, steps = unpack_tensors(data, {"second": (4,)}, table_set=table_set)
    assert (list(found), list(steps)) == (["second"], ["second"])
    assert pack_tensors({}, integers, STEPS, table_set=table_set) == b""
    assert unpack_tensors(b"", {}, table_set=table_set) == ({}, {})
    with pytest.raises(FormatError, match="left over"):
        unpack_tensors(bytes(12), {}, table_set=table_set)


@SETS
def test_the_rate_is_the_coded_size(table_set):
    generator = np.random.default_rng(1)
    integers = {name: generator.normal(0, 40, 4000).astype(np.int64) for name in SHAPES}
    coded = len(pack_tensors(dict.fromkeys(SHAPES, (4000,)), integers, STEPS, table_set=table_set)) - 3 * TENSOR.size
    assert rate_bits(integers, table_set=table_set) / 8 == pytest.approx(coded, rel=0.01)


def test_an_unknown_set_of_tables(integers):
    with pytest.raises(VersionError, match="entropy tables of set 3; this release carries sets 1 and 2: update"):
        unpack_tensors(pack_tensors(SHAPES, integers, STEPS, table_set=2), SHAPES, table_set=3)


def test_a_table_must_be_in_the_set_that_is_named():
    """Sparse integers are of the tables that set 1 does not have."""
    generator = np.random.default_rng(0)
    sparse = {"first": generator.geometric(0.1, (40, 50)) * (generator.random((40, 50)) < 0.2)}
    data = pack_tensors({"first": (40, 50)}, sparse, STEPS, table_set=2)
    assert 90 <= TENSOR.unpack(data, 0)["table"] < 234
    np.testing.assert_array_equal(unpack_tensors(data, {"first": (40, 50)}, table_set=2)[0]["first"], sparse["first"])
    with pytest.raises(FormatError, match=r"entropy table \d+ of tensor first; the set has 90"):
        unpack_tensors(data, {"first": (40, 50)}, table_set=1)
