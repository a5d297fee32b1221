import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.entropy.tables import LARGEST_MAGNITUDE, LENGTH_BITS, TOTAL_BITS, Table, cheapest_table, load_tables
from i2codec.errors import VersionError

TABLES = load_tables(1)
SHA_256 = "d808fa8bab57ffd29a28da226b39538522b00796c039fa41d62c8fc7bd44da70"
INTEGERS = st.lists(
    st.one_of(st.integers(-3, 3), st.integers(-2000, 2000), st.integers(-LARGEST_MAGNITUDE, LARGEST_MAGNITUDE)),
    max_size=30,
).map(lambda values: np.array(values, dtype=np.int64))


def rate_bits(table, integers):
    magnitudes, counts = np.unique(np.abs(integers), return_counts=True)
    return table.rate_bits(magnitudes, counts)


def test_released_tables_never_change():
    stored = resources.files("i2codec.entropy").joinpath("tables", "set_1.npz").read_bytes()
    assert hashlib.sha256(stored).hexdigest() == SHA_256
    page = Path(__file__).parents[2] / "docs" / "format.md"
    assert f"`{SHA_256}`" in page.read_text(encoding="utf-8")


def test_set_1_has_ninety_tables():
    assert len(TABLES) == 90
    assert {table.radius for table in TABLES} >= {1, 2, 1023}
    assert max(table.radius for table in TABLES) == 1023


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_frequencies_are_whole_symmetric_and_complete(number):
    table = TABLES[number]
    assert len(table.frequencies) == 2 * table.radius + 2
    assert table.frequencies.sum() == 2**TOTAL_BITS
    assert table.frequencies.min() >= 1
    inner = table.frequencies[:-1]
    np.testing.assert_array_equal(inner, inner[::-1])


@pytest.mark.parametrize("number", [0, 2, 255])
def test_other_sets_are_unknown(number):
    with pytest.raises(VersionError, match=f"set {number}"):
        load_tables(number)


def test_the_rate_of_a_table_by_hand():
    table = Table(1, np.array([2**14, 2**14, 2**14, 2**14]))  # −1, 0, 1, escape: two bits each
    assert rate_bits(table, np.array([0, 1, -1])) == 6.0
    assert rate_bits(table, np.array([2])) == 2.0 + 1 + LENGTH_BITS  # an excess of 1 has no further bits
    assert rate_bits(table, np.array([-3])) == 2.0 + 1 + LENGTH_BITS + 1
    assert rate_bits(table, np.array([9, -9])) == 2 * (2.0 + 1 + LENGTH_BITS + 3)


@given(INTEGERS)
def test_the_cheapest_table_is_the_one_with_the_least_rate(integers):
    number, bits = cheapest_table(integers, TABLES)
    rates = [rate_bits(table, integers) for table in TABLES]
    assert bits == pytest.approx(rates[number], rel=1e-12)
    assert rates[number] <= min(rates) * (1 + 1e-12)


@pytest.mark.parametrize(("scale", "most_bits"), [(0.0, 0.01), (1.0, 2.2), (20.0, 6.5), (300.0, 10.4)])
def test_there_is_a_good_table_for_every_scale(scale, most_bits):
    integers = np.rint(np.random.default_rng(0).normal(size=4000) * scale).astype(np.int64)
    assert cheapest_table(integers, TABLES)[1] / 4000 < most_bits
