"""i2codec: signals stored as (Implicit)² networks.

``encode`` fits a network to a photo, sound, video or 3D shape and packs it into the bytes of an
``.i2`` file; ``decode`` solves its fixed point again on a grid of any size; ``open`` gives the
field itself, a function of coordinates. Everything heavy is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from i2codec.errors import (
    Cancelled,
    ChecksumError,
    DeviceError,
    FitError,
    FormatError,
    I2Error,
    InputError,
    LimitError,
    MissingExtraError,
    OptionError,
    OutputError,
    TruncatedError,
    VersionError,
)
from i2codec.notices import DamagedSourceWarning, I2Warning, LeftOutWarning, TargetMissedWarning

if TYPE_CHECKING:
    from i2codec._api import decode, decode_file, encode, encode_file
    from i2codec._api import open_field as open
    from i2codec._compare import compare
    from i2codec._inspect import info, verify
    from i2codec.container.limits import Limits
    from i2codec.fit.progress import Progress
    from i2codec.options import EncodeOptions
    from i2codec.render.field import Field
    from i2codec.signal.signal import Signal

__version__ = "0.2.0"

_LAZY = {
    "EncodeOptions": ("i2codec.options", "EncodeOptions"),
    "Field": ("i2codec.render.field", "Field"),
    "Limits": ("i2codec.container.limits", "Limits"),
    "Progress": ("i2codec.fit.progress", "Progress"),
    "Signal": ("i2codec.signal.signal", "Signal"),
    "compare": ("i2codec._compare", "compare"),
    "decode": ("i2codec._api", "decode"),
    "decode_file": ("i2codec._api", "decode_file"),
    "encode": ("i2codec._api", "encode"),
    "encode_file": ("i2codec._api", "encode_file"),
    "info": ("i2codec._inspect", "info"),
    "open": ("i2codec._api", "open_field"),
    "verify": ("i2codec._inspect", "verify"),
}

__all__ = [
    "Cancelled",
    "ChecksumError",
    "DamagedSourceWarning",
    "DeviceError",
    "EncodeOptions",
    "Field",
    "FitError",
    "FormatError",
    "I2Error",
    "I2Warning",
    "InputError",
    "LeftOutWarning",
    "LimitError",
    "Limits",
    "MissingExtraError",
    "OptionError",
    "OutputError",
    "Progress",
    "Signal",
    "TargetMissedWarning",
    "TruncatedError",
    "VersionError",
    "compare",
    "decode",
    "decode_file",
    "encode",
    "encode_file",
    "info",
    "open",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'i2codec' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
