"""Byte tables as data: a :class:`Layout` packs and unpacks one record of named fields.

A layout is the only place in the code where a record's byte order, field order and field
widths are written; the tables of ``docs/format.md`` are tested against it. Records are
little-endian and have no padding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from i2codec.errors import OptionError, TruncatedError

__all__ = ["Field", "Layout"]

_TYPE_NAMES = {
    "b": "i8",
    "B": "u8",
    "h": "i16",
    "H": "u16",
    "i": "i32",
    "I": "u32",
    "q": "i64",
    "Q": "u64",
    "e": "f16",
    "f": "f32",
    "d": "f64",
}


@dataclass(frozen=True)
class Field:
    """One field: its name and its :mod:`struct` code, a single letter or ``"<n>s"`` for n bytes.

    Raises :class:`OptionError` if the code is neither.

    >>> Field("magic", "8s").type_name, Field("unit", "I").size
    ('bytes[8]', 4)
    """

    name: str
    code: str

    def __post_init__(self) -> None:
        """Refuse codes whose width depends on the machine, and padding."""
        if self.code not in _TYPE_NAMES and not self._is_bytes:
            raise OptionError(f"field {self.name!r} has the unknown code {self.code!r}")

    @property
    def _is_bytes(self) -> bool:
        return self.code.endswith("s") and self.code[:-1].isdecimal()

    @cached_property
    def size(self) -> int:
        """Width in bytes."""
        return struct.calcsize("<" + self.code)

    @property
    def type_name(self) -> str:
        """Type as the format page writes it: ``u8`` … ``u64``, ``i8`` …, ``f16`` …, ``bytes[n]``."""
        return f"bytes[{self.size}]" if self._is_bytes else _TYPE_NAMES[self.code]

    def pack(self, value: int | float | bytes) -> bytes:
        """Bytes of one value; a float is rounded to the field's precision.

        Raises :class:`OptionError` if the value has the wrong type or is out of range.
        """
        # struct pads or cuts a byte string that does not fit without a word, so that is checked here.
        fits = not self._is_bytes or (isinstance(value, bytes) and len(value) == self.size)
        try:
            if fits:
                return struct.pack("<" + self.code, value)
        except (struct.error, OverflowError):
            pass
        raise OptionError(f"field {self.name!r} must be a {self.type_name}, not {value!r}")


@dataclass(frozen=True)
class Layout:
    """A record: its name and its fields in file order.

    Raises :class:`OptionError` if two fields share a name.

    >>> point = Layout("POINT", (Field("x", "B"), Field("y", "H")))
    >>> point.size, point.pack(x=1, y=2), point.unpack(b"\\x01\\x02\\x00")
    (3, b'\\x01\\x02\\x00', {'x': 1, 'y': 2})
    """

    name: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        """Refuse two fields of one name: a dictionary of values could not hold both."""
        if len(set(self.names)) != len(self.fields):
            raise OptionError(f"layout {self.name} has two fields of one name: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Field names in file order."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def _struct(self) -> struct.Struct:
        return struct.Struct("<" + "".join(field.code for field in self.fields))

    @property
    def size(self) -> int:
        """Length of the record in bytes."""
        return self._struct.size

    def pack(self, **values: int | float | bytes) -> bytes:
        """Bytes of the record; every field is given by name.

        Raises :class:`OptionError` if a name is missing or unknown, or a value does not fit its field.
        """
        if values.keys() != set(self.names):
            odd = ", ".join(sorted(values.keys() ^ set(self.names)))
            raise OptionError(f"{self.name} takes the fields {', '.join(self.names)}; missing or unknown: {odd}")
        try:
            return b"".join(field.pack(values[field.name]) for field in self.fields)
        except OptionError as error:
            raise OptionError(f"{self.name}: {error}") from None

    def unpack(self, data: bytes, offset: int = 0) -> dict[str, Any]:
        """Values by field name, read from ``data`` at ``offset`` bytes.

        Raises :class:`TruncatedError` if the record does not lie inside ``data``.
        """
        if not 0 <= offset <= len(data) - self.size:
            raise TruncatedError(
                f"{self.name} at byte {offset} needs {self.size} bytes, only {max(0, len(data) - offset)} are there"
            )
        return dict(zip(self.names, self._struct.unpack_from(data, offset), strict=True))
