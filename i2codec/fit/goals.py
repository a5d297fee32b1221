"""What the user asks of rate and distortion. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from i2codec.errors import OptionError

DEFAULT_QUALITY = 75


@dataclass(frozen=True)
class LossGoal:
    """The smallest file within ``max_loss_db`` of the fit before quantisation, at the default width."""

    max_loss_db: float = 0.3


@dataclass(frozen=True)
class PriceGoal:
    """The least distortion + ``lmbda`` · rate, rate in bits per grid point."""

    lmbda: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lmbda) and self.lmbda > 0):
            raise OptionError(f"lmbda {self.lmbda}; expected a finite number above 0")


@dataclass(frozen=True)
class SizeGoal:
    """The least distortion in a file of at most ``size_bytes``, all bytes counted."""

    size_bytes: int

    def __post_init__(self) -> None:
        if self.size_bytes < 1:
            raise OptionError(f"target size {self.size_bytes} bytes; expected at least 1")


@dataclass(frozen=True)
class PsnrGoal:
    """The smallest file of at least ``psnr_db``: over the signal's own power for sound, over 1 for others."""

    psnr_db: float

    def __post_init__(self) -> None:
        if not 0 < self.psnr_db <= 200:
            raise OptionError(f"target PSNR {self.psnr_db} dB; expected more than 0, at most 200")


Goal = LossGoal | PriceGoal | SizeGoal | PsnrGoal

DEFAULT_SNR_DB = 25.5
"""What a sound is fitted to where nothing is asked: half a decibel over what is promised."""


def lmbda_of_quality(quality: int) -> float:
    """λ of a quality from 0 to 100: 0.1 at 0, 0.001 at 75, a tenth for every 37.5 more.

    Raises
    ------
    OptionError
        If the quality is out of range.

    >>> round(lmbda_of_quality(75), 9)
    0.001
    """
    if not 0 <= quality <= 100:
        raise OptionError(f"quality {quality}; expected 0 to 100")
    return math.pow(10.0, -1.0 - quality / 37.5)
