"""Reading the framing: the bytes of a file in, checked sections out.

A length must be read before the checksum that covers it can be. So it is first held against its
limit, then read in chunks: whatever it says, memory is taken only for bytes that are there.
Everything else is looked at after its checksum, so that damage is reported as damage.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from i2codec.container.head import HEAD, read_head
from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.container.section import (
    CHECKED_HEADER_BYTES,
    END,
    INDEX_ENTRY,
    REQUIRED_FLAG,
    SECTION,
    Section,
    SectionType,
    index_entry,
    misused_number,
    type_label,
)
from i2codec.errors import ChecksumError, FormatError, LimitError, TruncatedError, VersionError

__all__ = ["Container", "iter_sections", "read_container"]

_CHUNK_BYTES = 1 << 16
_KNOWN_TYPES = frozenset(SectionType)


@dataclass(frozen=True)
class Container:
    """A whole file: kind and minor version from its head, its known sections in file order.

    INDEX and END are left out: they only describe the others. Of a cut file, which is not whole, these are the
    sections in front of the cut.
    """

    kind: int
    minor: int
    sections: tuple[Section, ...]
    is_whole: bool = True


def read_container(data: bytes, *, limits: Limits = DEFAULT_LIMITS, allow_truncated: bool = False) -> Container:
    """All sections of the file ``data``, of a cut one those that are whole if ``allow_truncated``.

    Errors as for :func:`iter_sections`.
    """
    head = read_head(data)
    sections, is_whole = [], True
    try:
        for section in iter_sections(io.BytesIO(data), limits=limits):
            sections.append(section)
    except TruncatedError:
        if not allow_truncated:
            raise
        is_whole = False
    return Container(head.kind, head.minor, tuple(sections), is_whole)


def iter_sections(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Section]:
    """Known sections of a file in file order, without INDEX and END, each as soon as it is read and checked.

    ``stream`` starts at the file's head and may return fewer bytes than asked for. A cut file yields the sections
    in front of the cut and then raises, so a caller may keep what it got. Unknown optional sections are checked and
    skipped. Raises :class:`FormatError`, in particular :class:`TruncatedError`, :class:`ChecksumError`,
    :class:`VersionError` (newer major version, unknown flag or required type) and :class:`LimitError`.
    """
    source = _Source(stream)
    read_head(source.read(HEAD.size))
    ledger = _Ledger(limits)
    while True:
        where, section = _read_section(source, limits)
        if section.type == SectionType.END:
            break
        ledger.enter(where, section)
        if section.type not in _KNOWN_TYPES:
            if section.required:
                raise VersionError(f"{where} is required to decode the file; use a newer reader")
        elif section.type != SectionType.INDEX:
            yield section
    ledger.close(where, section, source.offset)
    if source.read(1):
        raise FormatError(f"the file goes on after its END section, which ends at byte {source.offset - 1}")


class _Source:
    """A stream and the number of bytes read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.offset = 0

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer only at the end of the stream, asked for in bounded chunks."""
        data = bytearray()
        while len(data) < count:
            chunk = self._stream.read(min(count - len(data), _CHUNK_BYTES))
            if not chunk:
                break
            data += chunk
        self.offset += len(data)
        return bytes(data)


def _read_section(source: _Source, limits: Limits) -> tuple[str, Section]:
    """The next section and its name for messages, checked as far as that needs no other section."""
    start = source.offset
    header = source.read(SECTION.size)
    if not header:
        raise TruncatedError(f"the file ends at byte {start}, before its END section; get a complete copy")
    if len(header) < SECTION.size:
        raise TruncatedError(f"the file ends inside the section header at byte {start}; get a complete copy")
    values = SECTION.unpack(header)
    where = f"section {type_label(values['type'])} at byte {start}"
    length = values["length"]
    if length > limits.max_section_bytes:
        raise LimitError(f"{where} announces {length} bytes, over the limit of {limits.max_section_bytes}")
    payload = source.read(length)
    if len(payload) < length:
        raise TruncatedError(f"{where} announces {length} bytes, the file holds {len(payload)} of them")
    computed = zlib.crc32(payload, zlib.crc32(header[:CHECKED_HEADER_BYTES]))
    if computed != values["crc32"]:
        raise ChecksumError(f"{where} is damaged: its CRC-32 is {computed:08x}, stored is {values['crc32']:08x}")
    if values["flags"] & ~REQUIRED_FLAG:
        raise VersionError(f"{where} has flags {values['flags']:#04x}, known is bit 0 only; use a newer reader")
    section = Section(
        type=values["type"],
        required=bool(values["flags"] & REQUIRED_FLAG),
        payload=payload,
        signal=values["signal"],
        level=values["level"],
        group=values["group"],
        unit=values["unit"],
    )
    number = misused_number(section)
    if number is not None:
        raise FormatError(f"{where} has {number} {getattr(section, number)}, expected 0")
    return where, section


class _Ledger:
    """What the sections so far say about each other: their number, their addresses and the index."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._addresses: set[tuple[int, ...]] = set()
        self._index: bytes | None = None

    def enter(self, where: str, section: Section) -> None:
        """Account for one section that is not END."""
        if self._count == self._limits.max_sections:
            raise LimitError(f"{where} is one more than the limit of {self._limits.max_sections} sections")
        if section.address in self._addresses:
            raise FormatError(f"{where} repeats the address of another section: {section.address}")
        self._addresses.add(section.address)
        if section.type == SectionType.INDEX:
            self._open_index(where, section.payload)
        elif self._index is not None:
            start = INDEX_ENTRY.size * (self._count - 1)  # the index, section 0, does not list itself
            if self._index[start : start + INDEX_ENTRY.size] != index_entry(section):
                raise FormatError(f"{where} is not what the index lists as entry {self._count - 1}")
        self._count += 1

    def _open_index(self, where: str, payload: bytes) -> None:
        if self._count != 0:
            raise FormatError(f"{where} is section {self._count}, expected right after the head")
        if len(payload) % INDEX_ENTRY.size != 0:
            raise FormatError(f"{where} holds {len(payload)} bytes, expected a multiple of {INDEX_ENTRY.size}")
        self._index = payload

    def close(self, where: str, end: Section, total_length: int) -> None:
        """Compare what END and the index announce with what was read, ``total_length`` in bytes."""
        if len(end.payload) != END.size:
            raise FormatError(f"{where} holds {len(end.payload)} bytes, expected {END.size}")
        announced = END.unpack(end.payload)
        if announced["section_count"] != self._count:
            raise FormatError(f"{where} announces {announced['section_count']} sections, found {self._count}")
        if announced["total_length"] != total_length:
            raise FormatError(f"{where} announces a file of {announced['total_length']} bytes, found {total_length}")
        listed = self._count if self._index is None else 1 + len(self._index) // INDEX_ENTRY.size
        if listed != self._count:
            raise FormatError(f"the index lists {listed - 1} sections, the file holds {self._count - 1}")
