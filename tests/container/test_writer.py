import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.limits import Limits
from i2codec.container.reader import Container, read_container
from i2codec.container.section import INDEX_ENTRY, SECTION, Section, SectionType, misused_number
from i2codec.container.writer import write_container
from i2codec.errors import OptionError

T = SectionType
HEAD_SIZE = 16
WRITABLE = [T.SIGNAL, T.NETWORK, T.LATENTS, T.METADATA, T.TIMESTAMPS]

bytes_of_a_number = st.integers(0, 255)
random_sections = st.lists(
    st.builds(
        Section,
        type=st.sampled_from(WRITABLE),
        required=st.booleans(),
        payload=st.binary(max_size=40),
        signal=bytes_of_a_number,
        level=st.integers(0, 3) | bytes_of_a_number,
        group=st.integers(0, 3) | bytes_of_a_number,
        unit=st.integers(0, 3) | st.integers(0, 2**32 - 1),
    ).filter(lambda section: misused_number(section) is None),
    unique_by=lambda section: section.address,
    max_size=12,
)


def first_type(data):
    return data[HEAD_SIZE]


@given(bytes_of_a_number, random_sections, st.randoms(use_true_random=False))
def test_sections_come_back_and_their_given_order_does_not_matter(kind, sections, random):
    data = write_container(kind, sections)
    container = read_container(data)
    assert (container.kind, container.minor) == (kind, 0)
    assert len(container.sections) == len(sections)
    assert set(container.sections) == set(sections)
    random.shuffle(sections)
    assert write_container(kind, sections) == data


@given(random_sections)
def test_an_index_is_written_if_and_only_if_there_are_two_latents(sections):
    latents = sum(section.type is T.LATENTS for section in sections)
    assert (first_type(write_container(0, sections)) == T.INDEX) == (latents >= 2)


def test_golden_bytes():
    sections = [
        Section(T.LATENTS, True, b"\xaa", level=1, group=2, unit=3),
        Section(T.LATENTS, True, b"", level=0),
        Section(T.SIGNAL, True, b"hi"),
    ]
    golden = (  # framed by hand with struct and zlib, not by this package
        "894932430d0a1a0a 01 00 07 00 d25bd280"
        "01 00 00 00 00 00000000 3000000000000000 4bc30086"
        "02 00 00 00 00000000 0200000000000000"
        "04 00 00 00 00000000 0000000000000000"
        "04 00 01 02 03000000 0100000000000000"
        "02 01 00 00 00 00000000 0200000000000000 119151dc 6869"
        "04 01 00 00 00 00000000 0000000000000000 e3478f14"
        "04 01 00 01 02 03000000 0100000000000000 36fe322f aa"
        "ff 01 00 00 00 00000000 0c00000000000000 95ed8348 04000000 b800000000000000"
    )
    assert write_container(7, sections).hex() == golden.replace(" ", "")


def test_file_order():
    expected = [
        Section(T.SIGNAL, True, b"0"),
        Section(T.TIMESTAMPS, True, b"0"),
        Section(T.SIGNAL, True, b"1", signal=1),
        Section(T.NETWORK, True, b"0"),
        Section(T.NETWORK, True, b"1", signal=1),
        Section(T.LATENTS, True, b"", level=0, unit=0, signal=0, group=0),
        Section(T.LATENTS, True, b"", level=0, unit=0, signal=0, group=1),
        Section(T.LATENTS, True, b"", level=0, unit=0, signal=1, group=0),
        Section(T.LATENTS, True, b"", level=0, unit=1, signal=0, group=0),
        Section(T.LATENTS, True, b"", level=1, unit=0, signal=0, group=0),
        Section(T.METADATA, False, b"0"),
        Section(T.METADATA, False, b"1", signal=1),
    ]
    for given_order in (expected[::-1], expected[5:] + expected[:5]):
        assert read_container(write_container(0, given_order)).sections == tuple(expected)


def test_the_index_tells_where_each_section_is():
    sections = [Section(T.SIGNAL, True, b"header")] + [
        Section(T.LATENTS, True, bytes([unit]) * unit, unit=unit) for unit in range(4)
    ]
    data = write_container(0, sections)
    length = SECTION.unpack(data, HEAD_SIZE)["length"]
    start = HEAD_SIZE + SECTION.size
    offset = start + length
    for position, section in enumerate(sections):
        entry = INDEX_ENTRY.unpack(data, start + position * INDEX_ENTRY.size)
        assert tuple(entry.values()) == (*section.address[:4], section.unit, len(section.payload))
        offset += SECTION.size
        assert data[offset : offset + entry["length"]] == section.payload
        offset += entry["length"]
    assert length == len(sections) * INDEX_ENTRY.size


def test_a_file_without_sections_is_framed_too():
    assert read_container(write_container(9, [])) == Container(9, 0, ())


@pytest.mark.parametrize("kind", [-1, 256])
def test_kind_is_one_byte(kind):
    with pytest.raises(OptionError, match="'kind'"):
        write_container(kind, [])


@pytest.mark.parametrize(("name", "value"), [("signal", 256), ("level", -1), ("group", 256), ("unit", 2**32)])
def test_numbers_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(OptionError, match=f"'{name}'"):
        write_container(0, [Section(T.LATENTS, True, b"", **{name: value})])


@pytest.mark.parametrize("name", ["level", "group", "unit"])
@pytest.mark.parametrize("kind", [T.SIGNAL, T.TIMESTAMPS, T.METADATA])
def test_numbers_without_use_are_refused(kind, name):
    with pytest.raises(OptionError, match=f"{kind.name} has no {name}"):
        write_container(0, [Section(kind, True, b"", **{name: 1})])


@pytest.mark.parametrize("kind", [T.INDEX, T.END, 0, 77])
def test_sections_that_are_not_the_callers_are_refused(kind):
    with pytest.raises(OptionError, match="by hand"):
        write_container(0, [Section(kind, True, b"")])


@pytest.mark.parametrize("kind", WRITABLE)
def test_two_sections_of_one_address_are_refused(kind):
    sections = [Section(kind, True, b"a", signal=3), Section(kind, False, b"b", signal=3)]
    with pytest.raises(OptionError, match=rf"{kind.name} have one address"):
        write_container(0, sections)


def test_what_a_reader_would_refuse_is_not_written():
    sections = [Section(T.LATENTS, True, bytes(48), unit=unit) for unit in range(3)]
    exact = Limits(max_sections=4, max_section_bytes=48)  # the index is a section and holds 3 · 16 bytes
    assert len(read_container(write_container(0, sections, limits=exact), limits=exact).sections) == 3
    with pytest.raises(OptionError, match="4 sections"):
        write_container(0, sections, limits=Limits(max_sections=3))
    with pytest.raises(OptionError, match="INDEX of 48 bytes"):
        write_container(0, sections, limits=Limits(max_section_bytes=47))
