"""What the user asks of rate and distortion. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
class RelativePriceGoal:
    """The same with a distortion over the power of the sound."""

    lmbda: float


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
AskedGoal = Goal | RelativePriceGoal
"""What may be asked for before the power of the signal is known."""

DEFAULT_SNR_DB = 25.5
"""What a sound is fitted to where nothing is asked: half a decibel over what is promised."""

# Quality, and the logarithm to base 10 of λ at which photos have the PSNR of Pillow's JPEG (4:4:4) at
# the same number (docs/grid.md): read off the medians of six crops up to 80, and off two photos near the
# median from 85 to 95. Just above 89 fits have latents for every channel.
_QUALITY_LOG_LMBDA = (
    (0, -1.2), (10, -1.82), (20, -2.26), (30, -2.5), (40, -2.71), (50, -2.87), (60, -3.03), (70, -3.22), (75, -3.33),
    (80, -3.45), (85, -3.63), (89, -3.8), (90, -4.05), (95, -4.4), (100, -6.0),
)  # fmt: skip
# The same of sounds, λ over their power: quality 75 is some 25 dB (docs/sound.md).
_SOUND_QUALITY_LOG_LMBDA = (
    (0, 0.5), (10, -0.12), (20, -0.56), (30, -0.8), (40, -1.01), (50, -1.17), (60, -1.33), (70, -1.52), (75, -1.63),
    (80, -1.8), (85, -2.12), (90, -2.72), (95, -3.6), (100, -4.3),
)  # fmt: skip


def lmbda_of_quality(quality: int) -> float:
    """λ of a quality from 0 to 100, on the scale of JPEG's.

    Raises
    ------
    OptionError
        If the quality is out of range.

    >>> round(lmbda_of_quality(75), 6)
    0.000468
    """
    return _between(_QUALITY_LOG_LMBDA, quality)


def sound_lmbda_of_quality(quality: int) -> float:
    """λ of a quality from 0 to 100 over the power of a sound; raises as :func:`lmbda_of_quality`.

    >>> round(sound_lmbda_of_quality(75), 4)
    0.0234
    """
    return _between(_SOUND_QUALITY_LOG_LMBDA, quality)


def _between(knots: Sequence[tuple[int, float]], quality: int) -> float:
    """λ on straight lines between logarithms."""
    if not 0 <= quality <= 100:
        raise OptionError(f"quality {quality}; expected 0 to 100")
    above = max(1, next(number for number, (knot, _) in enumerate(knots) if knot >= quality))
    (low, at_low), (high, at_high) = knots[above - 1 : above + 1]
    return math.pow(10.0, at_low + (at_high - at_low) * (quality - low) / (high - low))
