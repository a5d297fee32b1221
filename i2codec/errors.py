"""Every error that i2codec raises on purpose.

::

    I2Error
    ├── InputError        (ValueError)       a source that cannot be read as media
    ├── OptionError       (ValueError)       an option with a wrong name, type or value
    ├── FormatError       (ValueError)       bytes that are not a valid .i2 file
    │   ├── TruncatedError    (EOFError)     the file ends too early
    │   ├── ChecksumError                    stored and computed CRC-32 differ
    │   ├── VersionError                     a newer major version, or a required unknown id
    │   └── LimitError                       a length or size over its limit
    ├── FitError          (ArithmeticError)  fitting failed: non-finite loss, no provable contraction
    ├── Cancelled                            the progress callback asked to stop
    ├── DeviceError       (RuntimeError)     the device asked for is not there
    ├── OutputError       (OSError)          a destination that exists or cannot be written
    └── MissingExtraError (ImportError)      an optional library is not installed

A message is one line: what was found, what was expected, what to do.
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "ChecksumError",
    "DeviceError",
    "FitError",
    "FormatError",
    "I2Error",
    "InputError",
    "LimitError",
    "MissingExtraError",
    "OptionError",
    "OutputError",
    "TruncatedError",
    "VersionError",
]


class I2Error(Exception):
    """Root of every error raised on purpose by i2codec."""


class InputError(I2Error, ValueError):
    """A source that is missing, unreadable, or not media of a supported kind."""


class OptionError(I2Error, ValueError):
    """An option with an unknown name, a wrong type, or a value out of range."""


class FormatError(I2Error, ValueError):
    """Bytes that are not a valid ``.i2`` file."""


class TruncatedError(FormatError, EOFError):
    """The file ends before the length that it announces."""


class ChecksumError(FormatError):
    """A stored CRC-32 does not match the bytes it covers."""


class VersionError(FormatError):
    """The file needs a newer reader: its major version or a required id is unknown."""


class LimitError(FormatError):
    """A length or size in the file is over its limit; nothing was allocated for it."""


class FitError(I2Error, ArithmeticError):
    """Fitting failed: the loss is not finite, or contraction cannot be proved."""


class Cancelled(I2Error):
    """The caller's progress callback asked to stop; nothing was written."""


class DeviceError(I2Error, RuntimeError):
    """The device asked for is not available on this machine."""


class OutputError(I2Error, OSError):
    """A destination that already exists or cannot be written."""


class MissingExtraError(I2Error, ImportError):
    """A library of an optional extra is not installed; the message names the extra."""
