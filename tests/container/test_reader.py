"""Valid files, and files that are right byte by byte but contradict themselves or need a newer reader."""

import io
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.head import HEAD, MAGIC, Head, pack_head, read_head
from i2codec.container.limits import Limits
from i2codec.container.reader import iter_sections, read_container
from i2codec.container.section import END, INDEX_ENTRY, SECTION, Section, SectionType, index_entry, pack_section
from i2codec.container.writer import write_container
from i2codec.errors import ChecksumError, FormatError, LimitError, TruncatedError, VersionError

T = SectionType
SIGNAL = Section(T.SIGNAL, True, b"signal")
COARSE = Section(T.LATENTS, True, b"coarse")
FINE = Section(T.LATENTS, True, b"finer", level=1)
UNKNOWN = Section(77, False, b"later", signal=1, level=2, group=3, unit=4)


def assemble(*sections, head=None, end=None, count=None, extra_length=0):
    """A file of exactly these sections: no sorting, no index, no checks."""
    head = pack_head(0) if head is None else head
    body = b"".join(map(pack_section, sections))
    total = len(head) + len(body) + SECTION.size + END.size + extra_length
    if end is None:
        end = END.pack(section_count=len(sections) if count is None else count, total_length=total)
    return head + body + pack_section(Section(T.END, True, end))


def index_of(*sections):
    return Section(T.INDEX, False, b"".join(map(index_entry, sections)))


def head_with(**changes):
    covered = HEAD.pack(**{"magic": MAGIC, "major": 1, "minor": 0, "kind": 0, "flags": 0, "crc32": 0} | changes)[:-4]
    return covered + zlib.crc32(covered).to_bytes(4, "little")


class Dribble(io.RawIOBase):
    """A stream that returns as few bytes as it is told to, one number per read."""

    def __init__(self, data, steps):
        self._data, self._steps = io.BytesIO(data), steps

    def readable(self):
        return True

    def read(self, size=-1):
        step = self._steps.pop(0) if self._steps else 1
        return self._data.read(min(size, step))


@given(st.lists(st.integers(1, 60), max_size=30))
def test_a_stream_may_return_less_than_asked(steps):
    data = write_container(0, [SIGNAL, COARSE, FINE])
    assert list(iter_sections(Dribble(data, steps))) == [SIGNAL, COARSE, FINE]


def test_a_payload_longer_than_one_read():
    long = Section(T.NETWORK, True, bytes(range(251)) * 1000)
    assert read_container(write_container(0, [long])).sections == (long,)


def test_sections_arrive_before_the_rest_is_read():
    data = write_container(0, [SIGNAL, COARSE, FINE])
    cut = iter_sections(io.BytesIO(data[: data.index(FINE.payload) + 2]))
    assert [next(cut), next(cut)] == [SIGNAL, COARSE]
    with pytest.raises(TruncatedError, match=r"LATENTS at byte \d+ announces 5 bytes, the file holds 2"):
        next(cut)


def test_a_cut_file_has_the_sections_in_front_of_the_cut():
    data = write_container(3, [SIGNAL, COARSE, FINE])
    whole = read_container(data, allow_truncated=True)
    assert (whole, whole.is_whole) == (read_container(data), True)
    for length in range(HEAD.size, len(data)):
        found = read_container(data[:length], allow_truncated=True)
        count = sum(data.index(section.payload) + len(section.payload) <= length for section in whole.sections)
        assert (found.kind, found.minor, found.is_whole) == (3, 0, False)
        assert found.sections == whole.sections[:count]
    for length in range(HEAD.size):
        with pytest.raises(TruncatedError, match="inside its head"):
            read_container(data[:length], allow_truncated=True)
    with pytest.raises(ChecksumError):
        read_container(data[: data.index(b"finer")] + b"finar", allow_truncated=True)


def test_the_head_is_read_alone():
    assert read_head(write_container(5, [SIGNAL])[:16]) == Head(major=1, minor=0, kind=5)


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(20), b"\x89PNG\r\n\x1a\n" + bytes(20), b"?"])
def test_other_files_are_not_i2_files(data):
    with pytest.raises(FormatError, match=re.escape(f"not an .i2 file (found {data[:8]!r}, expected {MAGIC!r})")):
        read_container(data)


@pytest.mark.parametrize("major", [0, 2, 255])
def test_another_major_version_is_refused(major):
    with pytest.raises(VersionError, match=f"major version {major}"):
        read_container(assemble(SIGNAL, head=head_with(major=major)))


def test_a_damaged_head_is_damaged_not_newer():
    with pytest.raises(ChecksumError, match="head"):
        read_head(head_with()[:8] + b"\x02" + head_with()[9:])


def test_a_newer_minor_version_is_accepted():
    container = read_container(assemble(SIGNAL, UNKNOWN, head=head_with(minor=9, kind=4)))
    assert (container.kind, container.minor, container.sections) == (4, 9, (SIGNAL,))


def test_flags_of_the_head_are_refused():
    with pytest.raises(VersionError, match="0x80"):
        read_container(assemble(SIGNAL, head=head_with(flags=0x80)))


@pytest.mark.parametrize("type_id", [SIGNAL.type, UNKNOWN.type])
@pytest.mark.parametrize("flags", [0x02, 0x81])
def test_unknown_flags_of_a_section_are_refused(type_id, flags):
    fields = {"type": type_id, "flags": flags, "signal": 0, "level": 0, "group": 0, "unit": 0, "length": 0}
    covered = SECTION.pack(**fields, crc32=0)[:-4]
    data = pack_head(0) + covered + zlib.crc32(covered).to_bytes(4, "little")
    with pytest.raises(VersionError, match=f"at byte 16 has flags {flags:#04x}"):
        read_container(data)


def test_unknown_optional_sections_are_skipped_wherever_they_are():
    sections = (UNKNOWN, SIGNAL, Section(0, False, b""), COARSE, Section(254, False, b"x"))
    assert read_container(assemble(*sections)).sections == (SIGNAL, COARSE)
    assert read_container(assemble(index_of(*sections), *sections)).sections == (SIGNAL, COARSE)


def test_unknown_required_sections_are_refused():
    with pytest.raises(VersionError, match="unknown type 77 at byte 43 is required"):
        read_container(assemble(SIGNAL, Section(77, True, b"later")))


@pytest.mark.parametrize("required", [False, True])
def test_damage_in_an_unknown_section_is_damage(required):
    data = assemble(SIGNAL, Section(77, required, b"later")).replace(b"later", b"liter")
    with pytest.raises(ChecksumError, match="unknown type 77 at byte 43"):
        read_container(data)


def test_any_order_is_read():
    assert read_container(assemble(FINE, SIGNAL, COARSE)).sections == (FINE, SIGNAL, COARSE)


@pytest.mark.parametrize("kind", [T.SIGNAL, T.TIMESTAMPS, T.METADATA, T.NETWORK, T.LATENTS, 77])
def test_a_repeated_address_is_refused(kind):
    one, other = Section(kind, False, b"a", signal=3), Section(kind, False, b"b", signal=3)
    with pytest.raises(FormatError, match="at byte 38 repeats the address"):
        read_container(assemble(one, other))


@pytest.mark.parametrize("name", ["level", "group", "unit"])
@pytest.mark.parametrize("kind", [T.SIGNAL, T.TIMESTAMPS, T.METADATA, T.INDEX, T.END])
def test_numbers_without_use_must_be_zero(kind, name):
    with pytest.raises(FormatError, match=f"{kind.name} at byte 16 has {name} 1, expected 0"):
        read_container(pack_head(0) + pack_section(Section(kind, True, b"", **{name: 1})))


def test_an_index_is_not_needed_and_may_be_there_without_need():
    assert read_container(assemble(SIGNAL, COARSE, FINE)).sections == (SIGNAL, COARSE, FINE)
    assert read_container(assemble(index_of(SIGNAL), SIGNAL)).sections == (SIGNAL,)


WRONG_INDEXES = {
    "too short": (index_of(SIGNAL, COARSE), "LATENTS at byte .* entry 2"),
    "too long": (index_of(SIGNAL, COARSE, FINE, UNKNOWN), "lists 4 sections, the file holds 3"),
    "other order": (index_of(SIGNAL, FINE, COARSE), "entry 1"),
    "lists itself": (index_of(index_of(SIGNAL), SIGNAL, COARSE, FINE), "entry 0"),
    "torn": (Section(T.INDEX, False, index_of(SIGNAL, COARSE, FINE).payload[:-1]), "multiple of 16"),
    "empty": (index_of(), "entry 0"),
}


@pytest.mark.parametrize("name", WRONG_INDEXES)
def test_an_index_that_disagrees_is_refused(name):
    index, message = WRONG_INDEXES[name]
    with pytest.raises(FormatError, match=message):
        read_container(assemble(index, SIGNAL, COARSE, FINE))


@pytest.mark.parametrize("position", range(INDEX_ENTRY.size))
def test_every_byte_of_an_index_entry_counts(position):
    payload = bytearray(index_of(SIGNAL, COARSE).payload)
    payload[INDEX_ENTRY.size + position] ^= 1
    with pytest.raises(FormatError, match="entry 1"):
        read_container(assemble(Section(T.INDEX, False, bytes(payload)), SIGNAL, COARSE))


def test_an_index_comes_first():
    with pytest.raises(FormatError, match="INDEX at byte 43 is section 1"):
        read_container(assemble(SIGNAL, index_of(COARSE), COARSE))


@pytest.mark.parametrize("count", [0, 2, 2**32 - 1])
def test_end_counts_the_sections(count):
    with pytest.raises(FormatError, match=f"END at byte 43 announces {count} sections, found 1"):
        read_container(assemble(SIGNAL, count=count))


@pytest.mark.parametrize("extra", [-1, 1, 2**63])
def test_end_knows_the_length_of_the_file(extra):
    with pytest.raises(FormatError, match="END at byte 43 announces a file of"):
        read_container(assemble(SIGNAL, extra_length=extra))


@pytest.mark.parametrize("end", [b"", bytes(11), bytes(13)])
def test_end_has_one_length(end):
    with pytest.raises(FormatError, match=f"END at byte 43 holds {len(end)} bytes, expected 12"):
        read_container(assemble(SIGNAL, end=end))


@pytest.mark.parametrize("garbage", [b"\0", b"\n", pack_section(SIGNAL), assemble(SIGNAL)])
def test_nothing_follows_end(garbage):
    with pytest.raises(FormatError, match="goes on after its END section, which ends at byte 76"):
        read_container(assemble(SIGNAL) + garbage)


def test_limits_are_inclusive():
    data = assemble(SIGNAL, FINE)
    exact = Limits(max_section_bytes=12, max_sections=2)  # the payload of END is the longest
    assert read_container(data, limits=exact).sections == (SIGNAL, FINE)
    with pytest.raises(LimitError, match="END at byte 69 announces 12 bytes, over the limit of 11"):
        read_container(data, limits=Limits(max_section_bytes=11))
    with pytest.raises(LimitError, match="LATENTS at byte 43 is one more than the limit of 1"):
        read_container(data, limits=Limits(max_sections=1))
