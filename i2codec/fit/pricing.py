"""λ for what is asked: given, or found while the fit goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from i2codec.fit.goals import DEFAULT_QUALITY, Goal, LossGoal, PriceGoal, PsnrGoal, SizeGoal, lmbda_of_quality

# Set by hand, not fitted: λ starts from it and follows by it, so it bears on how fast a target is
# met and not on where the fit ends.
_SIZE_EXPONENT = -1.5
_FOLLOWING = 0.3  # part of what is missing that a correction makes up for
_FIRST_CORRECTION = 0.15  # of the fit: before that neither size nor distortion says much
_SMALLEST, _LARGEST = 1e-7, 10.0
# Near it λ is 1e-4 in photos that are hard; above, eight decibels are a decade (docs/grid.md, High quality).
_HIGH_PSNR_DB, _HIGH_LMBDA = 38.5, 1e-4
# Logarithms of size and of distortion over that of λ, where a fit has not shown them yet.
_SIZE_SLOPE, _DISTORTION_SLOPE = -0.67, 0.56
_LEAST_OF_SLOPE, _MOST_OF_SLOPE = 0.3, 1.5
_SIZE_AIM, _SIZE_TOLERANCE = 0.98, 0.02  # never above the size that is asked for
_PSNR_AIM_DB, _PSNR_TOLERANCE_DB = 0.06, 0.06  # never below


@dataclass
class Pricing:
    """λ as the fit goes on.

    Where a size or a PSNR is asked for, λ follows what the fit has from step to step, so a target
    costs no more steps than a λ.

    Parameters
    ----------
    goal:
        What is asked of rate and distortion.
    point_count:
        Grid points of the signal.
    overhead_bytes:
        Of the file, beside the latents.
    """

    goal: Goal
    point_count: int
    overhead_bytes: int
    lmbda: float = field(init=False)
    _is_following: bool = field(default=True, init=False)
    _last: tuple[float, float] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        match self.goal:
            case PriceGoal(lmbda):
                self.lmbda = lmbda
            case LossGoal():
                self.lmbda = lmbda_of_quality(DEFAULT_QUALITY)
            case SizeGoal():
                bpp = self.goal.size_bytes * 8 / self.point_count
                self.lmbda = _within_bounds(0.004 * math.pow(bpp / 0.35, _SIZE_EXPONENT))
            case PsnrGoal(wanted_db) if wanted_db > _HIGH_PSNR_DB:
                self.lmbda = _within_bounds(_HIGH_LMBDA * math.pow(10.0, (_HIGH_PSNR_DB - wanted_db) / 8.0))
            case PsnrGoal(wanted_db):
                self.lmbda = _within_bounds(0.004 * math.pow(10.0, (29.0 - wanted_db) / 10.0))

    @property
    def follows(self) -> bool:
        """Whether λ depends on what the fit has, from step to step."""
        return self._is_following and isinstance(self.goal, SizeGoal | PsnrGoal)

    def follow(self, fraction: float, *, distortion: float, rate: float) -> None:
        """Correct λ at a part of the fit that decodes to ``distortion`` at ``rate`` bits per grid point."""
        if self.follows and fraction >= _FIRST_CORRECTION:
            factor = math.exp(_FOLLOWING * self._missing(distortion, rate))
            self.lmbda = _within_bounds(self.lmbda * factor)

    def excess(self, *, distortion: float, size_bytes: int) -> float:
        """Logarithm of a finished file's size, or distortion, over what is aimed at; 0 without a target."""
        match self.goal:
            case SizeGoal(wanted):
                return math.log(size_bytes / (_SIZE_AIM * wanted))
            case PsnrGoal(wanted_db):
                return math.log(max(distortion, 1e-12)) + (wanted_db + _PSNR_AIM_DB) / 10.0 * math.log(10.0)
            case _:
                return 0.0

    def is_met(self, *, distortion: float, size_bytes: int) -> bool:
        """Whether a finished file has what was asked for."""
        match self.goal:
            case SizeGoal(wanted):
                return size_bytes <= wanted
            case PsnrGoal(wanted_db):
                return distortion <= math.pow(10.0, -wanted_db / 10.0)
            case _:
                return True

    def retry(self, *, distortion: float, size_bytes: int) -> bool:
        """Move λ by what a finished file misses, by a secant; false if it has what was asked for."""
        self._is_following = False
        is_size = isinstance(self.goal, SizeGoal)
        tolerance = _SIZE_TOLERANCE if is_size else _PSNR_TOLERANCE_DB / 10.0 * math.log(10.0)
        slope = _SIZE_SLOPE if is_size else _DISTORTION_SLOPE
        excess = self.excess(distortion=distortion, size_bytes=size_bytes)
        if abs(excess) <= tolerance:
            return False
        place = math.log(self.lmbda)
        if self._last is not None and place != self._last[0]:
            shown = (excess - self._last[1]) / (place - self._last[0]) / slope
            slope *= min(max(shown, _LEAST_OF_SLOPE), _MOST_OF_SLOPE)
        self._last = place, excess
        before, self.lmbda = self.lmbda, _within_bounds(self.lmbda * math.exp(-excess / slope))
        return self.lmbda != before

    def _missing(self, distortion: float, rate: float) -> float:
        """Logarithm of what λ is to be multiplied by, as far as the curve's slope tells."""
        if isinstance(self.goal, SizeGoal):
            size = self.overhead_bytes + rate * self.point_count / 8
            return -_SIZE_EXPONENT * math.log(size / self.goal.size_bytes)
        if isinstance(self.goal, PsnrGoal):
            wanted = math.pow(10.0, -self.goal.psnr_db / 10.0)
            return math.log(wanted / max(distortion, 1e-12))
        return 0.0


def _within_bounds(lmbda: float) -> float:
    return min(max(lmbda, _SMALLEST), _LARGEST)
