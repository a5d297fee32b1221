"""The 16 bytes that open every ``.i2`` file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from i2codec.container.layout import Field, Layout
from i2codec.errors import ChecksumError, FormatError, TruncatedError, VersionError

__all__ = ["HEAD", "MAGIC", "MAJOR", "MINOR", "Head", "pack_head", "read_head"]

MAGIC = b"\x89I2C\r\n\x1a\n"
"""First bytes of a file, built like PNG's: a transfer that alters bytes or line ends breaks them."""

MAJOR = 1
"""Version of the framing; a reader refuses every other one."""

MINOR = 3
"""Newest version of the set of ids; a file names the oldest that has all of its own, a reader accepts any."""

HEAD = Layout(
    "HEAD",
    (
        Field("magic", "8s"),
        Field("major", "B"),
        Field("minor", "B"),
        Field("kind", "B"),
        Field("flags", "B"),
        Field("crc32", "I"),
    ),
)
_CHECKED = HEAD.size - 4  # the CRC covers everything in front of itself


@dataclass(frozen=True)
class Head:
    """What the head of a file says: its versions and the kind of signal, a number opaque here."""

    major: int
    minor: int
    kind: int


def pack_head(kind: int, *, minor: int = 0) -> bytes:
    """The 16 bytes of a head. Raises :class:`OptionError` if a number is not in 0..255."""
    values: dict[str, int | bytes] = {"magic": MAGIC, "major": MAJOR, "minor": minor, "kind": kind, "flags": 0}
    return HEAD.pack(**values, crc32=zlib.crc32(HEAD.pack(**values, crc32=0)[:_CHECKED]))


def read_head(data: bytes) -> Head:
    """The head of a file that starts with ``data``, of which the first 16 bytes are enough.

    Raises :class:`FormatError` if this is no ``.i2`` file, :class:`TruncatedError` if it ends inside
    the head, :class:`ChecksumError`, and :class:`VersionError` if it needs a newer reader.

    >>> read_head(pack_head(3))
    Head(major=1, minor=0, kind=3)
    """
    magic = data[: len(MAGIC)]
    if not MAGIC.startswith(magic):
        raise FormatError(f"not an .i2 file (found {magic!r}, expected {MAGIC!r})")
    if len(data) < HEAD.size:
        raise TruncatedError(f"the file ends after {len(data)} bytes, inside its head of {HEAD.size} bytes")
    values = HEAD.unpack(data)
    computed = zlib.crc32(data[:_CHECKED])
    if values["crc32"] != computed:
        raise ChecksumError(f"the head is damaged: its CRC-32 is {computed:08x}, stored is {values['crc32']:08x}")
    if values["major"] != MAJOR:
        raise VersionError(f"the file has major version {values['major']}, this reader knows only {MAJOR}")
    if values["flags"]:
        raise VersionError(f"the head has flags {values['flags']:#04x}, this reader knows none; use a newer one")
    return Head(major=values["major"], minor=values["minor"], kind=values["kind"])
