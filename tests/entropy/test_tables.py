import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.entropy.tables import LARGEST_MAGNITUDE, LENGTH_BITS, TOTAL_BITS, Table, cheapest_table, load_tables
from i2codec.errors import VersionError

SETS = {number: load_tables(number) for number in (1, 2)}
SHA_256 = {
    1: "d808fa8bab57ffd29a28da226b39538522b00796c039fa41d62c8fc7bd44da70",
    2: "c6637e099f9ce2b06749ded75ff02e6d9e8b7528cf5721fc8617dd4831e9b0d7",
}
INTEGERS = st.lists(
    st.one_of(st.integers(-3, 3), st.integers(-2000, 2000), st.integers(-LARGEST_MAGNITUDE, LARGEST_MAGNITUDE)),
    max_size=30,
).map(lambda values: np.array(values, dtype=np.int64))


def rate_bits(table, integers):
    magnitudes, counts = np.unique(np.abs(integers), return_counts=True)
    return table.rate_bits(magnitudes, counts)


def sparse_integers(zero, mean, *, count, seed=0):
    """0 with probability ``zero``, else of random sign and geometric magnitude."""
    generator = np.random.default_rng(seed)
    magnitudes = generator.geometric(1.0 / mean, count) * (generator.random(count) >= zero)
    return magnitudes * generator.choice([-1, 1], count)


@pytest.mark.parametrize("number", SETS)
def test_released_tables_never_change(number):
    stored = resources.files("i2codec.entropy").joinpath("tables", f"set_{number}.npz").read_bytes()
    assert hashlib.sha256(stored).hexdigest() == SHA_256[number]
    page = Path(__file__).parents[2] / "docs" / "format.md"
    assert f"`{SHA_256[number]}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("number", "count"), [(1, 90), (2, 234)])
def test_the_size_of_a_set(number, count):
    assert len(SETS[number]) == count
    assert {table.radius for table in SETS[number]} >= {1, 2, 1023}
    assert max(table.radius for table in SETS[number]) == 1023


def test_set_2_begins_with_the_tables_of_set_1():
    for first, second in zip(SETS[1], SETS[2][:90], strict=True):
        assert first.radius == second.radius
        np.testing.assert_array_equal(first.frequencies, second.frequencies)


def test_each_table_that_set_2_adds_is_another():
    old, new = ({table.frequencies.tobytes() for table in tables} for tables in (SETS[1], SETS[2][90:]))
    assert len(new - old) == 144


@pytest.mark.parametrize(
    ("number", "index"), [(number, index) for number in SETS for index in range(len(SETS[number]))]
)
def test_frequencies_are_whole_symmetric_and_complete(number, index):
    table = SETS[number][index]
    assert len(table.frequencies) == 2 * table.radius + 2
    assert table.frequencies.sum() == 2**TOTAL_BITS
    assert table.frequencies.min() >= 1
    inner = table.frequencies[:-1]
    np.testing.assert_array_equal(inner, inner[::-1])


@pytest.mark.parametrize("number", [0, 3, 255])
def test_other_sets_are_unknown(number):
    with pytest.raises(VersionError, match=f"set {number}; this release carries sets 1 and 2: update i2codec"):
        load_tables(number)


def test_the_rate_of_a_table_by_hand():
    table = Table(1, np.array([2**14, 2**14, 2**14, 2**14]))  # −1, 0, 1, escape: two bits each
    assert rate_bits(table, np.array([0, 1, -1])) == 6.0
    assert rate_bits(table, np.array([2])) == 2.0 + 1 + LENGTH_BITS  # an excess of 1 has no further bits
    assert rate_bits(table, np.array([-3])) == 2.0 + 1 + LENGTH_BITS + 1
    assert rate_bits(table, np.array([9, -9])) == 2 * (2.0 + 1 + LENGTH_BITS + 3)


@pytest.mark.parametrize("number", SETS)
@given(INTEGERS)
def test_the_cheapest_table_is_the_one_with_the_least_rate(number, integers):
    best, bits = cheapest_table(integers, SETS[number])
    rates = [rate_bits(table, integers) for table in SETS[number]]
    assert bits == pytest.approx(rates[best], rel=1e-12)
    assert rates[best] <= min(rates) * (1 + 1e-12)


@pytest.mark.parametrize("number", SETS)
@pytest.mark.parametrize(("scale", "most_bits"), [(0.0, 0.01), (1.0, 2.2), (20.0, 6.5), (300.0, 10.4)])
def test_there_is_a_good_table_for_every_scale(number, scale, most_bits):
    integers = np.rint(np.random.default_rng(0).normal(size=4000) * scale).astype(np.int64)
    assert cheapest_table(integers, SETS[number])[1] / 4000 < most_bits


@pytest.mark.parametrize("zero", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("mean", [5.0, 10.0, 40.0])
def test_sparse_integers_with_a_heavy_tail_cost_less_under_set_2(zero, mean):
    integers = sparse_integers(zero, mean, count=4000)
    assert cheapest_table(integers, SETS[2])[1] < 0.85 * cheapest_table(integers, SETS[1])[1]


@pytest.mark.parametrize("zero", [0.03, 0.15, 0.45, 0.65, 0.74, 0.82, 0.89, 0.96])
@pytest.mark.parametrize("mean", [1.2, 3.0, 10.0, 50.0])
def test_set_2_has_a_good_table_for_every_share_of_zeros(zero, mean):
    """Within 2 % of the code lengths that the distribution itself would have."""
    integers = sparse_integers(zero, mean, count=4000)
    others = np.abs(integers[integers != 0])
    lengths = 1.0 - np.log2(1.0 - zero) - np.log2(1.0 / mean) - (others - 1) * np.log2(1.0 - 1.0 / mean)
    wanted = -np.log2(zero) * (len(integers) - len(others)) + lengths.sum()
    assert cheapest_table(integers, SETS[2])[1] < 1.02 * wanted


@given(INTEGERS)
def test_nothing_costs_more_under_set_2(integers):
    assert cheapest_table(integers, SETS[2])[1] <= cheapest_table(integers, SETS[1])[1]
