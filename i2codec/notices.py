"""Warnings: what a user should know beside a result that stands."""

from __future__ import annotations


class I2Warning(UserWarning):
    """Root of every warning that i2codec gives."""


class TargetMissedWarning(I2Warning):
    """A target was not met within 5 %; the message says how close the file came."""


class DamagedSourceWarning(I2Warning):
    """A part of a source could not be read; the message says what was lost."""


class LeftOutWarning(I2Warning):
    """The output cannot hold a part of the file; the message says which."""
