import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.layout import Field, Layout
from i2codec.errors import OptionError, TruncatedError

INTEGERS = {"b": (-128, 127), "B": (0, 255), "h": (-(2**15), 2**15 - 1), "H": (0, 2**16 - 1)}
INTEGERS |= {"i": (-(2**31), 2**31 - 1), "I": (0, 2**32 - 1), "q": (-(2**63), 2**63 - 1), "Q": (0, 2**64 - 1)}
FLOATS = {"e": 16, "f": 32, "d": 64}
EVERY = Layout("EVERY", tuple(Field(f"field_{code}", code) for code in (*INTEGERS, *FLOATS, "3s")))
PAIR = Layout("PAIR", (Field("left", "B"), Field("right", "H")))

values_of_every = st.fixed_dictionaries(
    {f"field_{code}": st.integers(low, high) for code, (low, high) in INTEGERS.items()}
    | {f"field_{code}": st.floats(width=width, allow_nan=False) for code, width in FLOATS.items()}  # type: ignore[arg-type]
    | {"field_3s": st.binary(min_size=3, max_size=3)}
)


@given(values_of_every, st.integers(0, 9))
def test_a_record_comes_back_at_any_offset(values, offset):
    packed = EVERY.pack(**values)
    assert len(packed) == EVERY.size == 1 + 1 + 2 + 2 + 4 + 4 + 8 + 8 + 2 + 4 + 8 + 3
    assert EVERY.unpack(bytes(offset) + packed, offset) == values


def test_records_are_little_endian_without_padding():
    assert PAIR.pack(left=1, right=0x0203) == b"\x01\x03\x02"


@pytest.mark.parametrize("code", INTEGERS)
def test_integers_out_of_range_are_refused_by_field_name(code):
    low, high = INTEGERS[code]
    layout = Layout("ONE", (Field("count", code),))
    for value in (low, high):
        assert layout.unpack(layout.pack(count=value)) == {"count": value}
    for value in (low - 1, high + 1, 10**30, 0.5, b"\0"):
        with pytest.raises(OptionError, match="ONE: field 'count'"):
            layout.pack(count=value)


@pytest.mark.parametrize(("code", "value"), [("e", 1e5), ("f", 1e39), ("d", 10**400), ("d", b"1")])
def test_floats_out_of_range_are_refused(code, value):
    with pytest.raises(OptionError, match="'gain'"):
        Field("gain", code).pack(value)


def test_floats_are_rounded_to_their_precision():
    layout = Layout("ONE", (Field("gain", "f"),))
    assert math.isclose(layout.unpack(layout.pack(gain=0.1))["gain"], 0.1, rel_tol=2**-24)


@pytest.mark.parametrize("value", [b"ab", b"abcd", bytearray(b"ab"), "abc", 3])
def test_byte_strings_must_have_the_exact_length(value):
    with pytest.raises(OptionError, match=r"'tag' must be a bytes\[3\]"):
        Field("tag", "3s").pack(value)


@pytest.mark.parametrize("values", [{"left": 1}, {"left": 1, "right": 2, "middle": 3}, {}])
def test_names_must_match(values):
    with pytest.raises(OptionError, match="PAIR takes the fields left, right"):
        PAIR.pack(**values)


@pytest.mark.parametrize(("length", "offset"), [(0, 0), (2, 0), (5, 3), (3, 4), (9, -3)])
def test_unpacking_outside_the_data_is_refused(length, offset):
    with pytest.raises(TruncatedError, match="PAIR at byte"):
        PAIR.unpack(bytes(length), offset)


@pytest.mark.parametrize("code", ["l", "x", "p", "", "s", "2B", "-1s", "<B"])
def test_unknown_codes_are_refused(code):
    with pytest.raises(OptionError, match="code"):
        Field("name", code)


def test_two_fields_of_one_name_are_refused():
    with pytest.raises(OptionError, match="two fields"):
        Layout("TWICE", (Field("same", "B"), Field("same", "H")))
