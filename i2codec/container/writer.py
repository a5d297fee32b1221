"""Writing the framing: sections in, the bytes of a file out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from i2codec.container.head import HEAD, pack_head
from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.container.section import (
    END,
    SECTION,
    Section,
    SectionType,
    file_order,
    index_entry,
    misused_number,
    pack_section,
    type_label,
)
from i2codec.errors import OptionError

__all__ = ["write_container"]

_OWN_TYPES = (SectionType.INDEX, SectionType.END)  # written here, from the other sections
_WRITABLE = frozenset(SectionType) - frozenset(_OWN_TYPES)


def write_container(
    kind: int, sections: Iterable[Section], *, minor: int = 0, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """The bytes of a file that holds ``sections``, whose order does not matter, with the ids of version ``minor``.

    INDEX is added when two or more LATENTS sections make random access worth its bytes; END always.
    Raises :class:`OptionError` if ``kind`` is not in 0..255, a section's number does not fit its field or has
    no use in its type, a type is unknown, INDEX or END, two sections have one address, or a reader with the
    same ``limits`` would refuse the file.
    """
    given = list(sections)
    _check_addresses(given)
    body = sorted(given, key=file_order)
    if sum(section.type == SectionType.LATENTS for section in body) >= 2:
        entries = b"".join(map(index_entry, body))
        body.insert(0, Section(SectionType.INDEX, SectionType.INDEX.required, entries))
    _check_limits(body, limits)
    head = pack_head(kind, minor=minor)
    framed = [pack_section(section) for section in body]
    length = HEAD.size + sum(map(len, framed)) + SECTION.size + END.size
    payload = END.pack(section_count=len(framed), total_length=length)
    return b"".join([head, *framed, pack_section(Section(SectionType.END, SectionType.END.required, payload))])


def _check_addresses(sections: Sequence[Section]) -> None:
    seen = set()
    for section in sections:
        if section.type not in _WRITABLE:
            raise OptionError(f"a section {type_label(section.type)} cannot be written by hand")
        number = misused_number(section)
        if number is not None:
            raise OptionError(f"a section {type_label(section.type)} has no {number}; it must be 0")
        if section.address in seen:
            raise OptionError(f"two sections {type_label(section.type)} have one address: {section.address}")
        seen.add(section.address)


def _check_limits(sections: Sequence[Section], limits: Limits) -> None:
    if len(sections) > limits.max_sections:
        raise OptionError(f"{len(sections)} sections are over the limit of {limits.max_sections}")
    for section in sections:
        if len(section.payload) > limits.max_section_bytes:
            label, size = type_label(section.type), len(section.payload)
            raise OptionError(f"a section {label} of {size} bytes is over the limit of {limits.max_section_bytes}")
