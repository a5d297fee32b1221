"""Files that are cut, damaged, or lie about lengths."""

import tracemalloc
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from i2codec.container.head import pack_head
from i2codec.container.limits import Limits
from i2codec.container.reader import iter_sections, read_container
from i2codec.container.section import SECTION, Section, SectionType
from i2codec.container.writer import write_container
from i2codec.errors import FormatError, LimitError, TruncatedError

T = SectionType
SMALL = write_container(
    1,
    [
        Section(T.SIGNAL, True, b"hi"),
        Section(T.LATENTS, True, b"\x00\xff"),
        Section(T.LATENTS, True, b"", unit=1),
        Section(T.METADATA, False, b"m"),
    ],
)
HEAD_SIZE = 16


def lying_header(length, *, type_id=T.LATENTS, payload=b""):
    """A section header that announces ``length`` bytes, with the CRC that belongs to header and payload."""
    fields = {"type": type_id, "flags": 0, "signal": 0, "level": 0, "group": 0, "unit": 0, "length": length}
    covered = SECTION.pack(**fields, crc32=0)[:-4]
    return covered + zlib.crc32(payload, zlib.crc32(covered)).to_bytes(4, "little") + payload


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_every_cut_is_a_truncation(length):
    with pytest.raises(TruncatedError, match="byte"):
        read_container(SMALL[:length])


@pytest.mark.parametrize("position", range(len(SMALL)))
def test_every_change_of_one_byte_is_found(position):
    data = bytearray(SMALL)
    for change in range(1, 256):
        data[position] = SMALL[position] ^ change
        with pytest.raises(FormatError):
            read_container(bytes(data))


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 40), st.binary(max_size=40))
def test_other_damage_is_found(start, length, replacement):
    data = SMALL[:start] + replacement + SMALL[start + length :]
    assume(data != SMALL)
    with pytest.raises(FormatError):
        read_container(data)


@given(st.binary(max_size=200))
def test_noise_after_a_good_head_is_a_format_error(noise):
    with pytest.raises(FormatError):
        read_container(pack_head(0) + noise)


@pytest.mark.parametrize("type_id", [*T, 77])
def test_a_lying_length_takes_no_memory(tmp_path, type_id):
    path = tmp_path / "lie.i2"
    path.write_bytes(pack_head(0) + lying_header(2**31, type_id=type_id, payload=bytes(1000)))
    tracemalloc.start()
    try:
        # Unbuffered: such a stream allocates whatever it is asked for before it reads.
        with path.open("rb", buffering=0) as stream, pytest.raises(TruncatedError, match="file holds 1000 of them"):
            list(iter_sections(stream))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("length", [2**31 + 1, 2**63, 2**64 - 1])
def test_a_length_over_its_limit_is_not_even_read(length):
    with pytest.raises(LimitError, match=f"LATENTS at byte 16 announces {length} bytes"):
        read_container(pack_head(0) + lying_header(length))


def test_a_stream_is_asked_for_bounded_chunks_only():
    class Watched:
        def __init__(self, data):
            self.data, self.largest = data, 0

        def read(self, size):
            self.largest = max(self.largest, size)
            chunk, self.data = self.data[:size], self.data[size:]
            return chunk

    stream = Watched(pack_head(0) + lying_header(2**40, payload=bytes(300_000)))
    with pytest.raises(TruncatedError, match="file holds 300000 of them"):
        list(iter_sections(stream, limits=Limits(max_section_bytes=2**50)))
    assert stream.largest <= 2**16
