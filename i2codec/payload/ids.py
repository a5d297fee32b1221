"""Turn ids read from a file into enum members; an unknown one needs a newer reader."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from i2codec.errors import VersionError

Member = TypeVar("Member", bound=IntEnum)


def known(enum: type[Member], value: int, *, field: str) -> Member:
    """The member of ``enum`` with this value.

    Raises
    ------
    VersionError
        If there is none; the message names the field.
    """
    try:
        return enum(value)
    except ValueError:
        expected = ", ".join(f"{member.value} {member.name.lower()}" for member in enum)
        raise VersionError(
            f"{field} has the unknown id {value}; this release knows {expected}: update i2codec"
        ) from None
