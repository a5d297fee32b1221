"""Look up a method by name and build it with options; what is unknown raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

from i2codec.errors import OptionError

Method = TypeVar("Method")


def build(methods: Mapping[str, type[Method]], name: str, options: Mapping[str, object], *, role: str) -> Method:
    """The dataclass registered under ``name``, built with ``options``.

    Raises
    ------
    OptionError
        If the name or one of the options is unknown; the message lists the known ones.
    """
    if name not in methods:
        raise OptionError(f"unknown {role} {name!r}; expected one of {', '.join(sorted(methods))}")
    known = {field.name for field in fields(methods[name])}  # type: ignore[arg-type]
    if unknown := set(options) - known:
        expected = ", ".join(sorted(known)) or "none"
        raise OptionError(f"{role} {name} has no option {', '.join(sorted(unknown))}; expected one of {expected}")
    return methods[name](**options)
