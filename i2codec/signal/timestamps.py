"""When the frames of a video of variable frame rate begin."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from i2codec.errors import OptionError


@dataclass(frozen=True)
class TimeStamps:
    """Start of every frame and the end of the last one, in whole ticks.

    Parameters
    ----------
    time_base:
        Seconds per tick, above 0.
    ticks:
        One more than there are frames, rising; the first is 0.
    """

    time_base: Fraction
    ticks: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise OptionError(f"time base {self.time_base}; expected more than 0")
        if len(self.ticks) < 2 or self.ticks[0] != 0:
            raise OptionError("time stamps must begin at 0 and hold at least one frame")
        if any(first >= second for first, second in pairwise(self.ticks)):
            raise OptionError("time stamps must rise from frame to frame")

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame to the end of the last."""
        return self.ticks[-1] * self.time_base

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.ticks) - 1
