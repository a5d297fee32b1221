"""Sections: the numbered, checked records of which an ``.i2`` file consists after its head."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum

from i2codec.container.layout import Field, Layout

__all__ = [
    "CHECKED_HEADER_BYTES",
    "END",
    "INDEX_ENTRY",
    "REQUIRED_FLAG",
    "SECTION",
    "Section",
    "SectionType",
    "file_order",
    "index_entry",
    "misused_number",
    "pack_section",
    "type_label",
]

REQUIRED_FLAG = 0x01
"""Bit 0 of a section's flags: a reader that does not know the type must refuse the file."""

SECTION = Layout(
    "SECTION",
    (
        Field("type", "B"),
        Field("flags", "B"),
        Field("signal", "B"),
        Field("level", "B"),
        Field("group", "B"),
        Field("unit", "I"),
        Field("length", "Q"),
        Field("crc32", "I"),
    ),
)
CHECKED_HEADER_BYTES = SECTION.size - 4
"""Header bytes that the CRC covers, followed by the payload."""

INDEX_ENTRY = Layout(
    "INDEX_ENTRY",
    (
        Field("type", "B"),
        Field("signal", "B"),
        Field("level", "B"),
        Field("group", "B"),
        Field("unit", "I"),
        Field("length", "Q"),
    ),
)

END = Layout("END", (Field("section_count", "I"), Field("total_length", "Q")))


class SectionType(IntEnum):
    """Section type ids. An id is never reused, and never changes its meaning."""

    INDEX = 1
    SIGNAL = 2
    NETWORK = 3
    LATENTS = 4
    METADATA = 5
    TIMESTAMPS = 6
    READOUTS = 7
    END = 255

    @property
    def required(self) -> bool:
        """Whether writers set the required flag: the signal cannot be decoded without this section."""
        return self not in (SectionType.INDEX, SectionType.METADATA, SectionType.READOUTS)


@dataclass(frozen=True, slots=True)
class Section:
    """One section. ``type`` may be unknown; the payload is opaque here.

    ``signal`` counts the signals of the file; ``level`` is a latent level, 0 the coarsest; ``group`` is a
    channel group; ``unit`` a tile or segment. The four are fixed to 0 where the type has no use for them.
    """

    type: int
    required: bool
    payload: bytes
    signal: int = 0
    level: int = 0
    group: int = 0
    unit: int = 0

    @property
    def address(self) -> tuple[int, int, int, int, int]:
        """Type, signal, level, group and unit: what tells a section from every other one of its file."""
        return self.type, self.signal, self.level, self.group, self.unit


def type_label(type_id: int) -> str:
    """Name of a section type for messages.

    >>> type_label(4), type_label(77)
    ('LATENTS', 'of unknown type 77')
    """
    return SectionType(type_id).name if type_id in list(SectionType) else f"of unknown type {type_id}"


_UNUSED_NUMBERS = {
    SectionType.INDEX: ("signal", "level", "group", "unit"),
    SectionType.END: ("signal", "level", "group", "unit"),
    SectionType.SIGNAL: ("level", "group", "unit"),
    SectionType.TIMESTAMPS: ("level", "group", "unit"),
    SectionType.METADATA: ("level", "group", "unit"),
    SectionType.READOUTS: ("level", "group", "unit"),
}


def misused_number(section: Section) -> str | None:
    """Name of a number that is not 0 although the section's type has no use for it, or None.

    As addresses are unique, this also allows one SIGNAL, TIMESTAMPS, READOUTS and METADATA section per signal.
    """
    if section.type not in _UNUSED_NUMBERS:
        return None
    unused = _UNUSED_NUMBERS[SectionType(section.type)]
    return next((name for name in unused if getattr(section, name) != 0), None)


_STAGES = {
    SectionType.SIGNAL: 0,
    SectionType.TIMESTAMPS: 0,
    SectionType.NETWORK: 1,
    SectionType.READOUTS: 1,
    SectionType.LATENTS: 2,
    SectionType.METADATA: 3,
}


def file_order(section: Section) -> tuple[int, ...]:
    """Sort key of a known section that is neither INDEX nor END.

    The stages follow each other; inside one the level rises, then the unit, then the signal, so that a file cut
    anywhere holds every signal up to about the same level. Addresses are unique, so the order is total.
    """
    stage = _STAGES[SectionType(section.type)]
    return stage, section.level, section.unit, section.signal, section.type, section.group


def index_entry(section: Section) -> bytes:
    """The entry of INDEX that stands for this section. Raises :class:`OptionError` if a number does not fit."""
    return INDEX_ENTRY.pack(
        type=section.type,
        signal=section.signal,
        level=section.level,
        group=section.group,
        unit=section.unit,
        length=len(section.payload),
    )


def pack_section(section: Section) -> bytes:
    """Header and payload of one section. Raises :class:`OptionError` if a number does not fit its field."""
    values = {
        "type": section.type,
        "flags": REQUIRED_FLAG if section.required else 0,
        "signal": section.signal,
        "level": section.level,
        "group": section.group,
        "unit": section.unit,
        "length": len(section.payload),
    }
    covered = SECTION.pack(**values, crc32=0)[:CHECKED_HEADER_BYTES]
    return SECTION.pack(**values, crc32=zlib.crc32(section.payload, zlib.crc32(covered))) + section.payload
