"""When the frames of a video are shown: from the packets of its file, without decoding."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from i2codec.signal.timestamps import TimeStamps

_LARGEST = 2**32 - 1  # numbers of a step are stored in 32 bits
_FALLBACK_RATE = Fraction(25)
# Tried before what a demuxer estimates from rounded time stamps.
_COMMON_RATES = [
    *(Fraction(rate) for rate in (25, 30, 24, 50, 60, 10, 12, 15, 20, 100, 120, 1, 2, 5, 8)),
    *(Fraction(1000 * rate, 1001) for rate in (30, 24, 60, 120, 15, 12)),
]


@dataclass(frozen=True)
class Timing:
    """When frames are shown.

    Parameters
    ----------
    rate:
        Frames per second where they are constant, else ``None``.
    time_base:
        Seconds per tick.
    starts:
        Ticks at which frames begin, rising; empty where the file does not say.
    last_duration:
        Ticks that the last frame is shown.
    """

    rate: Fraction | None
    time_base: Fraction
    starts: Sequence[int]
    last_duration: int

    @property
    def step(self) -> Fraction:
        """Seconds per frame: exact for a constant rate, else the mean."""
        if self.rate is not None:
            return storable(1 / self.rate)
        ticks = self.starts[-1] - self.starts[0] + self.last_duration
        return storable(ticks * self.time_base / len(self.starts))

    @property
    def start(self) -> Fraction:
        """Seconds at which the first frame begins."""
        return self.starts[0] * self.time_base if self.starts else Fraction(0)


def timing_of(
    starts: Sequence[int | None], *, last_duration: int, time_base: Fraction | None, rates: Sequence[Fraction | None]
) -> Timing:
    """The timing of frames that begin at ``starts``, in any order.

    Parameters
    ----------
    starts:
        Ticks, ``None`` where the file has none.
    last_duration:
        Ticks of the frame that begins last, 0 where it is not known.
    time_base:
        Seconds per tick.
    rates:
        Frames per second that the file's header suggests, the best first.
    """
    suggested = [rate for rate in rates if rate is not None and rate > 0]
    known = sorted(start for start in starts if start is not None)
    distinct = len(set(known))
    if not time_base or len(known) < len(starts) or 2 * distinct < len(known) or not known:
        return Timing((suggested or [_FALLBACK_RATE])[0], time_base or Fraction(1), (), 0)
    if len(known) == 1:
        rate = suggested[0] if suggested else 1 / (last_duration * time_base) if last_duration else _FALLBACK_RATE
        return Timing(rate, time_base, known, last_duration)
    rising = array("q", risen(known))
    median = sorted(later - earlier for earlier, later in pairwise(rising))[(len(rising) - 1) // 2]
    duration = last_duration or median
    return Timing(_constant_rate(rising, duration, time_base, suggested), time_base, rising, duration)


def _constant_rate(
    starts: Sequence[int], last_duration: int, time_base: Fraction, suggested: Sequence[Fraction]
) -> Fraction | None:
    common = [rate for rate in suggested if rate in _COMMON_RATES]
    for rate in (*common, *_COMMON_RATES, *suggested):
        period = 1 / (rate * time_base)
        # A picture that stays on at the end, as in many GIFs, is not a constant rate.
        if last_duration <= period * Fraction(3, 2) + 1 and follows(starts, period):
            return rate
    return None


def follows(starts: Sequence[int], period: Fraction) -> bool:
    """Whether frames begin every ``period`` ticks, but for rounding to whole ticks.

    Where frames last a few ticks only, a tick is too much: it may be a frame that was left out.
    """
    ticks, frames, first = period.numerator, period.denominator, starts[0]
    slack = min(frames, ticks // 3)
    return all(abs((start - first) * frames - index * ticks) <= slack for index, start in enumerate(starts))


def risen(starts: Sequence[int]) -> list[int]:
    """Ticks made to rise: one that does not comes one tick after the one before it."""
    rising: list[int] = []
    for start in starts:
        rising.append(max(start, rising[-1] + 1) if rising else start)
    return rising


def stamps_of(starts: Sequence[int], timing: Timing) -> TimeStamps | None:
    """Time stamps of frames that begin at ``starts``, some of those of ``timing``; ``None`` at a constant rate.

    Frames lost from the middle of a constant rate leave a rate that is not.
    """
    if not starts or not timing.starts:
        return None
    if timing.rate is not None and follows(starts, 1 / (timing.rate * timing.time_base)):
        return None
    rising = risen(starts)
    end = next((start for start in timing.starts if start > rising[-1]), rising[-1] + timing.last_duration)
    return TimeStamps(timing.time_base, tuple(start - rising[0] for start in (*rising, max(end, rising[-1] + 1))))


def storable(step: Fraction) -> Fraction:
    """The nearest fraction whose numbers fit 32 bits, above 0."""
    if step.numerator <= _LARGEST and step.denominator <= _LARGEST:
        return step
    clipped: Fraction = min(max(step, Fraction(1, _LARGEST)), Fraction(_LARGEST))
    return clipped.limit_denominator(max(1, int(_LARGEST / max(Fraction(1), clipped))))
